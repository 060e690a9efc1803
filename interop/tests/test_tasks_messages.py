"""Message by message: what the probe puts into a queue is what Celery puts there for the same call."""

import datetime
import functools
import re
import uuid

import pytest
from kombu.compression import decompress
from kombu.serialization import enable_insecure_serializers, loads

import celerys
import wire
from celerys import PROBE, task

enable_insecure_serializers()

pytestmark = pytest.mark.places("redis", "amqp+redis")

SOON = "2035-06-01T12:30:00.250000+00:00"
LINK = task("probe.mul", 10, task_id="linked")
STAMPED = {"stamped_headers": ["order"], "order": "o-1"}

# Whatever a caller may say, and with what.
CALLS = {
    "nothing": {},
    "arguments": {"args": [1, "소금", None, 2.5, True, [1, {"a": []}]], "kwargs": {"k": {"x": 1}, "é": "it's"}},
    "long arguments": {"args": ["x" * 3_000], "kwargs": {"k": list(range(2_000))}},
    "quotes": {"args": ["'", '"', "'\"", "\\", "\n\t\x00\x7f", "\u200b", "🧂"]},
    "numbers": {"args": [0, -1, 2**53, 2**70, 1e16, 1e-7, 1.0, -0.0, 123456789.123]},
    "a countdown": {"options": {"countdown": 100}},
    "a countdown of a fraction": {"options": {"countdown": 0.5}},
    "no countdown": {"options": {"countdown": 0}},
    "an eta": {"options": {"eta": SOON}},
    "an eta in another zone": {"options": {"eta": "2035-06-01T21:30:00+09:00"}},
    "an eta without a zone": {"options": {"eta": "2035-06-01T12:30:00"}},
    "an expiry in seconds": {"options": {"expires": 100}},
    "an expiry in fractions": {"options": {"expires": 100.5}},
    "an expiry at a time": {"options": {"expires": SOON}},
    "a countdown and an expiry": {"options": {"countdown": 10, "expires": 100}},
    "a priority": {"options": {"priority": 6}},
    "priority zero": {"options": {"priority": 0}},
    "a result that is ignored": {"options": {"ignore_result": True}},
    "a result that is not ignored": {"options": {"ignore_result": False}},
    "both limits": {"options": {"time_limit": 30, "soft_time_limit": 20}},
    "limits of fractions": {"options": {"time_limit": 30.5, "soft_time_limit": 20.25}},
    "a soft limit": {"options": {"soft_time_limit": 20}},
    "retries": {"options": {"retries": 2}},
    "a shadow": {"options": {"shadow": "another.name"}},
    "headers of one's own": {"options": {"headers": {"tenant": "소금", "nested": {"a": [1, None, True, 2.5]}}}},
    "a header over one of Celery's": {"options": {"headers": {"origin": "elsewhere"}}},
    "a root and a parent": {"options": {"root_id": "root", "parent_id": "parent"}},
    "a group": {"options": {"group_id": "group", "group_index": 3}},
    "texts for the arguments": {"args": [1], "options": {"argsrepr": "(secret)", "kwargsrepr": "{hidden}"}},
    "a reply queue": {"options": {"reply_to": "replies"}},
    "a message that is not stored": {"options": {"delivery_mode": 1}},
    "another serializer": {"args": ["소금", 1], "options": {"serializer": "yaml"}},
    "msgpack": {"args": ["소금", 1], "options": {"serializer": "msgpack"}},
    "pickle": {"args": ["소금", 1], "options": {"serializer": "pickle"}},
    "compression": {"args": ["x" * 1_000], "options": {"compression": "gzip"}},
    "a link": {"options": {"link": [LINK]}},
    "links and errbacks": {"options": {"link": [LINK, LINK | {"immutable": True}], "link_error": [LINK]}},
    "a link with options": {"options": {"link": [task("probe.mul", 2, queue="other", priority=3, countdown=5)]}},
    "stamps": {"options": STAMPED},
}

