"""Celery on both sides of a broker: places (a broker and a store of results), the workers there, and the clients that send to them."""

import os
import secrets
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import requests
from kombu.utils.json import dumps, loads

import databases
import servers
import services
from servers import REFERENCE, TOP, Server

CELERY_SIDE = TOP / "interop" / "celery"
PROBE = "probe"
READY = ("SUCCESS", "FAILURE", "REVOKED", "REJECTED", "IGNORED")

# A task that has not run by then never will.
PATIENCE = 20


def versions():
    return os.environ.get("CELERY_VERSIONS", "5.7 5.5").split()


def newest():
    return versions()[0]


def oldest():
    """Where there is more than one."""
    return versions()[-1] if len(versions()) > 1 else None


def python(version):
    """The interpreter of the environment that holds this Celery: 5.7 lives in that of the newest Django, with the tests."""
    if version == "5.7":
        return sys.executable
    given = os.environ.get("CELERY_PYTHON_" + version.replace(".", "_"))
    return given or str(TOP / ".test" / f"celery-{version}" / "bin" / "python")


# Each broker with the stores of results that it is met with; what is common to two of them is set in one alone.
KINDS = {
    "redis": {
        "CELERY_ACCEPT_CONTENT": ["json", "pickle", "yaml", "msgpack"],
        "CELERY_RESULT_EXTENDED": True,
        "CELERY_TASK_TRACK_STARTED": True,
    },
    "amqp+rpc": {},
    "amqp+redis": {
        "CELERY_ACCEPT_CONTENT": ["json", "pickle", "yaml", "msgpack"],
        "CELERY_TASK_QUEUE_MAX_PRIORITY": 10,
        "CELERY_TASK_TRACK_STARTED": True,
    },
    "sqlite": {},
    "django-db": {"CELERY_RESULT_EXTENDED": True},
}

# Python's SQLite gives up after five seconds.
PATIENT = {
    "CELERY_BROKER_TRANSPORT_OPTIONS": {"connect_args": {"timeout": PATIENCE}},
    "CELERY_DATABASE_ENGINE_OPTIONS": {"connect_args": {"timeout": PATIENCE}},
}

# Databases of Redis that no other test uses, each with its own channels for remote control.
REDIS_DATABASES = {"redis": 12, "amqp+redis": 13, "django-db": 14}


def can_read(kind, version):
    """Whether that client can read what is stored there."""
    match kind:
        case "django-db":
            # Only the environment of a Django has django-celery-results.
            return version in ("5.7", PROBE)
        case "sqlite":
            # Before 5.7, Celery pickled what it stored in a database, and it cannot read the JSON of today.
            return version in ("5.7", PROBE)
    return True


def can_work(kind, version):
    """Whether that worker can store its results there."""
    return kind != "django-db" or version in ("5.7", PROBE)


def redis_url(kind):
    return services.url("redis").rpartition("/")[0] + f"/{REDIS_DATABASES[kind]}"


