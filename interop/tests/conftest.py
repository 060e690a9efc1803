"""The two sides of every test: `django(version, **settings)` and `probe(**settings)`, and the stores between them; for tasks,
`place`, where their brokers, workers and clients meet."""

import functools
import itertools
import json
import subprocess

import pytest

import celerys
import servers
import stores
from servers import REFERENCE, Server, ServerExited


def pytest_report_header(config):
    lines = []
    for version in servers.django_versions():
        exact = subprocess.run(
            [servers.django_python(version), "-c", "import django, sys; print(django.__version__, sys.version.split()[0])"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        lines.append(f"Django {exact[0]} on Python {exact[1]}")
    lines.append(f"probe: {servers.probe_command()[0]}{' (Django in its place)' if REFERENCE else ''}")
    lines.append(f"quintette: {servers.quintette_command()[0]}")
    return lines


def pytest_collection_modifyitems(config, items):
    if left_out := [item for item in items if not belongs(item)]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = filter(belongs, items)
    if REFERENCE:
        for item in items:
            if marker := item.get_closest_marker("beyond_django"):
                always = not marker.kwargs.get("sometimes", False)
                run = marker.kwargs.get("run", True)
                item.add_marker(pytest.mark.xfail(reason="Django does not promise this", strict=always, run=run))


def belongs(item):
    """Whether a test of tasks is one for this place, this pair or this version."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    if "place" not in given:
        return True
    kind = given["place"]
    places = item.get_closest_marker("places")
    if places and kind not in places.args:
        return False
    client, worker = given.get("pair") or (given.get("client", celerys.PROBE), given.get("python", celerys.PROBE))
    if item.get_closest_marker("to_the_probe") and worker != celerys.PROBE:
        return False
    if "python" in given and kind != "redis" and celerys.oldest() in (client, worker):
        # How two Celerys go together, Redis shows; before 5.7, they read nothing that another stored in a table.
        if celerys.newest() in (client, worker) or not celerys.can_read(kind, worker):
            return False
    return celerys.can_read(kind, client) and celerys.can_work(kind, worker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "place" in getattr(item, "funcargs", {}):
        report.sections.append(("the logs of workers and clients", item.funcargs["place"].log()))
    return report


@pytest.fixture(scope="session", params=celerys.KINDS)
def place(request, tmp_path_factory):
    """A broker and a store of results; tests of one follow each other, and share its workers."""
    place = celerys.Place(request.param, tmp_path_factory.mktemp(request.param))
    yield place
    place.close()


@pytest.fixture(params=celerys.pairs(), ids="-to-".join)
def pair(request, place):
    """A client, and a worker of the other language."""
    client, worker = request.param
    return celerys.Pair(place.client(client), place.worker(worker))


@pytest.fixture(params=[celerys.PROBE, *celerys.versions()], ids="from-{}".format)
def client(request, place):
    """Who sends a canvas."""
    return place.client(request.param)


@pytest.fixture(params=celerys.versions(), ids="with-{}".format)
def python(request, place):
    """A Python worker, of either Celery."""
    return place.worker(request.param)


@pytest.fixture
def rust(place):
    """The probe's worker."""
    return place.worker(celerys.PROBE)


@pytest.fixture(scope="module")
def new_store(tmp_path_factory):
    """`new_store(kind)`: an empty store of its own."""
    made = []

    def new(kind):
        made.append(stores.new_store(kind, tmp_path_factory.mktemp(kind.replace("/", "-"))))
        return made[-1]

    yield new
    for store in made:
        store.drop()


@pytest.fixture(scope="module")
def shared_store(new_store):
    """`shared_store(kind)`: one store a kind for the whole module."""
    return functools.cache(new_store)


@pytest.fixture(scope="module")
def own_store(new_store):
    """`own_store(kind, side)`: each side has its own, for the whole module."""
    return functools.cache(lambda kind, side: new_store(kind))


class Running:
    """The servers of one module, each started once for the same settings."""

    def __init__(self, directories):
        self.directories = directories
        self.running = {}
        self.started = []
        self.numbers = itertools.count()

    def start(self, name, command, settings, prefix=()):
        directory = self.directories.mktemp(name)
        server = Server(f"{name}-{next(self.numbers)}", command, settings, directory, prefix)
        self.started.append(server)
        return server.wait_until_listening()

    def shared(self, name, command, settings):
        known_by = (name, json.dumps(settings, sort_keys=True))
        if known_by not in self.running:
            try:
                self.running[known_by] = self.start(name, command, settings)
            except ServerExited as exited:
                # Not tried again for each of a thousand tests.
                self.running[known_by] = exited
        if isinstance(self.running[known_by], ServerExited):
            raise ServerExited(self.running[known_by].server)
        return self.running[known_by]

    def stop(self):
        for server in self.started:
            server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    servers_of_this_module = Running(tmp_path_factory)
    yield servers_of_this_module
    servers_of_this_module.stop()


@pytest.fixture(scope="module")
def django(running):
    def start(version, **settings):
        command = [servers.django_python(version), str(servers.DJANGO_SITE / "serve.py")]
        return running.shared(f"django-{version}", command, settings)

    return start


@pytest.fixture(scope="module")
def probe(running):
    # However slow the machine is: what a request may cost at the most, test_servers.py asks.
    patience = {} if REFERENCE else {"SESSION_STORE_TIMEOUT": "20"}
    return lambda **settings: running.shared("probe", servers.probe_command(), patience | settings)


@pytest.fixture(params=["django_first", "probe_first"])
def both_ways(request, django, probe):
    """`both_ways(version, **settings)`: a Django and the probe with the same settings, once in either order."""

    def start(version, **settings):
        sides = django(version, **settings), probe(**settings)
        return sides if request.param == "django_first" else sides[::-1]

    return start


@pytest.fixture(scope="module")
def probe_log(running):
    """`probe_log(prefix=…, **settings)`: a probe of its own, or None with its log where it refused to start."""

    def start(prefix=(), **settings):
        try:
            server = running.start("probe", servers.probe_command(), settings, prefix)
        except ServerExited as exited:
            return None, exited.log
        return server, ""

    return start


@pytest.fixture
def quintette(tmp_path):
    """`quintette(*arguments, settings=…)`: runs the command to its end."""

    def run(*arguments, settings, check=True):
        return servers.run([*servers.quintette_command(), *arguments], settings, tmp_path, check=check)

    return run


@pytest.fixture
def manage(tmp_path):
    """`manage(version, *arguments, settings=…)`: a Django management command."""

    def run(version, *arguments, settings, check=True):
        return servers.manage(version, *arguments, settings=settings, directory=tmp_path, check=check)

    return run
