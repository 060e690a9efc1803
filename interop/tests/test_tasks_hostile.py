"""Messages that are no tasks, and tasks that nobody would send: what becomes of them, and of the worker that takes them."""

import bz2
import json
import lzma
import pickle
import uuid
import zlib

import brotli
import pytest
import zstandard

import celerys
import servers
import wire
from celerys import PROBE, Outcome, until
from wire import Message

EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
MIB = 1 << 20


def body(args="[1, 2]", kwargs="{}", embed=EMBED):
    return f"[{args}, {kwargs}, {embed}]".encode()


def task(text=None, content_type="application/json", content_encoding="utf-8", without=(), **headers):
    """A message of `probe.add(1, 2)`, with other headers or another body."""
    id = str(uuid.uuid4())
    usual = {"lang": "py", "task": "probe.add", "id": id, "root_id": id, "parent_id": None, "group": None, "retries": 0}
    usual |= {"eta": None, "expires": None, "timelimit": [None, None], "argsrepr": "(1, 2)", "kwargsrepr": "{}", "origin": "a@b"}
    headers = {name: value for name, value in (usual | headers).items() if name not in without}
    return Message(body() if text is None else text, headers, content_type, content_encoding)


def old(**members):
    """A message of protocol 1."""
    return Message(json.dumps({"task": "probe.add", "id": str(uuid.uuid4()), "args": [1, 2], "kwargs": {}} | members).encode())


def deep(opening, closing, depth=20_000):
    return opening * depth + "1" + closing * depth


def pickled(value):
    return {"text": pickle.dumps(value), "content_type": "application/x-python-serialize", "content_encoding": "binary"}


class Evil:
    def __reduce__(self):
        return exec, ("import os; os._exit(1)",)


def signature(**members):
    return {"task": "probe.add", "args": [1], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False} | members


def after(**members):
    """What comes after a task: lists of signatures."""
    return json.dumps(members)


def chained(depth):
    """A chain in a chain in a chain."""
    inner = signature()
    for _ in range(depth):
        inner = signature(task="celery.chain", args=[], kwargs={"tasks": [inner]}, subtask_type="chain")
    return inner


def linked(depth, queue=None):
    """A callback of a callback of a callback."""
    options = {"queue": queue} if queue else {}
    inner = signature(options=options)
    for _ in range(depth):
        inner = signature(options=options | {"link": [inner]})
    return inner


