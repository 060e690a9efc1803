"""One store, two servers: what either writes, the other reads, and they take turns on one session."""

import json

import pytest

from forging import COOKIE, STORED, signed, unsigned
from servers import django_versions, newest_django
from stores import SHARED_ENGINES, TURN_TAKING_ENGINES
from values import VALUES
from visitor import ITEMS, Visitor, get, op, put

PICKLE = {"SESSION_SERIALIZER": "django.contrib.sessions.serializers.PickleSerializer"}


def exactly(value):
    """Text that tells 5 from 5.0, 0.0 from -0.0, and one order of keys from another."""
    return json.dumps(value)


@pytest.fixture(scope="module", params=SHARED_ENGINES)
def store(request, shared_store):
    return shared_store(request.param)


@pytest.fixture(scope="module", params=django_versions())
def sides(request, store, django, probe):
    """A Django and the probe over one store."""
    return django(request.param, **store.settings), probe(**store.settings)


@pytest.fixture(params=["django_writes", "probe_writes"])
def writer_and_reader(request, sides):
    return sides if request.param == "django_writes" else sides[::-1]


@pytest.mark.parametrize("name", VALUES)
def test_a_value_arrives_as_it_was_written(writer_and_reader, name):
    writer, reader = writer_and_reader
    visitor = Visitor()
    visitor.ops(writer, put(name, VALUES[name]))
    assert exactly(visitor.ops(reader, get(name)).values) == exactly([VALUES[name]])


def test_all_values_arrive_together_and_in_order(writer_and_reader):
    writer, reader = writer_and_reader
    visitor = Visitor()
    visitor.ops(writer, op("update", values=VALUES))
    assert exactly(visitor.ops(reader, ITEMS).values[0]) == exactly([[k, v] for k, v in VALUES.items()])


@pytest.mark.parametrize("size", [100, 4_000, 300_000])
def test_large_data_that_compresses_arrives(writer_and_reader, store, size):
    if store.engine == "signed_cookies" and size > 4_000:
        size = 60_000  # What still fits into a cookie, compressed.
    writer, reader = writer_and_reader
    visitor = Visitor()
    visitor.ops(writer, put("text", "꽃" * size))
    assert visitor.ops(reader, get("text")).values == ["꽃" * size]


def test_large_data_that_hardly_compresses_arrives(writer_and_reader, store):
    if store.engine == "signed_cookies":
        pytest.skip("more than a cookie holds")
    writer, reader = writer_and_reader
    numbers = [(index * 2_654_435_761) % 2**32 for index in range(40_000)]
    visitor = Visitor()
    visitor.ops(writer, put("numbers", numbers))
    assert visitor.ops(reader, get("numbers")).values == [numbers]


def test_a_session_with_an_expiry_of_its_own_is_read(writer_and_reader):
    writer, reader = writer_and_reader
    for expiry in (3_600, 0, {"in": 7_200}, {"at": "2099-01-01T00:00:00+09:00"}, {"at": "2099-01-01T00:00:00.250000Z"}):
        visitor = Visitor()
        visitor.ops(writer, put("a", 1), op("set_expiry", value=expiry))
        values = visitor.ops(reader, get("a"), op("expires_at_browser_close"), op("expiry_age")).values
        assert values[:2] == [1, expiry == 0]
        assert values[2] > 3_500


def test_a_flushed_session_is_empty_on_the_other_side(writer_and_reader, store):
    if store.engine in ("signed_cookies", "cached_db"):
        pytest.skip("nothing is shared that could be deleted, or the other process has it cached")
    writer, reader = writer_and_reader
    visitor = Visitor()
    visitor.ops(writer, put("a", 1))
    old = visitor.value
    visitor.ops(reader, op("flush"))
    assert visitor.value is None
    assert Visitor(old).ops(writer, ITEMS).values == [[]]


def test_they_take_turns_on_one_session(sides, store):
    if store.engine not in TURN_TAKING_ENGINES:
        pytest.skip("each process has its own locmem cache")
    visitor = Visitor()
    for turn, (name, value) in enumerate(VALUES.items()):
        visitor.ops(sides[turn % 2], put(name, value))
    for side in sides:
        assert exactly(dict(visitor.ops(side, ITEMS).values[0])) == exactly(VALUES)


