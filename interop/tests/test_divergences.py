"""What the library does where it differs from Django on purpose (divergences.py lists what the comparison leaves out)."""

import pytest

from browser import Browser
from sequences import FORGED, UNKNOWN
from servers import newest_django
from stores import CACHED, ROWS, STORING
from test_messages import STORAGES, add, message, noise, texts
from test_passwords import CHEAPEST_FIRST, hashed, valid
from visitor import ITEMS, Visitor, get, op, put, send

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


@pytest.mark.beyond_django
def test_a_page_that_asks_for_no_token_does_not_vary_though_the_secret_is_in_the_session(shared_store, probe):
    """Django looks for the secret at the start of each request, so that no cache may keep any page."""
    server = probe(**shared_store("db/sqlite").settings, CSRF_USE_SESSIONS=True)
    for path in ("/bench/none", "/csrf/protected"):
        assert send(server, "GET", path).headers.get("Vary") is None
    assert send(server, "GET", "/csrf/token").headers["Vary"] == "Cookie"


@pytest.mark.beyond_django
def test_a_message_that_finds_no_room_is_no_error_under_debug_either(shared_store, probe):
    """Django raises an exception there, after the view has done its work; here the log says so."""
    server = probe(**shared_store("db/sqlite").settings, MESSAGE_STORAGE=STORAGES["cookie"], DEBUG=True)
    browser = Browser()
    add(browser, server, *(message(noise(60, seed)) for seed in range(20)))
    assert 0 < len(texts(browser, server)) < 20
    assert "lost" in server.log()


@pytest.mark.beyond_django(sometimes=True)
def test_bcrypt_does_not_look_beyond_72_bytes(shared_store, django, probe):
    """As with every bcrypt before Python's of version 5, with which Django refuses longer passwords by an exception."""
    settings = shared_store("db/sqlite").settings | CHEAPEST_FIRST
    server = probe(**settings)
    encoded = hashed(server, "x" * 300, "bcrypt")
    assert valid(server, "x" * 72, encoded)
    assert valid(django(newest_django(), **settings), "x" * 72, encoded)