# Only what is different in every message of the same client: ids, its host, and what is counted from now.
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ORIGIN = re.compile(r"^gen\d+@.+$")
TIME = re.compile(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?([+-]\d\d:\d\d)?$")
NEAR = 600


class Times(list):
    """The times of a message that are counted from now."""

    def masked(self, value):
        if isinstance(value, dict):
            return {name: self.masked(member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.masked(member) for member in value]
        if not isinstance(value, str):
            return value
        if ORIGIN.match(value):
            return "<origin>"
        if TIME.match(value) and (time := near(value)):
            self.append(time)
            return f"<time of {len(value)} characters>"
        return UUID.sub("<uuid>", value)


def near(text):
    time = datetime.datetime.fromisoformat(text)
    time = time.replace(tzinfo=time.tzinfo or datetime.UTC)
    return time if abs((time - datetime.datetime.now(datetime.UTC)).total_seconds()) < NEAR else None


def content(message):
    body = message.body
    if compression := message.headers.get("compression"):
        body = decompress(body, compression)
    return loads(body, message.content_type, message.content_encoding, accept={message.content_type})


@pytest.fixture(scope="module")
def broker(place):
    broker = wire.wire(place)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def sent(place, broker):
    """`sent(version)`: what that client puts into a queue for each call, by the task's id, which is the call's name."""

    @functools.cache
    def send(version):
        queue = f"messages-{version}-{uuid.uuid4().hex[:6]}"
        client = place.client(version)
        for name, call in CALLS.items():
            options = {"queue": queue, "task_id": name} | call.get("options", {})
            client.canvas(task("probe.echo", *call.get("args", []), kwargs=call.get("kwargs"), **options))
        messages = {message.headers["id"]: message for message in broker.look(queue)}
        assert messages.keys() == CALLS.keys()
        return messages

    return send


@pytest.mark.parametrize("version", celerys.versions())
@pytest.mark.parametrize("name", CALLS)
class TestTheMessageOfACall:
    @pytest.fixture
    def both(self, sent, version, name):
        return sent(version)[name], sent(PROBE)[name]

    def test_its_headers_are_celerys(self, both, version):
        theirs, ours = [(times := Times(), times.masked(message.headers)) for message in both]
        if version == "5.5":
            # Before 5.7, a call by name could not leave it to the task, and its texts of long arguments end elsewhere.
            assert theirs[1].pop("ignore_result") == (ours[1].pop("ignore_result") or False)
            if len(theirs[1]["argsrepr"]) > 1_000:
                theirs[1]["argsrepr"] = ours[1]["argsrepr"]
        assert exact(ours[1]) == exact(theirs[1])
        assert all(abs((one - other).total_seconds()) < 30 for one, other in zip(ours[0], theirs[0], strict=True))

    def test_its_properties_are_celerys(self, both):
        theirs, ours = [Times().masked(message.properties) for message in both]
        for properties in theirs, ours:
            properties.pop("delivery_info", None)
            # Celery takes these for properties too, and only some brokers drop what AMQP does not know.
            properties.pop("argsrepr", None)
            properties.pop("kwargsrepr", None)
        expirations = [int(properties.pop("expiration", 0)) for properties in (theirs, ours)]
        assert exact(ours) == exact(theirs)
        assert (expirations[0] > 0) == (expirations[1] > 0)
        # Until a far-off date, or for so long: either way the two were sent one after the other.
        assert abs(expirations[0] - expirations[1]) < 30_000
        assert (both[1].content_type, both[1].content_encoding) == (both[0].content_type, both[0].content_encoding)

    def test_its_body_is_celerys(self, both):
        theirs, ours = [Times().masked(content(message)) for message in both]
        assert exact(ours) == exact(theirs)


def exact(value):
    """Also whether a number is whole and a truth a truth; names in any order."""
    if isinstance(value, dict):
        return sorted((name, exact(member)) for name, member in value.items())
    if isinstance(value, list):
        return [exact(member) for member in value]
    return repr(value)
