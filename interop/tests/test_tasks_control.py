"""Celery's remote control of the probe's worker: `celery status`, `inspect` and `control`, the events, and Flower."""

import os
import signal
import threading
import time
import uuid

import pytest
import requests
from celery import Celery
from kombu.utils.json import dumps

import celerys
import servers
from celerys import PROBE, Outcome, Pair, until

pytestmark = pytest.mark.places("redis", "amqp+redis")

NAMES = ("add", "echo", "fail", "flaky", "mul", "noop", "sleep", "tsum")


@pytest.fixture(params=celerys.versions(), ids="by-{}".format)
def asker(request, place):
    return place.client(request.param)


@pytest.fixture(scope="module")
def worker(place):
    """A worker of the probe's for these tests; what one of them changes of it, it changes back."""
    name = f"control-{place.token}"
    if name not in place.workers:
        place.workers[name] = place.start_worker(PROBE, name)
        answers(place.client(celerys.newest()), place.workers[name])
    return place.workers[name]


@pytest.fixture
def pair(asker, worker):
    return Pair(asker, worker)


def answers(client, worker):
    until(lambda: client.inspect("ping", worker), f"{worker} answers", place=worker.place)


def inspected(client, command, worker, **arguments):
    """What the worker answers."""
    told = client.inspect(command, worker, **arguments)
    assert told and list(told) == [worker.node], f"{command}: {told}\n{worker.place.log()}"
    return told[worker.node]


def controlled(client, command, worker, **arguments):
    told = client.control(command, worker, **arguments)
    assert len(told) == 1 and list(told[0]) == [worker.node], f"{command}: {told}\n{worker.place.log()}"
    return told[0][worker.node]


def held(client, command, worker, id):
    """The task of this id in what the worker tells, once it is there."""

    def found():
        tasks = inspected(client, command, worker)
        return next((told for told in tasks if told.get("request", told)["id"] == id), None)

    return until(found, f"{command} tells of {id}", place=worker.place)


def celery(place, version, *arguments):
    """A command of Celery's, run to its end."""
    command = [celerys.python(version), "-m", "celery", "-A", "tasks_under_test", *arguments]
    settings = place.python_settings() | {"PYTHONPATH": str(celerys.CELERY_SIDE), "C_FORCE_ROOT": "1"}
    return servers.run(command, settings, place.directory).stdout


class TestTheCommandLine:
    @pytest.mark.parametrize("version", celerys.versions())
    def test_status_shows_the_worker(self, place, worker, version):
        text = celery(place, version, "status", "--destination", worker.node, "--timeout", "3")
        assert f"{worker.node}: OK" in text
        assert "1 node online" in text

    @pytest.mark.parametrize("command", ["active", "registered", "stats", "active_queues", "scheduled", "reserved", "revoked", "conf"])
    def test_inspect_shows_what_it_was_asked_for(self, place, worker, command):
        text = celery(place, celerys.newest(), "inspect", command, "--destination", worker.node, "--timeout", "3", "--json")
        assert worker.node in text


class TestInspect:
    def test_it_answers_a_ping(self, asker, worker):
        assert asker.inspect("ping", worker) == {worker.node: {"ok": "pong"}}

    def test_it_tells_its_tasks(self, asker, worker):
        registered = inspected(asker, "registered", worker)
        assert {f"probe.{name}" for name in NAMES} <= {told.split()[0] for told in registered}

    def test_it_tells_its_queue(self, asker, worker):
        [queue] = inspected(asker, "active_queues", worker)
        assert (queue["name"], queue["routing_key"], queue["durable"]) == (worker.queue, worker.queue, True)
        assert (queue["exchange"]["name"], queue["exchange"]["type"]) == (worker.queue, "direct")

    def test_it_tells_what_it_has_done(self, pair, worker):
        before = inspected(pair.client, "stats", worker)
        assert pair.run("probe.add", 1, 2).value == 3
        after = inspected(pair.client, "stats", worker)
        assert after["total"]["probe.add"] == before["total"].get("probe.add", 0) + 1
        assert after["pid"] > 0 and after["uptime"] >= 0 and int(after["clock"]) > int(before["clock"])
        assert after["pool"]["max-concurrency"] == 2
        assert after["prefetch_count"] == 8
        assert after["broker"]["transport"] == ("redis" if worker.place.kind == "redis" else "amqp")
        assert after["broker"]["port"] == int(worker.place.settings["CELERY_BROKER_URL"].rpartition(":")[2].split("/")[0])
        assert after["rusage"]["maxrss"] > 0

    def test_it_tells_what_runs(self, pair, worker):
        id = pair.send("probe.sleep", 60)
        try:
            told = held(pair.client, "active", worker, id)
            assert (told["name"], told["args"], told["kwargs"]) == ("probe.sleep", [60], {})
            assert (told["type"], told["hostname"], told["acknowledged"]) == ("probe.sleep", worker.node, True)
            assert told["delivery_info"]["routing_key"] == worker.queue
            assert abs(told["time_start"] - time.time()) < 60 and told["worker_pid"]
        finally:
            pair.client.call("revoke", id=id, terminate=True)
        assert pair.outcome(id) == Outcome.failed("REVOKED", "TaskRevokedError", ["terminated"])

    def test_it_tells_what_waits_for_its_turn(self, pair, worker):
        ids = [pair.send("probe.sleep", 60) for _ in range(3)]
        try:
            for id in ids[:2]:
                held(pair.client, "active", worker, id)
            assert held(pair.client, "reserved", worker, ids[2])["name"] == "probe.sleep"
        finally:
            for id in reversed(ids):
                pair.client.call("revoke", id=id, terminate=True)
        assert [pair.outcome(id).state for id in ids] == ["REVOKED"] * 3

    def test_it_tells_what_is_not_due(self, pair, worker):
        id = pair.send("probe.add", 1, 2, countdown=600)
        told = held(pair.client, "scheduled", worker, id)
        assert (told["request"]["name"], told["request"]["args"]) == ("probe.add", [1, 2])
        assert told["eta"][:2] == "20"
        pair.client.call("revoke", id=id)

    def test_it_tells_its_settings_but_no_password(self, asker, worker):
        conf = inspected(asker, "conf", worker, with_defaults=True)
        assert conf["task_default_queue"] == "celery"
        assert set(conf["accept_content"]) == set(worker.place.settings["CELERY_ACCEPT_CONTENT"])
        assert "guest:guest" not in dumps(conf)