class Place:
    """A broker and a store of results, with the processes that meet there."""

    def __init__(self, kind, directory):
        self.kind = kind
        self.directory = directory
        self.token = secrets.token_hex(3)
        self.database = databases.Postgres(directory, empty=True) if kind == "django-db" else None
        self.settings = {"CELERY_RESULT_CHORD_RETRY_INTERVAL": 0.1} | KINDS[kind] | self.urls()
        if REFERENCE:
            self.settings |= self.python_settings()
        self.workers = {}
        self.clients = {}
        if kind == "django-db":
            servers.manage(servers.newest_django(), "migrate", "--verbosity", "0", settings=self.settings, directory=directory)
        if kind == "sqlite":
            # One at a time makes the tables, and it is the one that knows all of their columns.
            self.client("5.7").send("probe.noop", queue=f"nowhere-{self.token}")
            self.client("5.7").state("nothing")

    def urls(self):
        match self.kind:
            case "redis":
                broker = backend = redis_url("redis")
            case "amqp+rpc":
                broker, backend = services.url("rabbitmq"), "rpc://"
            case "amqp+redis":
                broker, backend = services.url("rabbitmq"), redis_url("amqp+redis")
            case "sqlite":
                broker, backend = f"sqla+sqlite:///{self.directory}/broker.sqlite3", f"db+sqlite:///{self.directory}/results.sqlite3"
            case "django-db":
                broker, backend = redis_url("django-db"), "django-db"
        urls = {"CELERY_BROKER_URL": broker, "CELERY_RESULT_BACKEND": backend}
        if self.database:
            urls["DATABASE_URL"] = self.database.url
        return urls

    def python_settings(self):
        """What only Python needs."""
        return self.settings | (PATIENT if self.kind == "sqlite" else {})

    def worker(self, version):
        if version not in self.workers:
            self.workers[version] = self.start_worker(version, f"{version}-{self.token}")
        return self.workers[version]

    def start_worker(self, version, name, *arguments, **settings):
        """A worker with a queue and a node of this name."""
        return Worker(self, version, name, arguments, settings)

    def client(self, version):
        if version not in self.clients:
            self.clients[version] = ProbeClient(self) if version == PROBE else PythonClient(self, version)
        return self.clients[version]

    def log(self):
        """The ends of all logs, for the report of a test that failed."""
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{end_of(log.read_text(errors='replace'))}" for log in logs)

    def close(self):
        for process in [*self.workers.values(), *self.clients.values()]:
            process.stop()
        if self.database:
            self.database.drop()


def end_of(text, lines=40):
    return "\n".join(text.splitlines()[-lines:])


class Worker:
    """A worker process, on one queue that no other one takes from."""

    def __init__(self, place, version, name, arguments, settings):
        self.place = place
        self.version = version
        self.queue = name
        self.node = f"{name}@here"
        self.log_path = place.directory / f"worker-{name}.log"
        options = ["--queues", self.queue, "--hostname", self.node, "--concurrency", "2", *arguments]
        if version == PROBE:
            command = [*servers.probe_command(), "worker", *options]
            settings = place.settings | settings
        else:
            settings = place.python_settings() | settings
            quick = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
            command = [python(version), "-m", "celery", "-A", "tasks_under_test", "worker", *options, *quick]
        self.process = start(command, settings, place.directory, self.log_path)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        # Nothing here waits for the end of tasks; those tests that do send their own signals.
        if self.is_running():
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def __repr__(self):
        return f"<worker {self.node}>"


def start(command, settings, directory, log_path, **pipes):
    with open(log_path, "ab") as log:
        return subprocess.Popen(
            command,
            # As root, Celery takes no pickles but where it is told to.
            env=servers.environment(settings | {"PYTHONPATH": str(CELERY_SIDE), "C_FORCE_ROOT": "1"}),
            cwd=directory,
            stdin=pipes.get("stdin", subprocess.DEVNULL),
            stdout=pipes.get("stdout", log),
            stderr=log,
            start_new_session=True,
            preexec_fn=servers.die_with_parent,
        )


@dataclass(frozen=True)
class Outcome:
    """A state, and a value, or what tells an exception: (class, args)."""

    state: str
    value: object

    @classmethod
    def failed(cls, state, kind, arguments):
        return cls(state, (kind, arguments))


