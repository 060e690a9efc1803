"""Cookies, rows, files and pickles that an attacker or a fault has made: an empty session, never a failure, never a new row."""

import base64
import pickle
import zlib
from random import Random

import pytest

from forging import COOKIE, STORED, signed
from stores import CACHED, EVERY_STORE, ROWS, SIGNED
from visitor import ITEMS, Visitor, get, op, put

LOOKING = ([], [get("a")], [op("keys"), op("expiry_age"), op("expires_at_browser_close")])
PICKLE = {"SESSION_SERIALIZER": "django.contrib.sessions.serializers.PickleSerializer"}


@pytest.fixture(scope="module", params=EVERY_STORE)
def store(request, shared_store):
    return shared_store(request.param)


@pytest.fixture(scope="module")
def server(store, probe):
    return probe(**store.settings)


def stored(store):
    return store.keys() if store.can_be_inspected else None


def mutations(text, count, seed):
    """`text` with bytes changed, removed, doubled and moved."""
    random = Random(seed)
    for _ in range(count):
        data = bytearray(text)
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(data)) if data else 0
            kind = random.randrange(5)
            if kind == 0 and data:
                data[place] = random.randrange(256)
            elif kind == 1 and data:
                del data[place : place + random.randint(1, 20)]
            elif kind == 2:
                data[place:place] = data[place : place + random.randint(1, 40)]
            elif kind == 3:
                data[place:place] = random.randbytes(random.randint(1, 8))
            else:
                data = data[place:] + data[:place]
        yield bytes(data)


def for_a_header(data):
    """Without what no HTTP header may hold."""
    return bytes(byte for byte in data if byte >= 0x20 and byte != 0x7F).strip()


def random_cookies(seed):
    random = Random(seed)
    for _ in range(60):
        yield b"sessionid=" + random.randbytes(random.randint(0, 60))
        yield random.randbytes(random.randint(1, 60))
        letters = b'abc019:;,="\\. %\xed\x95\x9c'
        yield b"sessionid=" + bytes(random.choice(letters) for _ in range(random.randint(0, 60)))


def test_random_cookies_are_empty_sessions(server, store):
    before = stored(store)
    for number, cookie in enumerate(random_cookies(seed=1)):
        answer = Visitor().ops(server, *LOOKING[number % 3], cookie=for_a_header(cookie))
        assert answer.status == 200, cookie
    assert stored(store) == before


def test_mutated_cookies_are_empty_sessions(server, store):
    visitor = Visitor()
    visitor.ops(server, put("a", "text " * 50))
    before = stored(store)
    right = f"sessionid={visitor.value}".encode()
    for number, cookie in enumerate(mutations(right, 200, seed=2)):
        answer = Visitor().ops(server, *LOOKING[number % 3], cookie=for_a_header(cookie))
        assert answer.status == 200, cookie
    assert stored(store) == before


# Django's Memcached refuses a key with a space by an exception, which nothing catches outside of loading.
@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("operation", ["flush", "clear", "cycle_key", "save"])
def test_ending_or_saving_under_a_forged_cookie_is_no_failure(server, operation):
    for cookie in random_cookies(seed=3):
        answer = Visitor().ops(server, op(operation), cookie=for_a_header(cookie))
        assert answer.status < 500, cookie


@pytest.mark.parametrize("size", [4_000, 16_000, 60_000])
@pytest.mark.parametrize("filling", ["a", ".", ":", '"', "\\", ";", "=", "%00"])
def test_oversized_cookies_are_no_failure(server, store, size, filling):
    before = stored(store)
    cookie = "sessionid=" + (filling * size)[:size]
    assert Visitor().ops(server, get("a"), cookie=cookie).status < 500
    assert stored(store) == before