class TestRevoke:
    def test_a_task_does_not_run_that_was_revoked_before_it_came(self, pair, worker):
        id = str(uuid.uuid4())
        pair.client.call("revoke", id=id)
        until(lambda: id in inspected(pair.client, "revoked", worker), "it is revoked", place=worker.place)
        pair.send("probe.add", 1, 2, task_id=id)
        assert pair.outcome(id) == Outcome.failed("REVOKED", "TaskRevokedError", ["revoked"])

    def test_a_task_that_is_held_does_not_run_when_it_is_due(self, pair, worker):
        id = pair.send("probe.add", 1, 2, countdown=2)
        held(pair.client, "scheduled", worker, id)
        pair.client.call("revoke", id=id)
        assert pair.outcome(id) == Outcome.failed("REVOKED", "TaskRevokedError", ["revoked"])

    def test_a_task_that_runs_is_terminated_and_the_worker_goes_on(self, pair, worker):
        id = pair.send("probe.sleep", 60)
        held(pair.client, "active", worker, id)
        pair.client.call("revoke", id=id, terminate=True)
        assert pair.outcome(id) == Outcome.failed("REVOKED", "TaskRevokedError", ["terminated"])
        assert pair.run("probe.add", 1, 2).value == 3


class TestControl:
    def test_a_rate_is_kept(self, pair, worker):
        rated = controlled(pair.client, "rate_limit", worker, task_name="probe.mul", rate_limit="5/s")
        assert rated == {"ok": "new rate limit set successfully"}
        try:
            start = time.monotonic()
            ids = [pair.send("probe.mul", number, 1) for number in range(5)]
            assert [pair.outcome(id).value for id in ids] == [*range(5)]
            assert time.monotonic() - start >= 0.7
        finally:
            unlimited = controlled(pair.client, "rate_limit", worker, task_name="probe.mul", rate_limit=0)
        assert unlimited == {"ok": "rate limit disabled successfully"}

    def test_a_rate_of_an_unknown_task_is_refused(self, asker, worker):
        assert controlled(asker, "rate_limit", worker, task_name="no.such", rate_limit="5/s") == {"error": "unknown task"}

    # Celery answers so, and goes on with the limits that the task had when the worker began.
    @pytest.mark.beyond_django
    def test_a_task_gets_another_time_limit(self, pair, worker):
        limited = controlled(pair.client, "time_limit", worker, task_name="probe.sleep", soft=1, hard=10)
        assert limited == {"ok": "time limits set successfully"}
        try:
            assert pair.run("probe.sleep", 3).value[0] == "SoftTimeLimitExceeded"
        finally:
            controlled(pair.client, "time_limit", worker, task_name="probe.sleep", soft=None, hard=None)

    def test_another_queue_is_taken_from_and_then_no_more(self, pair, worker):
        queue = f"other-{uuid.uuid4()}"
        assert queue in controlled(pair.client, "add_consumer", worker, queue=queue)["ok"]
        id = pair.client.send("probe.add", 1, 2, queue=queue)
        assert pair.outcome(id).value == 3
        assert queue in [told["name"] for told in inspected(pair.client, "active_queues", worker)]
        assert queue in controlled(pair.client, "cancel_consumer", worker, queue=queue)["ok"]
        until(
            lambda: queue not in [told["name"] for told in inspected(pair.client, "active_queues", worker)],
            "the queue is left alone",
            place=worker.place,
        )
        assert pair.run("probe.add", 1, 2).value == 3

    def test_the_pool_grows_and_shrinks(self, asker, worker):
        assert controlled(asker, "pool_grow", worker, n=1) == {"ok": "pool will grow"}
        until(lambda: concurrency(asker, worker) == 3, "the pool has grown", place=worker.place)
        assert controlled(asker, "pool_shrink", worker, n=1) == {"ok": "pool will shrink"}
        until(lambda: concurrency(asker, worker) == 2, "the pool has shrunk", place=worker.place)

    def test_an_unknown_command_does_not_disturb_it(self, asker, worker):
        asker.call("control", command="no_such_command", destination=[worker.node], timeout=0.2)
        assert inspected(asker, "ping", worker) == {"ok": "pong"}


