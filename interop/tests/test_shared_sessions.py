"""One store, two servers: what either writes, the other reads."""

import pytest

from forging import COOKIE, STORED, signed
from servers import django_versions, newest_django
from stores import SHARED_ENGINES
from values import VALUES, exactly
from visitor import ITEMS, Visitor, get, op, put

PICKLE = {"SESSION_SERIALIZER": "django.contrib.sessions.serializers.PickleSerializer"}


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


@pytest.mark.parametrize("engine", ["db", "file", "cached_db"])
@pytest.mark.parametrize("probe_writes", [False, True], ids=["django_writes", "probe_writes"])
def test_large_data_that_hardly_compresses_arrives(engine, probe_writes, shared_store, django, probe):
    settings = shared_store(engine).settings
    sides = django(newest_django(), **settings), probe(**settings)
    writer, reader = sides[::-1] if probe_writes else sides
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


UNUSUAL = [b'{"a":1,"n":1e400}', b'{"n":-1E+2,"a":1}', b'{ "a" : 1 , "\\u0061b":"\\u00e9\\/" }']


@pytest.mark.parametrize("number", range(len(UNUSUAL)))
def test_unusual_json_is_read(store, probe, number):
    written = UNUSUAL[number]
    if store.engine == "signed_cookies":
        visitor = Visitor(signed(written, salt=COOKIE))
    else:
        key = f"unusual{number}"
        store.put(key, signed(written, salt=STORED))
        visitor = Visitor(key)
    assert visitor.ops(probe(**store.settings), get("a")).values == [1]


@pytest.mark.parametrize("engine", ["db", "file", "signed_cookies"])
@pytest.mark.skipif("4.2" not in django_versions(), reason="only Django 4.2 has a PickleSerializer")
class TestPickledSessions:
    PLAIN = {name: value for name, value in VALUES.items() if name != "deep"}

    @pytest.mark.beyond_django
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


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("probe_writes", [False, True], ids=["django_writes", "probe_writes"])
def test_a_file_is_named_after_the_cookie(version, probe_writes, new_store, django, probe):
    store = new_store("file")
    settings = store.settings | {"SESSION_COOKIE_NAME": "visitor", "SESSION_COOKIE_AGE": 60}
    sides = django(version, **settings), probe(**settings)
    writer, reader = sides[::-1] if probe_writes else sides
    visitor = Visitor(name="visitor")
    visitor.ops(writer, put("a", 1))
    assert [path.name for path in store.files.iterdir()] == ["visitor" + visitor.value]
    assert visitor.ops(reader, get("a")).values == [1]