def test_counting_by_turns_loses_nothing(sides, store):
    if store.engine not in TURN_TAKING_ENGINES:
        pytest.skip("each process has its own locmem cache")
    visitor = Visitor()
    for turn in range(20):
        assert visitor.ops(sides[turn % 2], op("incr", key="n", by=1)).values == [turn + 1]


def test_the_key_is_cycled_by_either(sides, store):
    if store.engine not in TURN_TAKING_ENGINES:
        pytest.skip("each process has its own locmem cache")
    visitor = Visitor()
    visitor.ops(sides[0], put("a", 1))
    for turn in range(4):
        old = visitor.value
        visitor.ops(sides[turn % 2], op("cycle_key"))
        if store.engine != "signed_cookies":
            assert visitor.value != old
            assert Visitor(old).ops(sides[(turn + 1) % 2], ITEMS).values == [[]]
    assert visitor.ops(sides[1], ITEMS).values == [[["a", 1]]]


def test_what_a_request_does_not_touch_is_not_rewritten(sides, store):
    """JSON that Python writes differently from others comes back as it was."""
    if not store.can_be_inspected or store.engine == "cached_db":
        pytest.skip("there is no stored text to look at, or it is cached")
    django, probe = sides
    visitor = Visitor()
    visitor.ops(django, put("floats", [1e16, 1e-7, 0.1]), put("text", "한/\u2028\x7f"), put("a", 1))
    before = unsigned(store.text(visitor.value))
    visitor.ops(probe, put("a", 2))
    assert exactly(unsigned(store.text(visitor.value))) == exactly(before | {"a": 2})


@pytest.mark.parametrize("written", [b'{"a":1,"n":1e400}', b'{"n":-1E+2,"a":1}', b'{ "a" : 1 , "\\u0061b":"\\u00e9\\/" }'])
def test_unusual_json_is_read(store, probe, written):
    if store.engine == "signed_cookies":
        visitor = Visitor(signed(written, salt=COOKIE))
    else:
        key = "unusual0" + format(abs(hash(written)) % 10**12, "x")
        store.put(key, signed(written, salt=STORED))
        visitor = Visitor(key)
    assert visitor.ops(probe(**store.settings), get("a")).values == [1]


@pytest.mark.parametrize("engine", ["db", "file", "signed_cookies"])
@pytest.mark.skipif("4.2" not in django_versions(), reason="only Django 4.2 has a PickleSerializer")
class TestPickledSessions:
    PLAIN = {name: value for name, value in VALUES.items() if name != "deep"}

    def test_plain_values_are_read(self, engine, new_store, django, probe):
        settings = new_store(engine).settings | PICKLE
        visitor = Visitor()
        visitor.ops(django("4.2", **settings), op("update", values=self.PLAIN))
        got = visitor.ops(probe(**settings), ITEMS).values[0]
        assert exactly(got) == exactly([[k, v] for k, v in self.PLAIN.items()])

    def test_a_change_is_readable_for_django_or_refused(self, engine, new_store, django, probe):
        settings = new_store(engine).settings | PICKLE
        visitor = Visitor()
        visitor.ops(django("4.2", **settings), put("a", 1))
        answer = visitor.ops(probe(**settings), put("b", 2))
        expected = [["a", 1], ["b", 2]] if answer.status == 200 else [["a", 1]]
        assert visitor.ops(django("4.2", **settings), ITEMS).values[0] == expected


@pytest.mark.parametrize("engine", ["db", "file"])
@pytest.mark.parametrize("writer_first", [True, False], ids=["django_writes", "probe_writes"])
def test_without_time_zones_both_keep_the_same_clock(engine, writer_first, new_store, django, probe):
    settings = new_store(engine).settings | {"USE_TZ": False, "TIME_ZONE": "Asia/Seoul"}
    sides = [django(newest_django(), **settings), probe(**settings)]
    writer, reader = sides if writer_first else sides[::-1]
    for expiry in (None, 3_600, {"in": 3_600}):
        visitor = Visitor()
        visitor.ops(writer, put("a", 1), op("set_expiry", value=expiry))
        a, age = visitor.ops(reader, get("a"), op("expiry_age")).values
        assert a == 1
        assert (1_209_600 if expiry is None else 3_600) - 60 < age <= (1_209_600 if expiry is None else 3_600)