# Nobody can tell what they ask for: no result, and the message as it came in `<queue>.dead`, for this reason.
REFUSED = {
    "half an object": (task(b"{"), "the body is no json"),
    "nothing": (task(b""), "the body is no json"),
    "not UTF-8": (task(b"\xff\xfe[[1, 2], {}, {}]"), "not UTF-8"),
    "UTF-16": (task("[[1, 2], {}, {}]".encode("utf-16"), content_encoding="utf-16"), "not UTF-8"),
    "Latin-1": (task('[["é", ""], {}, {}]'.encode("latin-1"), content_encoding="latin-1"), "not UTF-8"),
    "two values": (task(body() + body()), "the body is no json"),
    "null": (task(b"null"), "not a JSON array"),
    "a text": (task(b'"probe.add"'), "not a JSON array"),
    "a pair": (task(b"[[1, 2], {}]"), "list of arguments"),
    "four parts": (task(b"[[1, 2], {}, {}, {}]"), "list of arguments"),
    "numbers": (task(b"[1, 2, 3]"), "not what a task's is"),
    "arguments that are a text": (task(body('"ab"')), "not what a task's is"),
    "arguments that are null": (task(b"[null, null, null]"), "not what a task's is"),
    "keyword arguments that are a list": (task(body("[1]", "[2]")), "not what a task's is"),
    "nested arguments": (task(body(deep("[", "]"))), "nested more than"),
    "nested objects": (task(body("[" + deep('{"a": ', "}") + "]")), "nested more than"),
    "a number of 5,000 digits": (task(body(f"[{'9' * 5_000}, 2]")), "digits"),
    "a chain of lists": (task(body(embed='{"chain": [[]]}')), "what comes after the task"),
    "a chain that is a number": (task(body(embed='{"chain": 3}')), "what comes after the task"),
    "a callback without a name": (task(body(embed='{"callbacks": [{"args": []}]}')), "what comes after the task"),
    "an errback that is a number": (task(body(embed='{"errbacks": [3]}')), "what comes after the task"),
    "a chord that is a text": (task(body(embed='{"chord": "probe.tsum"}')), "what comes after the task"),
    "nested callbacks": (task(body(embed=after(callbacks=[linked(300)]))), "nested more than"),
    "no id": (task(without=["id"]), '"id"'),
    "an id that is null": (task(id=None), '"id"'),
    "an id that is a number": (task(id=7), '"id"'),
    "an empty id": (task(id=""), '"id"'),
    "no task": (task(without=["task"]), '"task"'),
    "a task that is a list": (task(task=["probe.add"]), '"task"'),
    "no headers": (Message(body()), '"task"'),
    "an eta that is no date": (task(eta="not a date"), "eta"),
    "an eta that is a number": (task(eta=5), '"eta"'),
    "an eta in no month": (task(eta="2026-13-01T00:00:00+00:00"), "eta"),
    "an expiry that is no date": (task(expires="never"), "expires"),
    "retries that are a text": (task(retries="x"), '"retries"'),
    "negative retries": (task(retries=-1), '"retries"'),
    "more retries than there are": (task(retries=2**40), '"retries"'),
    "a limit that is a text": (task(timelimit="long"), '"timelimit"'),
    "one limit": (task(timelimit=[1]), '"timelimit"'),
    "limits that are texts": (task(timelimit=["1", "2"]), '"timelimit"'),
    "an index that is a text": (task(group_index="first"), '"group_index"'),
    "stamps that are a list": (task(stamped_headers=["x"], stamps=[1]), '"stamps"'),
    "a pickle": (task(**pickled([[1, 2], {}, {}])), "untrusted content of type pickle"),
    "a pickle that runs something": (task(**pickled(Evil())), "untrusted content of type pickle"),
    "XML": (task(b"<add/>", "application/xml"), "untrusted content of type application/xml"),
    "plain text": (task(b"add 1 2", "text/plain"), "untrusted content of type text/plain"),
    "data": (task(b"\x00\x01", "application/data", "binary"), "untrusted content of type application/data"),
    "an unknown compression": (task(compression="application/x-nothing"), "unknown compression"),
    "a compression that is a number": (task(compression=3), '"compression"'),
    "what is not compressed at all": (task(compression="application/x-gzip"), "the body is no application/x-gzip"),
    "half of what was compressed": (task(zlib.compress(body())[:-8], compression="application/x-gzip"), "the body is no application/x-gzip"),
    "protocol 1 without an id": (Message(b'{"task": "probe.add", "args": [1, 2]}'), '"id"'),
    "protocol 1 without a task": (Message(b'{"id": "1", "args": [1, 2]}'), '"task"'),
    "protocol 1 with a number for arguments": (old(args=3), "not a list"),
    "protocol 1 with a list for keyword arguments": (old(kwargs=[3]), "not a mapping"),
    "protocol 1 with a strange eta": (old(eta="soon"), "eta"),
    "protocol 1 with strange callbacks": (old(callbacks=[3]), "what comes after the task"),
    "protocol 1 with nothing": (Message(b"{}"), '"task"'),
}


pytestmark = pytest.mark.places("redis", "amqp+redis", "sqlite")


@pytest.fixture(scope="module")
def broker(place):
    broker = wire.wire(place)
    yield broker
    broker.close()


class Stage:
    """A worker of the probe's, a broker that takes anything, and a client of Celery's that looks whether all is well."""

    def __init__(self, place, broker, version, **settings):
        self.place = place
        self.broker = broker
        self.client = place.client(celerys.newest())
        self.worker = place.start_worker(version, f"hostile-{uuid.uuid4().hex[:6]}", **settings)
        self.queue = self.worker.queue
        self.dead = f"{self.queue}.dead"
        # From here on, the queue is there, and what is measured is not the start.
        self.still_works()

    def still_works(self):
        good = self.client.send("probe.add", 2, 2, queue=self.queue)
        assert self.client.outcome(good) == Outcome("SUCCESS", 4)
        assert self.worker.is_running()

    def put(self, message):
        self.broker.put(self.queue, message)
        return message.headers.get("id")

    def set_aside(self, count):
        """What was, once it is so much."""
        until(lambda: self.broker.count(self.dead) >= count, f"{count} messages are set aside", place=self.place)
        found = self.broker.look(self.dead)
        assert len(found) == count
        return found

    def log_of(self, mark):
        return [line for line in self.worker.log().splitlines() if mark in line]

    def most_memory(self):
        """The most that the worker has had, in bytes."""
        status = open(f"/proc/{self.worker.process.pid}/status").read()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.fixture(scope="module")