def concurrency(client, worker):
    pool = inspected(client, "stats", worker)["pool"]
    # Celery's processes are as many as it has now; what it has begun with stays its maximum.
    return len(pool["processes"]) if len(pool.get("processes", ())) > 1 else pool["max-concurrency"]


class TestShutdown:
    @pytest.mark.parametrize("version", celerys.versions())
    def test_it_ends_when_it_is_told_to(self, place, version):
        worker = place.start_worker(PROBE, f"ending-{version}-{place.token}")
        client = place.client(version)
        answers(client, worker)
        client.call("control", command="shutdown", destination=[worker.node], reply=False)
        until(lambda: not worker.is_running(), "the worker has ended", place=place)
        assert worker.process.returncode == 0

    def test_it_finishes_what_it_runs_when_it_is_terminated(self, place):
        worker = place.start_worker(PROBE, f"terminated-{place.token}")
        pair = Pair(place.client(celerys.newest()), worker)
        answers(pair.client, worker)
        id = pair.send("probe.sleep", 4)
        held(pair.client, "active", worker, id)
        os.kill(worker.process.pid, signal.SIGTERM)
        assert pair.outcome(id) == Outcome("SUCCESS", None)
        until(lambda: not worker.is_running(), "the worker has ended", place=place)
        assert worker.process.returncode == 0


class Events:
    """What Celery's own receiver hears, in a thread."""

    def __init__(self, place):
        self.heard = []
        self.place = place
        app = Celery(broker=place.settings["CELERY_BROKER_URL"], set_as_current=False)
        self.receiver = app.events.Receiver(app.connection(), handlers={"*": self.heard.append})
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        self.receiver.capture(limit=None, timeout=None, wakeup=False)

    def of(self, kind, worker, **fields):
        """The next one of this type that this worker sends, with these fields."""

        def found():
            for event in list(self.heard):
                same = all(event.get(name) == value for name, value in fields.items())
                if event["type"] == kind and event["hostname"] == worker.node and same:
                    return event
            return None

        return until(found, f"{worker} sends {kind} {fields}", place=self.place)

    def close(self):
        self.receiver.should_stop = True
        self.thread.join(5)


@pytest.fixture
def events(place, worker):
    events = Events(place)
    # Who hears a heart beat hears everything.
    events.of("worker-heartbeat", worker)
    yield events
    events.close()


@pytest.fixture
def task_events(pair, worker):
    enabled = controlled(pair.client, "enable_events", worker)
    assert enabled["ok"] in ("task events enabled", "task events already enabled")
    yield
    assert controlled(pair.client, "disable_events", worker) == {"ok": "task events disabled"}