# Well signed, so that only the content is odd. What Django itself fails on must not fail here.
ODD_CONTENTS = {
    "an array": [1, 2],
    "a string": "text",
    "a number": 5,
    "null": None,
    "an empty payload": b"",
    "half an object": b'{"a":',
    "two objects": b'{"a":1}{"b":2}',
    "not UTF-8": b'{"a":"\xff\xfe\xc3"}',
    "raw UTF-8": '{"a":"한"}'.encode(),
    "NaN": b'{"b":NaN,"c":-Infinity}',
    "an unknown escape": b'{"a":"\\x"}',
    "half a surrogate pair": b'{"b":"\\ud83d"}',
    "a doubled key": b'{"b":1,"b":2}',
    "a nested bomb": b'{"b":' + b"[" * 100_000,
    "deeply nested": b'{"b":' + b"[" * 900 + b"]" * 900 + b"}",
    "a huge number": b'{"b":' + b"9" * 5_000 + b"}",
    "a huge exponent": b'{"b":1e999999999}',
    "NUL": b"\x00" * 50,
    "an expiry of text": {"_session_expiry": "soon"},
    "an expiry of nothing": {"_session_expiry": ""},
    "an expiry of a list": {"_session_expiry": [1]},
    "an expiry of an object": {"_session_expiry": {"in": 1}},
    "an expiry of true": {"_session_expiry": True},
    "an expiry of a float": {"_session_expiry": 1.5},
    "an expiry beyond all calendars": {"_session_expiry": 10**30},
    "an expiry before all calendars": {"_session_expiry": -(10**30)},
    "an expiry of a huge float": b'{"_session_expiry":1e308}',
    "an expiry in the year 1": {"_session_expiry": "0001-01-01T00:00:00+00:00"},
    "an expiry in the year 9999": {"_session_expiry": "9999-12-31T23:59:59.999999+00:00"},
    "an expiry without an offset": {"_session_expiry": "2099-01-01T00:00:00"},
    "a timeout of text": {"_session_init_timestamp_": "now"},
    "a test cookie of a list": {"testcookie": ["worked"]},
}


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("settings", [{}, {"SESSION_EXPIRE_SECONDS": 3_600}], ids=["default", "with a timeout"])
@pytest.mark.parametrize("kind", SIGNED)
@pytest.mark.parametrize("name", ODD_CONTENTS)
def test_odd_contents_are_no_failure(name, kind, settings, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings, **settings)
    salt = COOKIE if kind == "signed_cookies" else STORED
    text = signed(ODD_CONTENTS[name], salt=salt, compress=True)
    visitor = Visitor(text)
    if kind != "signed_cookies":
        visitor = Visitor("odd" + base64.b32encode(f"{name}{settings}".encode()).decode().lower().replace("=", "0")[:36])
        store.put(visitor.value, text)
    before = stored(store)
    for operations in (*LOOKING, [op("test_cookie_worked"), op("has", key="a")]):
        answer = Visitor(visitor.value).ops(server, *operations)
        assert answer.status < 500, (operations, answer)
    if before is not None:
        assert stored(store) <= before
    # Changing it may be refused, but it is no accident either.
    assert Visitor(visitor.value).ops(server, put("b", 1)).status < 500 or name in ("NaN", "half a surrogate pair")