def new_stage(place, broker):
    """`new_stage(version, **settings)`: one of its own; without settings, one for the whole module."""
    stages, shared = [], {}

    def new(version=PROBE, **settings):
        if settings or version not in shared:
            stages.append(Stage(place, broker, version, **settings))
            shared.setdefault(version, stages[-1])
        return stages[-1] if settings else shared[version]

    yield new
    for stage in stages:
        stage.worker.stop()


@pytest.fixture(scope="module")
def stage(new_stage):
    return new_stage(CELERY_ACCEPT_CONTENT=["json"])


def marked(message, name):
    """With a header that tells which one it was."""
    return Message(message.body, message.headers | {"x-case": name}, message.content_type, message.content_encoding)


@pytest.fixture(scope="module")
def played(stage):
    """All that is no task, with a good one after each: what was set aside, and what `quintette tasks dead` tells of it."""
    for name, (message, _) in REFUSED.items():
        stage.put(marked(message, name))
        stage.still_works()
    found = stage.set_aside(len(REFUSED))
    command = [*servers.quintette_command(), "tasks", "dead", "list", stage.queue, "--json"]
    told = json.loads(servers.run(command, stage.place.settings, stage.place.directory).stdout)
    return {message.headers["x-case"]: message for message in found}, told


@pytest.mark.beyond_django(run=False)
class TestWhatIsNoTask:
    @pytest.mark.parametrize("name", REFUSED)
    def test_it_is_kept_as_it_came_with_the_reason(self, stage, played, name):
        message, reason = REFUSED[name]
        kept = played[0][name]
        assert kept.body == message.body
        assert (kept.content_type, kept.content_encoding) == (message.content_type, message.content_encoding)
        assert {header: kept.headers.get(header) for header in message.headers} == message.headers
        assert reason in kept.headers["x-quintette-dead-reason"]
        assert kept.headers["x-quintette-dead-queue"] == stage.queue
        assert kept.headers["x-quintette-dead-worker"] == stage.worker.node

    def test_each_has_a_line_in_the_log(self, stage, played):
        lines = stage.log_of("is no task")
        assert len(lines) == len(REFUSED)
        for message, reason in REFUSED.values():
            assert any(reason in line for line in lines), reason

    def test_the_command_lists_them(self, stage, played):
        assert len(played[1]) == len(REFUSED)
        ids = {message.headers.get("id") for message, _ in REFUSED.values()}
        assert {row["id"] for row in played[1]} == {id if isinstance(id, str) else None for id in ids}
        assert all(row["queue"] == stage.queue and row["reason"] and row["worker"] == stage.worker.node for row in played[1])

    def test_nothing_has_a_result_and_nothing_has_run(self, stage, played):
        for message, _ in REFUSED.values():
            if isinstance(id := message.headers.get("id"), str) and id:
                assert stage.client.state(id) == "PENDING"


# What is no message of kombu's either: it has no headers that could tell which one it was, so each has a text of its own.
ENVELOPES = {
    "no JSON": "no JSON at all " + "x" * 5_000,
    "half an envelope": '{"body": "W10=", "headers": {"half": 1}, "properties": {',
    "a list": '["a list"]',
    "a number": "8.25",
    "a body that is no base64": '{"body": "a body that is no base64", "headers": {}, "properties": {"body_encoding": "base64"}}',
    "a body that is a number": '{"body": 4711, "headers": {}, "properties": {"body_encoding": "base64"}}',
    "headers that are a list": '{"body": "W10=", "headers": ["list"], "properties": {"body_encoding": "base64"}}',
    "nested headers": '{"body": "W10=", "headers": {"deep": %s}, "properties": {"body_encoding": "base64"}}' % deep("[", "]"),
    "half a character": '{"body": "W10=", "headers": {"x": "\\ud800"}, "properties": {"body_encoding": "base64"}}',
    "a number without end": '{"body": "W10=", "headers": {"x": NaN}, "properties": {"body_encoding": "base64"}}',
}


