"""One store, two servers: what either writes, the other reads."""

import pytest

from forging import COOKIE, STORED, signed
from servers import django_versions, newest_django
from stores import COMPRESSORS, ROWS, SHARED, SIGNED
from values import VALUES, exactly
from visitor import ITEMS, Visitor, get, op, put

PICKLE = {"SESSION_SERIALIZER": "django.contrib.sessions.serializers.PickleSerializer"}


@pytest.fixture(scope="module", params=SHARED)
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


@pytest.mark.parametrize("kind", [kind for kind in SHARED if kind != "signed_cookies"])
@pytest.mark.parametrize("probe_writes", [False, True], ids=["django_writes", "probe_writes"])
def test_large_data_that_hardly_compresses_arrives(kind, probe_writes, shared_store, django, probe):
    settings = shared_store(kind).settings
    sides = django(newest_django(), **settings), probe(**settings)
    writer, reader = sides[::-1] if probe_writes else sides
    numbers = [(index * 2_654_435_761) % 2**32 for index in range(40_000)]
    visitor = Visitor()
    visitor.ops(writer, put("numbers", numbers))
    assert visitor.ops(reader, get("numbers")).values == [numbers]


def test_a_session_with_an_expiry_of_its_own_is_read(writer_and_reader, store):
    writer, reader = writer_and_reader
    # The last year that Memcached knows.
    year = 2037 if "memcached" in store.kind else 2099
    for expiry in (3_600, 0, {"in": 7_200}, {"at": f"{year}-01-01T00:00:00+09:00"}, {"at": f"{year}-01-01T00:00:00.250000Z"}):
        visitor = Visitor()
        visitor.ops(writer, put("a", 1), op("set_expiry", value=expiry))
        values = visitor.ops(reader, get("a"), op("expires_at_browser_close"), op("expiry_age")).values
        assert values[:2] == [1, expiry == 0]
        assert values[2] > 3_500


UNUSUAL = [b'{"a":1,"n":1e400}', b'{"n":-1E+2,"a":1}', b'{ "a" : 1 , "\\u0061b":"\\u00e9\\/" }']


@pytest.mark.parametrize("kind", SIGNED)
@pytest.mark.parametrize("number", range(len(UNUSUAL)))
def test_unusual_json_is_read(kind, number, shared_store, probe):
    store = shared_store(kind)
    written = UNUSUAL[number]
    if store.engine == "signed_cookies":
        visitor = Visitor(signed(written, salt=COOKIE))
    else:
        key = f"unusual{number}"
        store.put(key, signed(written, salt=STORED))
        visitor = Visitor(key)
    assert visitor.ops(probe(**store.settings), get("a")).values == [1]


@pytest.mark.parametrize("kind", ["db/sqlite", "db/postgres", "db/mariadb", "file", "signed_cookies"])
@pytest.mark.skipif("4.2" not in django_versions(), reason="only Django 4.2 has a PickleSerializer")
class TestPickledSessions:
    PLAIN = {name: value for name, value in VALUES.items() if name != "deep"}

    @pytest.mark.beyond_django
    def test_plain_values_are_read(self, kind, new_store, django, probe):
        settings = new_store(kind).settings | PICKLE
        visitor = Visitor()
        visitor.ops(django("4.2", **settings), op("update", values=self.PLAIN))
        got = visitor.ops(probe(**settings), ITEMS).values[0]
        assert exactly(got) == exactly([[k, v] for k, v in self.PLAIN.items()])

    def test_a_change_is_readable_for_django_or_refused(self, kind, new_store, django, probe):
        settings = new_store(kind).settings | PICKLE
        visitor = Visitor()
        visitor.ops(django("4.2", **settings), put("a", 1))
        answer = visitor.ops(probe(**settings), put("b", 2))
        expected = [["a", 1], ["b", 2]] if answer.status == 200 else [["a", 1]]
        assert visitor.ops(django("4.2", **settings), ITEMS).values[0] == expected


CLOCKS = {
    "without time zones": {"USE_TZ": False, "TIME_ZONE": "Asia/Seoul"},
    "without time zones, west of Greenwich": {"USE_TZ": False, "TIME_ZONE": "America/New_York"},
    "with time zones": {"USE_TZ": True, "TIME_ZONE": "Asia/Seoul"},
}


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("kind", [*ROWS, "file", "cache/database-on-sqlite", "cache/database-on-postgres", "cache/database-on-mariadb"])
@pytest.mark.parametrize("writer_first", [True, False], ids=["django_writes", "probe_writes"])
def test_both_keep_the_same_clock(kind, clock, version, writer_first, shared_store, django, probe):
    store = shared_store(kind)
    settings = store.settings | CLOCKS[clock]
    sides = [django(version, **settings), probe(**settings)]
    writer, reader = sides if writer_first else sides[::-1]
    for expiry in (None, 3_600, {"in": 3_600}):
        visitor = Visitor()
        visitor.ops(writer, put("a", 1), op("set_expiry", value=expiry))
        store.evict(visitor.value)
        a, age = visitor.ops(reader, get("a"), op("expiry_age")).values
        assert a == 1
        assert (1_209_600 if expiry is None else 3_600) - 60 < age <= (1_209_600 if expiry is None else 3_600)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("writer_first", [True, False], ids=["django_writes", "probe_writes"])
def test_a_row_expires_at_the_same_moment_for_both(kind, clock, writer_first, shared_store, django, probe):
    store = shared_store(kind)
    settings = store.settings | CLOCKS[clock]
    sides = [django(newest_django(), **settings), probe(**settings)]
    writer, reader = sides if writer_first else sides[::-1]
    # Less than the hours between any two of these clocks; time passes by changing the stored time.
    for passed, expected in ((1_700, 1), (1_900, None)):
        visitor = Visitor()
        visitor.ops(writer, put("a", 1), op("set_expiry", value=1_800))
        store.let_pass(visitor.value, passed)
        assert visitor.ops(reader, get("a")).values == [expected]


@pytest.mark.parametrize("kind", COMPRESSORS)
@pytest.mark.parametrize("size", [1, 15, 1_000])
def test_a_compressed_entry_is_read_and_changed_by_both(kind, size, shared_store, django, probe):
    settings = shared_store(kind).settings
    sides = django(newest_django(), **settings), probe(**settings)
    for writer, reader in (sides, sides[::-1]):
        visitor = Visitor()
        visitor.ops(writer, put("t", "꽃" * size))
        visitor.ops(reader, put("u", 1))
        assert visitor.ops(writer, ITEMS).values == [[["t", "꽃" * size], ["u", 1]]]


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
