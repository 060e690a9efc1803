"""What the library does where it differs from Django on purpose (divergences.py lists what the comparison leaves out)."""

import pytest

from sequences import FORGED, UNKNOWN
from stores import CACHED, ROWS, STORING
from visitor import ITEMS, Visitor, get, op, put

INSPECTED = [kind for kind in STORING if kind != "cache/locmem"]
EVERY_REQUEST = {"SESSION_SAVE_EVERY_REQUEST": True}


@pytest.mark.beyond_django
@pytest.mark.parametrize("kind", INSPECTED)
@pytest.mark.parametrize("operations", [[], [op("is_empty"), op("key")]], ids=["nothing done", "looked at"])
def test_an_unknown_key_creates_nothing_though_every_request_is_saved(kind, operations, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings, **EVERY_REQUEST)
    before = store.keys()
    for cookie in (f"sessionid={UNKNOWN}", *FORGED.values()):
        assert Visitor().ops(server, *operations, cookie=cookie).status == 200, cookie
    assert store.keys() == before


@pytest.mark.beyond_django
@pytest.mark.parametrize("settings", [{}, EVERY_REQUEST], ids=["default", "saved every request"])
def test_an_expired_file_creates_no_file(settings, shared_store, probe):
    store = shared_store("file")
    server = probe(**store.settings, **settings)
    visitor = Visitor()
    visitor.ops(server, put("a", 1))
    old = visitor.value
    before = store.keys()
    store.expire(old)
    assert visitor.ops(server, ITEMS).values == [[]]
    assert visitor.value is None
    assert store.keys() | {old} == before


@pytest.mark.beyond_django
@pytest.mark.parametrize("kind", ROWS)
def test_an_expired_row_creates_no_row_though_every_request_is_saved(kind, shared_store, probe):
    store = shared_store(kind)
    visitor = Visitor()
    visitor.ops(probe(**store.settings), put("a", 1))
    before = store.keys()
    store.expire(visitor.value)
    # A process of its own, whose cache has not seen the session while it lived.
    assert visitor.ops(probe(**store.settings, **EVERY_REQUEST)).status == 200
    assert store.keys() | before == before


@pytest.mark.beyond_django
def test_a_session_too_large_for_a_cookie_is_an_error_and_not_a_cookie_that_browsers_drop(shared_store, probe):
    server = probe(**shared_store("signed_cookies").settings)
    visitor = Visitor()
    visitor.ops(server, put("a", 1))
    numbers = [(index * 2_654_435_761) % 2**32 for index in range(2_000)]
    answer = visitor.ops(server, put("numbers", numbers))
    assert answer.status == 500
    assert answer.set_cookies == []
    assert visitor.ops(server, ITEMS).values == [[["a", 1]]]


@pytest.mark.beyond_django
@pytest.mark.parametrize("kind", ["cache/locmem", *CACHED])
def test_a_save_under_an_unknown_key_varies_on_the_cookie(kind, shared_store, probe):
    answer = Visitor(UNKNOWN).ops(probe(**shared_store(kind).settings), op("save"))
    assert answer.status == 400
    assert answer.set_cookies == []
    assert answer.headers["Vary"] == "Cookie"


@pytest.mark.beyond_django
@pytest.mark.parametrize("kind", ["cache/memcached", "cache/memcached-pylibmc"])
@pytest.mark.parametrize("expiry", [10**9, {"in": 10**9}, {"at": "2099-01-01T00:00:00Z"}], ids=str)
def test_an_expiry_beyond_the_clock_of_memcached_is_not_one_of_the_past(kind, expiry, shared_store, probe):
    server = probe(**shared_store(kind).settings)
    visitor = Visitor()
    visitor.ops(server, put("a", 1), op("set_expiry", value=expiry))
    assert visitor.ops(server, get("a")).values == [1]