@pytest.mark.beyond_django(run=False)
@pytest.mark.places("redis", "sqlite")
class TestWhatIsNoMessage:
    def test_it_is_kept_whole_and_the_worker_goes_on(self, new_stage):
        stage = new_stage(CELERY_ACCEPT_CONTENT=["json"])
        for text in ENVELOPES.values():
            stage.broker.put_raw(stage.queue, text)
            stage.still_works()
        kept = {message.body.decode() for message in stage.set_aside(len(ENVELOPES))}
        assert kept == set(ENVELOPES.values())
        assert len(stage.log_of("is no task")) == len(ENVELOPES)


UNHEARD = Outcome.failed("FAILURE", "NotRegistered", ["no.such"])

# Here Celery has an answer, and it is the same. Of a text, only the class: Python names the function, the probe the task.
ANSWERED = {
    "an unknown task": (task(task="no.such"), UNHEARD),
    "an unknown task whose body is broken": (task(b"{", task="no.such"), UNHEARD),
    "an unknown task in a pickle": (task(**pickled(Evil()), task="no.such"), UNHEARD),
    "an unknown task of protocol 1": (old(task="no.such"), UNHEARD),
    "an argument too few": (task(body("[1]")), "TypeError"),
    "an argument too many": (task(body("[1, 2, 3]")), "TypeError"),
    "an unknown argument": (task(body("[1, 2]", '{"z": 3}')), "TypeError"),
    "an argument twice": (task(body("[1, 2]", '{"x": 3}')), "TypeError"),
    "arguments of other types": (task(body('[1, {"a": 1}]')), "TypeError"),
    "a name that is given twice": (task(body("[1]", '{"y": 1, "y": 5}')), Outcome("SUCCESS", 6)),
    "protocol 1": (old(), Outcome("SUCCESS", 3)),
    "protocol 1 with an argument too few": (old(args=[1]), "TypeError"),
    "nothing that comes after": (task(b"[[1, 2], {}, null]"), Outcome("SUCCESS", 3)),
    "an eta that has passed long ago": (task(eta="0001-01-01T00:00:00+00:00"), Outcome("SUCCESS", 3)),
    "headers of other programs": (task(traceparent="00-ab-cd-01", sentry={"a": [1]}), Outcome("SUCCESS", 3)),
}


@pytest.mark.places("redis", "amqp+redis")
class TestWhatCeleryAnswersToo:
    @pytest.mark.parametrize("version", [PROBE, *celerys.versions()])
    @pytest.mark.parametrize("name", ANSWERED)
    def test_the_client_is_told_the_same(self, new_stage, name, version):
        message, expected = ANSWERED[name]
        stage = new_stage(version)
        id = str(uuid.uuid4())
        if b'"id"' in message.body:
            message = Message(json.dumps(json.loads(message.body) | {"id": id}).encode())
        else:
            message = Message(message.body, message.headers | {"id": id}, message.content_type, message.content_encoding)
        stage.put(message)
        outcome = stage.client.outcome(id)
        if isinstance(expected, Outcome):
            assert outcome == expected
        else:
            assert (outcome.state, outcome.value[0]) == ("FAILURE", expected)
        stage.still_works()

    @pytest.mark.beyond_django(run=False)
    def test_what_is_unknown_is_kept_with_its_id(self, new_stage):
        stage = new_stage(CELERY_ACCEPT_CONTENT=["json"])
        messages = [message for message, expected in ANSWERED.values() if expected is UNHEARD]
        for message in messages:
            stage.put(message)
        assert {kept.body for kept in stage.set_aside(len(messages))} == {message.body for message in messages}


