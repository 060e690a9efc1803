"""Results that no worker would store: the probe's client says so at once, and goes on."""

import json
import pickle
import uuid

import pytest
import redis

import wire
from celerys import PROBE, Outcome, until

WHOLE = {"status": "SUCCESS", "result": 3, "traceback": None, "children": [], "date_done": "2026-01-01T00:00:00+00:00"}


def stored(**members):
    return json.dumps(WHOLE | members).encode()


# What no result can be read from: an error that names the task.
CORRUPT = {
    "nothing": b"",
    "half an object": b'{"status": "SUCC',
    "a list": b"[1, 2]",
    "null": b"null",
    "a text": b'"SUCCESS"',
    "not UTF-8": b"\xff\xfe" + stored(),
    "a pickle": pickle.dumps(WHOLE),
    "a state that is a number": stored(status=3),
    "an id that is a list": stored(task_id=["a"]),
    "a traceback that is a number": stored(traceback=5),
    "a date that is a number": stored(date_done=5),
    "a nested result": b'{"status": "SUCCESS", "result": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}

# What is strange, and can be read.
STRANGE = {
    "a state alone": (b'{"status": "SUCCESS"}', Outcome("SUCCESS", None)),
    "children that are nothing": (stored(children=None), Outcome("SUCCESS", 3)),
    "children that are a text": (stored(children="none"), Outcome("SUCCESS", 3)),
    "nested children": (b'{"status": "SUCCESS", "result": 3, "children": ' + b"[" * 500 + b"]" * 500 + b"}", Outcome("SUCCESS", 3)),
    "children that are no results": (stored(children=[1, "a", [[]], {}]), Outcome("SUCCESS", 3)),
    "members that nobody knows": (stored(worker=5, new={"a": [1]}), Outcome("SUCCESS", 3)),
    "another task's id": (stored(task_id="another"), Outcome("SUCCESS", 3)),
    "a number of 4,000 digits": (stored(result=10**4_000 - 1), Outcome("SUCCESS", 10**4_000 - 1)),
    "half a character": (stored(result="\ud800"), Outcome("SUCCESS", "\ud800")),
    "five megabytes": (stored(result="x" * 5_000_000), Outcome("SUCCESS", "x" * 5_000_000)),
    "a failure that is a text": (stored(status="FAILURE", result="no"), Outcome.failed("FAILURE", "Exception", ["no"])),
    "a failure that is nothing": (stored(status="FAILURE", result=None), Outcome.failed("FAILURE", "Exception", [None])),
    "a failure of no class": (stored(status="FAILURE", result={"exc_message": "no"}), Outcome.failed("FAILURE", "Exception", ["no"])),
    "a failure whose class is a list": (
        stored(status="FAILURE", result={"exc_type": ["os", "system"], "exc_message": ["no", 1]}),
        Outcome.failed("FAILURE", "Exception", ["no", 1]),
    ),
}


@pytest.fixture
def client(place):
    return place.client(PROBE)


@pytest.fixture
def keys(place):
    return redis.Redis.from_url(place.settings["CELERY_RESULT_BACKEND"])


def ask(client, id):
    return client.http.get(f"{client.server.url}/tasks/result/{id}", timeout=10)


@pytest.mark.beyond_django(run=False)
@pytest.mark.places("redis")
class TestInRedis:
    @pytest.mark.parametrize("name", CORRUPT)
    def test_what_is_no_result_is_an_error_that_names_the_task(self, client, keys, name):
        id = str(uuid.uuid4())
        keys.set(f"celery-task-meta-{id}", CORRUPT[name])
        answer = ask(client, id)
        assert answer.status_code == 503 and id in answer.json()["error"]
        assert "no result in JSON" in answer.json()["error"]

    def test_a_key_of_another_type_is_an_error(self, client, keys):
        id = str(uuid.uuid4())
        keys.lpush(f"celery-task-meta-{id}", "a list")
        answer = ask(client, id)
        assert answer.status_code == 503 and "WRONGTYPE" in answer.json()["error"]

    @pytest.mark.parametrize("name", STRANGE)
    def test_what_is_strange_is_read(self, client, keys, name):
        id = str(uuid.uuid4())
        value, expected = STRANGE[name]
        keys.set(f"celery-task-meta-{id}", value)
        assert client.outcome(id) == expected

    def test_a_state_of_the_applications_own_is_told(self, client, keys):
        id = str(uuid.uuid4())
        keys.set(f"celery-task-meta-{id}", stored(status="PROGRESS", result={"done": 5}))
        assert client.state(id) == "PROGRESS"


@pytest.mark.beyond_django(run=False)
@pytest.mark.places("sqlite")
class TestInTables:
    @pytest.mark.parametrize("name", ["half an object", "not UTF-8", "a nested result"])
    def test_what_is_no_result_is_an_error(self, place, client, name):
        id = str(uuid.uuid4())
        insert(place, id, "SUCCESS", CORRUPT[name])
        answer = ask(client, id)
        assert answer.status_code == 503 and "neither JSON nor a pickle" in answer.json()["error"]

    def test_a_pickle_runs_nothing(self, place, client, tmp_path):
        id, trace = str(uuid.uuid4()), tmp_path / "trace"
        insert(place, id, "SUCCESS", pickle.dumps(Evil(trace)))
        answer = ask(client, id)
        assert answer.status_code == 503 and "a pickle that holds" in answer.json()["error"]
        assert not trace.exists()

    def test_a_state_of_the_applications_own_is_told(self, place, client):
        id = str(uuid.uuid4())
        insert(place, id, "PROGRESS", b'{"done": 5}')
        assert client.state(id) == "PROGRESS"


class Evil:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


def insert(place, id, status, result):
    tables = wire.Sqlite("sqla+sqlite:///" + place.settings["CELERY_RESULT_BACKEND"].removeprefix("db+sqlite:///"))
    tables.query("insert into celery_taskmeta (task_id, status, result) values (?, ?, ?)", id, status, result)


@pytest.mark.beyond_django(run=False)
@pytest.mark.places("amqp+rpc")
class TestReplies:
    """Over RPC, whoever knows the name of the client's queue can write to it."""

    def test_what_is_no_result_is_left_out_and_the_next_is_read(self, place, client, rust):
        broker = wire.wire(place)
        nowhere = f"nowhere-{uuid.uuid4()}"
        waiting = client.send("probe.add", 1, 2, queue=nowhere)
        [sent] = broker.look(nowhere)
        queue = sent.properties["reply_to"]
        # It reads its queue from the first question on.
        assert client.state(waiting) == "PENDING"
        for number, body in enumerate(CORRUPT.values()):
            broker.put(queue, wire.Message(body, properties={"correlation_id": f"corrupt-{number}"}))
        broker.put(queue, wire.Message(stored(), {"status": 1}, "application/x-python-serialize", "binary"))
        assert client.outcome(client.send("probe.add", 2, 2, queue=rust.queue)) == Outcome("SUCCESS", 4)
        broker.put(queue, wire.Message(stored(task_id=waiting)))
        assert client.outcome(waiting) == Outcome("SUCCESS", 3)
        until(lambda: client.server.log().count("what came is no result") >= len(CORRUPT) - 1, "each has a line", place=place)
        broker.close()