@pytest.mark.parametrize("asker", [celerys.newest()], indirect=True, ids="by-{}".format)
class TestEvents:
    def test_its_heart_beats(self, pair, worker, events):
        beat = events.of("worker-heartbeat", worker)
        assert beat["freq"] == 2.0 and beat["active"] >= 0 and beat["processed"] >= 0
        assert len(beat["loadavg"]) == 3
        assert all(beat[name] for name in ("sw_ident", "sw_ver", "sw_sys", "pid", "timestamp", "clock"))
        assert beat["utcoffset"] == int(time.timezone / 3600)

    def test_a_task_that_succeeds_is_told_of(self, pair, worker, events, task_events):
        id = pair.send("probe.echo", "hello", kwargs={"k": 1})
        pair.outcome(id)
        received = events.of("task-received", worker, uuid=id)
        assert (received["name"], received["args"], received["kwargs"]) == ("probe.echo", "['hello']", "{'k': 1}")
        assert (received["retries"], received["eta"], received["expires"]) == (0, None, None)
        assert (received["root_id"], received["parent_id"]) == (id, None)
        events.of("task-started", worker, uuid=id)
        succeeded = events.of("task-succeeded", worker, uuid=id)
        assert "hello" in succeeded["result"] and succeeded["runtime"] >= 0

    def test_a_task_that_fails_is_told_of(self, pair, worker, events, task_events):
        id = pair.send("probe.fail", "no such order")
        failed = events.of("task-failed", worker, uuid=id)
        assert "ValueError" in failed["exception"] and "no such order" in failed["exception"]

    def test_a_task_that_is_tried_again_is_told_of(self, pair, worker, events, task_events):
        id = pair.send("probe.flaky", 1)
        assert "not yet" in events.of("task-retried", worker, uuid=id)["exception"]
        events.of("task-succeeded", worker, uuid=id)

    def test_a_task_that_is_revoked_is_told_of(self, pair, worker, events, task_events):
        id = pair.send("probe.sleep", 60)
        held(pair.client, "active", worker, id)
        pair.client.call("revoke", id=id, terminate=True)
        revoked = events.of("task-revoked", worker, uuid=id)
        assert (revoked["terminated"], revoked["expired"]) == (True, False)

    def test_no_task_is_told_of_where_nobody_asked(self, pair, worker, events):
        id = pair.send("probe.add", 1, 2)
        pair.outcome(id)
        # Later than anything that could have been sent of the task.
        beats = len([event for event in events.heard if event["type"] == "worker-heartbeat"])
        until(
            lambda: len([event for event in events.heard if event["type"] == "worker-heartbeat"]) > beats + 1,
            "hearts beat again",
            place=worker.place,
        )
        assert not [event for event in events.heard if event.get("uuid") == id]

    def test_the_dump_of_events_shows_them(self, place, pair, worker, task_events):
        log = place.directory / "events.log"
        command = [celerys.python(celerys.newest()), "-u", "-m", "celery", "-A", "tasks_under_test", "events", "--dump"]
        with open(log, "ab") as output:
            dump = celerys.start(command, place.python_settings(), place.directory, log, stdout=output)
        try:
            until(lambda: worker.node in log.read_text(), "the dump hears a heart beat", place=place)
            id = pair.send("probe.add", 1, 2)
            until(lambda: f"task succeeded: probe.add({id})" in log.read_text().lower(), "the dump shows the task", place=place)
        finally:
            os.killpg(dump.pid, signal.SIGKILL)
            dump.wait()


@pytest.mark.parametrize("asker", [celerys.newest()], indirect=True, ids="by-{}".format)
class TestFlower:
    def test_it_lists_the_worker_its_tasks_and_its_counters(self, place, pair, worker, flower, task_events):
        def told():
            return flower("/api/workers", refresh="1", workername=worker.node).get(worker.node)

        known = until(told, "Flower knows the worker", place=place)
        # With the rate limit, where another test has set one.
        assert {f"probe.{name}" for name in NAMES} <= {told.split()[0] for told in known["registered"]}
        assert [queue["name"] for queue in known["active_queues"]] == [worker.queue]
        assert known["stats"]["pool"]["max-concurrency"] == 2
        assert "broker_url" in known["conf"]
        id, failing = pair.send("probe.add", 20, 22), pair.send("probe.fail", "no")

        def seen(id, state):
            task = flower("/api/tasks").get(id)
            return task if task and task["state"] == state else None

        task = until(lambda: seen(id, "SUCCESS"), "Flower has seen the task", place=place)
        assert (task["name"], task["result"], task["worker"]) == ("probe.add", "42", worker.node)
        assert "ValueError" in until(lambda: seen(failing, "FAILURE"), "and the failure", place=place)["exception"]
        row = until(lambda: row_of(flower, worker), "Flower counts its tasks", place=place)
        assert row["task-succeeded"] >= 1 and row["task-failed"] >= 1 and row["status"] is True

    @pytest.fixture
    def flower(self, place, worker):
        """`flower(path, **query)`: asks a Flower of this broker."""
        port = servers.free_port()
        command = [celerys.python(celerys.newest()), "-m", "celery", "-A", "tasks_under_test", "flower"]
        command += ["--address=127.0.0.1", f"--port={port}", "--inspect_timeout=3000"]
        settings = place.python_settings() | {"FLOWER_UNAUTHENTICATED_API": "true"}
        process = celerys.start(command, settings, place.directory, place.directory / "flower.log")

        def ask(path, **query):
            try:
                answer = requests.get(f"http://127.0.0.1:{port}{path}", params=query, timeout=20)
            except requests.ConnectionError:
                return {}
            return answer.json() if answer.status_code == 200 else {}

        yield ask
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def row_of(flower, worker):
    rows = flower("/workers", json="1").get("data", [])
    return next((row for row in rows if row["hostname"] == worker.node and row.get("task-failed")), None)