class PythonClient:
    """A Python process with that Celery, asked over a pipe: tasks_under_test/client.py tells what for."""

    def __init__(self, place, version):
        self.place = place
        self.version = version
        self.serial = 0
        command = [python(version), "-m", "tasks_under_test.client"]
        log = place.directory / f"client-{version}.log"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = start(command, place.python_settings(), place.directory, log, **pipes)

    def call(self, call, patience=PATIENCE + 10, **arguments):
        self.serial += 1
        self.process.stdin.write(dumps({"call": call, "serial": self.serial} | arguments).encode() + b"\n")
        self.process.stdin.flush()
        answer = {}
        # An answer that nobody waited for any more is not this one's.
        while answer.get("serial") != self.serial:
            readable, _, _ = select.select([self.process.stdout], [], [], patience)
            line = self.process.stdout.readline() if readable else b""
            assert line, f"the client {'ended' if readable else 'does not answer'}:\n{self.place.log()}"
            answer = loads(line)
        assert "ok" in answer, answer["error"]
        return answer["ok"]

    def send(self, name, *args, kwargs=None, **options):
        return self.call("send", name=name, args=args, kwargs=kwargs or {}, options=options)

    def canvas(self, described):
        return self.call("canvas", described_as=described)["id"]

    def outcome(self, id, timeout=PATIENCE):
        got = self.call("get", id=id, timeout=timeout)
        if "value" in got:
            return Outcome("SUCCESS", got["value"])
        state = "REVOKED" if got["raised"] == "TaskRevokedError" else "FAILURE"
        return Outcome.failed(state, got["raised"], got["args"])

    def state(self, id):
        return self.call("state", id=id)

    def inspect(self, command, *workers, **arguments):
        return self.call("inspect", command=command, destination=[worker.node for worker in workers], arguments=arguments)

    def control(self, command, *workers, **arguments):
        return self.call("control", command=command, destination=[worker.node for worker in workers], arguments=arguments)

    def stop(self):
        self.process.stdin.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class ProbeClient:
    """The routes of the probe."""

    version = PROBE

    def __init__(self, place):
        self.place = place
        settings = place.settings | {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}
        self.server = Server("client-probe", servers.probe_command(), settings, place.directory).wait_until_listening()
        self.http = requests.Session()

    def post(self, path, body):
        answer = self.http.post(self.server.url + path, json=body, timeout=PATIENCE)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}\n{end_of(self.server.log())}"
        return answer.json()["id"]

    def send(self, name, *args, kwargs=None, **options):
        return self.post("/tasks/send", {"name": name, "args": args, "kwargs": kwargs or {}, "options": options})

    def canvas(self, described):
        return self.post("/tasks/canvas", described)

    def result(self, id):
        answer = self.http.get(f"{self.server.url}/tasks/result/{id}", timeout=PATIENCE)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}\n{end_of(self.server.log())}"
        return answer.json()

    def state(self, id):
        return self.result(id)["state"]

    def outcome(self, id, timeout=PATIENCE):
        result = until(lambda: ready(self.result(id)), f"task {id} has a result", timeout, self.place)
        value = result["result"]
        if result["state"] == "SUCCESS":
            return Outcome("SUCCESS", value)
        return Outcome.failed(result["state"], value["exc_type"], value["exc_message"])

    def stop(self):
        self.server.stop()


def ready(result):
    return result if result["state"] in READY else None


def until(condition, told, timeout=PATIENCE, place=None):
    """What `condition` returns, once that is something; fails with what was waited for."""
    end = time.monotonic() + timeout
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > end:
            log = f":\n{place.log()}" if place else ""
            raise AssertionError(f"waited {timeout} s until {told}{log}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Pair:
    """A client, and a worker of the other language."""

    client: object
    worker: Worker

    @property
    def place(self):
        return self.worker.place

    def send(self, name, *args, **options):
        return self.client.send(name, *args, queue=self.worker.queue, **options)

    def run(self, name, *args, **options):
        return self.client.outcome(self.send(name, *args, **options))

    def outcome(self, id, **options):
        return self.client.outcome(id, **options)


def pairs():
    """Who sends to whom."""
    return [(version, PROBE) for version in versions()] + [(PROBE, version) for version in versions()]


def task(name, *args, on=None, immutable=False, kwargs=None, **options):
    """A task described as the contract has it, on a worker's queue."""
    if on is not None:
        options["queue"] = on.queue
    return {"name": name, "args": args, "kwargs": kwargs or {}, "options": options, "immutable": immutable}


def chain(*tasks, on=None):
    """`on` is where the unlocking of a chord looks whose body it is."""
    return {"kind": "chain", "tasks": tasks, "options": {"queue": on.queue} if on else {}}


def group(*tasks):
    return {"kind": "group", "tasks": tasks}


def chord(*tasks, body):
    return {"kind": "chord", "tasks": tasks, "body": body}