# They are strange, and can be done, or have failed in a way that can be told.
STRANGE = {
    "limits that no clock can count": (task(timelimit=[1e300, 1e300]), Outcome("SUCCESS", 3)),
    "no time at all": (task(timelimit=[0, 0]), Outcome("SUCCESS", 3)),
    "a negative limit": (task(timelimit=[-1, -1]), Outcome("SUCCESS", 3)),
    "a sleep without end": (task(body("[1e300]"), task="probe.sleep"), "TryFromFloatSecsError"),
    "a sleep into the past": (task(body("[-1]"), task="probe.sleep"), "TryFromFloatSecsError"),
    "an argument that is no number": (task(body("[NaN, 2]")), "TypeError"),
    "a result that is no number": (task(body("[NaN]"), task="probe.echo"), "EncodeError"),
    "the last retry that can be counted": (task(body(f"[{2**32 - 1}]"), task="probe.flaky", retries=2**32 - 2), "ConnectionError"),
    "a number of 4,000 digits": (task(body(f"[{'9' * 4_000}]"), task="probe.echo"), Outcome("SUCCESS", [[10**4_000 - 1], {}])),
    "half a character": (task(body('["\\ud800"]'), task="probe.echo"), Outcome("SUCCESS", [["\ud800"], {}])),
    "a long id": (task(id=f"{uuid.uuid4()}{'x' * 10_000}"), Outcome("SUCCESS", 3)),
    "an id of several lines": (task(id=f"a\n../{uuid.uuid4()}\x1b[31m"), Outcome("SUCCESS", 3)),
    "callbacks of callbacks": (task(body(embed=after(callbacks=[linked(100)]))), Outcome("SUCCESS", 3)),
    "a chain that begins at no time": (task(body(embed=after(chain=[signature(options={"countdown": "soon"})]))), "SendError"),
    "a chain that leads nowhere": (task(body(embed=after(chain=[signature(options={"queue": ""})]))), "SendError"),
    "a chain of 70 chains": (task(body(embed=after(chain=[chained(70)]))), "SendError"),
    "a callback to a queue with a long name": (task(body(embed=after(callbacks=[signature(options={"queue": "q" * 300})]))), "SendError"),
    "an errback that begins at no time": (task(body('["no"]', embed=after(errbacks=[signature(options={"eta": 3})])), task="probe.fail"), "ValueError"),
    "a part of no chord": (task(body(embed=after(chord=signature()))), Outcome("SUCCESS", 3)),
    "a part of a chord that nobody counts": (task(body(embed=after(chord=signature())), group="nobody's"), Outcome("SUCCESS", 3)),
    "a map of numbers": (task(b"[[3, 4], {}, {}]", task="celery.map"), None),
    "a map of maps": (task(body(json.dumps([signature(task="celery.map"), [[1]]])), task="celery.map"), "NotRegistered"),
    "chunks of nothing": (task(body(json.dumps([signature(), [], 0])), task="celery.chunks"), None),
    "a group of numbers": (task(b'[[], {"tasks": [1], "result": 2, "group_id": 3, "partial_args": 4}, {}]', task="celery.group"), None),
    "a chord of numbers": (task(b"[[3, 4], {}, {}]", task="celery.chord"), None),
    "a chain that is a task": (task(b"[[], {}, {}]", task="celery.chain"), "NotImplementedError"),
}


@pytest.mark.beyond_django(run=False)
class TestWhatIsStrange:
    @pytest.mark.parametrize("name", STRANGE)
    def test_the_client_is_told_what_became_of_it(self, stage, name):
        message, expected = STRANGE[name]
        outcome = stage.client.outcome(stage.put(message))
        if isinstance(expected, Outcome):
            assert outcome == expected
        else:
            assert outcome.state == "FAILURE" and expected in (None, outcome.value[0])
        stage.still_works()

    @pytest.mark.parametrize("arguments", ["[]", "[1, 2]", '["group", "body", "soon", {}, 5]'])
    def test_an_unlocking_of_no_chord_fails_in_the_log(self, stage, arguments):
        id = stage.put(task(body(arguments), task="celery.chord_unlock"))
        until(lambda: stage.log_of(f"celery.chord_unlock[{id}] raised"), "it has failed", place=stage.place)
        stage.still_works()

    def test_an_eta_in_eight_thousand_years_keeps_nothing_back(self, stage):
        id = stage.put(task(eta="9999-12-31T23:59:59.999999+00:00"))
        stage.still_works()
        assert stage.client.state(id) == "PENDING"

    def test_each_step_of_a_long_chain_runs_though_the_rest_of_it_is_in_every_message(self, stage):
        last = str(uuid.uuid4())
        steps = [signature(options={"queue": stage.queue, "task_id": last if number == 0 else None}) for number in range(200)]
        stage.put(task(body(embed=after(chain=steps))))
        assert stage.client.outcome(last).value == 203

    def test_nobody_writes_a_line_of_the_log_but_the_worker(self, new_stage):
        stage = new_stage()
        for forged in ({"id": "a\nFORGED b"}, {"task": "no\nFORGED such"}, {"shadow": "a\rFORGED\n"}, {"eta": "\nFORGED"}):
            stage.put(task(**forged))
        stage.put(task(b"\nFORGED\n", content_type="text/plain"))
        stage.still_works()
        until(lambda: stage.broker.count(stage.dead) >= 3, "they are set aside", place=stage.place)
        lines = stage.log_of("FORGED")
        assert lines and not [line for line in lines if "quintette_tasks" not in line]