def compression_bombs():
    bomb = zlib.compress(b'{"a":"' + b"x" * 50_000_000 + b'"}', 9)
    right = signed({"a": "x" * 1_000}, compress=True)
    yield "unsigned", "." + base64.urlsafe_b64encode(bomb).decode().rstrip("=") + ":1tXyZA:" + right.rsplit(":", 1)[1]
    yield "no zlib", ".AAAAAAAAAAAAAAAA:1tXyZA:AAAAAAAAAAAAAAAA"
    yield "cut off", right[: len(right) // 2]


@pytest.mark.parametrize(("name", "text"), list(compression_bombs()), ids=lambda value: value[:20])
@pytest.mark.parametrize("kind", SIGNED)
def test_compressed_rubbish_is_an_empty_session(kind, name, text, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings)
    visitor = Visitor(text)
    if store.engine != "signed_cookies":
        visitor = Visitor("compressed" + name.replace(" ", ""))
        store.put(visitor.value, text)
    before = stored(store)
    assert visitor.ops(server, get("a")).status < 500
    assert stored(store) == before


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("kind", [*ROWS, "file"])
def test_mutated_rows_and_files_are_empty_sessions(kind, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings)
    right = signed({"a": 1, "text": "text " * 100}, compress=True).encode()
    keys = []
    for number, text in enumerate(mutations(right, 100, seed=4)):
        if text == right:
            continue
        keys.append(f"mutated{number:025}")
        store.put(keys[-1], text)
    before = stored(store)
    for number, key in enumerate(keys):
        answer = Visitor(key).ops(server, *(LOOKING[number % 3] or [ITEMS]))
        assert answer.status == 200, store.text(key)
        assert answer.values[0] in (None, [])
    assert stored(store) == before


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("column", ["session_data", "expire_date"])
# Only SQLite lets a column hold what is of another type.
@pytest.mark.parametrize("kind", ["db/sqlite", "cached_db/sqlite+locmem"])
@pytest.mark.parametrize("value", ["", "x", 5, -1.5, b"\x00\xff", "2099-13-45 99:99:99", "2099-01-01", "2099-01-01 00:00:00+00:00"])
def test_columns_of_the_wrong_kind_are_no_failure(kind, column, value, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings)
    key = f"column{column.replace('_', '')}"
    store.put(key, signed({"a": 1}))
    store.sql(f"UPDATE django_session SET {column} = ? WHERE session_key = ?", value, key)
    before = stored(store)
    assert Visitor(key).ops(server, get("a")).status < 500
    assert stored(store) <= before


def pickles():
    class Run:
        def __init__(self, path):
            self.path = path

        def __reduce__(self):
            return (exec, (f"open({self.path!r}, 'w').close()",))

    return {
        "at the top": lambda path: Run(path),
        "as a value": lambda path: {"a": 1, "evil": Run(path)},
        "nested": lambda path: {"a": 1, "evil": [{"b": (Run(path),)}]},
    }


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("serializer", [{}, PICKLE], ids=["JSON", "pickle"])
@pytest.mark.parametrize("kind", SIGNED)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_executed(kind, protocol, serializer, shared_store, probe, tmp_path):
    store = shared_store(kind)
    server = probe(**store.settings, **serializer)
    salt = COOKIE if kind == "signed_cookies" else STORED
    witness = tmp_path / "executed"
    for number, make in enumerate(pickles().values()):
        text = signed(pickle.dumps(make(str(witness)), protocol), salt=salt, compress=True)
        visitor = Visitor(text)
        if kind != "signed_cookies":
            visitor = Visitor(f"pickle{protocol}{number}{len(serializer)}evil")
            store.put(visitor.value, text)
        assert visitor.ops(server, get("a"), op("has", key="evil")).status < 500
        # The value itself cannot be told in JSON: asking for it may be an error that says so.
        visitor.ops(server, get("evil"))
        visitor.ops(server, put("a", 2))
        assert not witness.exists()


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("kind", ["db/sqlite", "file", "signed_cookies"])
def test_broken_pickles_are_no_failure(kind, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings, **PICKLE)
    salt = COOKIE if kind == "signed_cookies" else STORED
    right = pickle.dumps({"a": [1, 2.5, "text", None, {"b": (True, b"bytes")}]}, 4)
    recursive = []
    recursive.append(recursive)
    odd = [pickle.dumps({"a": recursive}), b"(" * 5_000, b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"." * 10, b"]" * 9_999 + b"."]
    for number, payload in enumerate([*odd, *mutations(right, 150, seed=5)]):
        text = signed(payload, salt=salt)
        visitor = Visitor(text)
        if kind != "signed_cookies":
            visitor = Visitor(f"brokenpickle{number}")
            store.put(visitor.value, text)
        # Only what a mutation made of "a" may be a value that JSON cannot tell.
        assert visitor.ops(server, get("other"), op("keys")).status < 500, payload


# A quoted cookie may hold any character as an octal escape; these no database, file system or cache takes for a key.
TOO_SHORT = "\\000"
UNSTORABLE = [TOO_SHORT, TOO_SHORT * 8, "abcdefgh\\000ijkl", "abcdefgh\\012ijkl", "abcdefgh ijkl", "abcdefgh\\377\\376", "\\355\\240\\200abcdefgh", "é" * 300]


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("value", UNSTORABLE)
@pytest.mark.parametrize("operations", [[get("a")], [put("a", 1)], [op("save")], [op("flush")]], ids=["get", "set", "save", "flush"])
def test_a_key_that_cannot_be_stored_is_no_failure(server, store, value, operations):
    before = stored(store)
    answer = Visitor().ops(server, *operations, cookie=f'sessionid="{value}"')
    assert answer.status < 500
    # What is too short for a key is none, so that a save begins a session, in Django as here.
    begins = operations == [put("a", 1)] or (operations == [op("save")] and value == TOO_SHORT)
    assert begins or stored(store) == before