@pytest.mark.beyond_django(run=False)
@pytest.mark.places("amqp+redis")
class TestLargeHeaders:
    """All of a message's headers are in one frame of AMQP's, of 128 KiB."""

    def test_what_fits_no_more_with_the_reason_is_set_aside_without_it(self, new_stage):
        stage = new_stage(CELERY_ACCEPT_CONTENT=["json"])
        message = task(argsrepr="a" * 130_700, retries="x")
        stage.put(message)
        stage.still_works()
        [kept] = stage.set_aside(1)
        assert kept.headers == message.headers and kept.body == message.body
        assert stage.log_of("set aside without the reason")
        # Nothing that others were sending was lost with a connection.
        assert not stage.log_of("FRAME_ERROR")

    def test_a_client_that_sends_more_than_fits_is_told(self, place):
        client = place.client(PROBE)
        body = {"name": "probe.add", "args": [1, 2], "options": {"queue": "large", "headers": {"large": "x" * 140_000}}}
        answer = client.http.post(client.server.url + "/tasks/send", json=body, timeout=20)
        assert answer.status_code == 500 and "headers take" in answer.text


def bomb(compress, name):
    return task(compress(b"[" + b" " * (128 * MIB) + b"]"), compression=name)


def yaml_bomb():
    levels = [f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    return "\n".join(["- []", "- x:", "  a0: &a0 [1]", *levels, "- {}"]).encode()


def pickle_bomb():
    value = [1]
    for _ in range(12):
        value = [value] * 10
    return {"text": pickle.dumps([[value], {}, {}]), "content_type": "application/x-python-serialize", "content_encoding": "binary"}


BOMBS = {
    "zlib": lambda: bomb(zlib.compress, "application/x-gzip"),
    "bzip2": lambda: bomb(bz2.compress, "application/x-bz2"),
    "xz": lambda: bomb(lambda data: lzma.compress(data, preset=0), "application/x-lzma"),
    "Brotli": lambda: bomb(lambda data: brotli.compress(data, quality=1), "application/x-brotli"),
    "Zstandard": lambda: bomb(lambda data: zstandard.compress(data), "application/zstd"),
    "YAML that repeats itself": lambda: task(yaml_bomb(), "application/x-yaml"),
    "a pickle that repeats itself": lambda: task(**pickle_bomb()),
    "msgpack that claims much": lambda: task(b"\xdd\xff\xff\xff\xff" * 50, "application/x-msgpack", "binary"),
    "msgpack that nests": lambda: task(b"\x91" * MIB, "application/x-msgpack", "binary"),
    "YAML that nests": lambda: task(b"[" * 100_000, "application/x-yaml"),
}


@pytest.mark.beyond_django(run=False)
@pytest.mark.places("redis")
class TestBombs:
    def test_none_of_them_takes_more_memory_than_is_allowed(self, new_stage):
        accepted = ["json", "pickle", "yaml", "msgpack"]
        stage = new_stage(CELERY_ACCEPT_CONTENT=accepted, CELERY_MAX_BODY_SIZE=str(8 * MIB))
        before = stage.most_memory()
        for name, make in BOMBS.items():
            stage.put(marked(make(), name))
        stage.still_works()
        kept = stage.set_aside(len(BOMBS))
        assert {message.headers["x-case"] for message in kept} == set(BOMBS)
        assert stage.most_memory() - before < 100 * MIB
        assert all(message.headers["x-quintette-dead-reason"] for message in kept)
