"""What lies in a cache: the same bytes from both, the same time to live; and what a fault or an attacker puts there."""

import io
import json
import pickle
import time
import zlib
from random import Random

import pytest

from caches import DjangoRedisJson
from servers import django_versions, newest_django
from stores import CACHED
from test_hostile import LOOKING, mutations, pickles
from values import VALUES, exactly
from visitor import ITEMS, Visitor, get, op, put

WITH_A_CLOCK = [kind for kind in CACHED if "redis" in kind]
PICKLED = [kind for kind in CACHED if kind != "cache/django-redis-json"]


def data_in(store, key):
    """The session that a cached entry holds, as Python's own pickle reads it."""
    raw = store.raw(key)
    if isinstance(store.cache, DjangoRedisJson):
        return json.loads(raw)
    if store.kind == "cache/filebased":
        file = io.BytesIO(raw)
        assert pickle.load(file) > time.time()
        return pickle.loads(zlib.decompress(file.read()))
    if store.kind == "cache/django-redis-zlib":
        raw = zlib.decompress(raw) if raw[:1] == b"\x78" else raw
    return pickle.loads(raw)


@pytest.mark.parametrize("kind", CACHED)
@pytest.mark.parametrize("side", ["django", "probe"])
def test_an_entry_is_a_dictionary_in_the_form_of_its_backend(kind, side, shared_store, django, probe):
    store = shared_store(kind)
    server = probe(**store.settings) if side == "probe" else django(newest_django(), **store.settings)
    visitor = Visitor()
    visitor.ops(server, op("update", values=VALUES))
    assert exactly(data_in(store, visitor.value)) == exactly(VALUES)


@pytest.mark.parametrize("kind", WITH_A_CLOCK)
@pytest.mark.parametrize("side", ["django", "probe"])
@pytest.mark.parametrize(("expiry", "seconds"), [(None, 1_209_600), (300, 300), (0, 1_209_600), ({"in": 7_200}, 7_200), (4_000_000, 4_000_000)])
def test_an_entry_lives_as_long_as_the_session(kind, side, expiry, seconds, shared_store, django, probe):
    store = shared_store(kind)
    server = probe(**store.settings) if side == "probe" else django(newest_django(), **store.settings)
    visitor = Visitor()
    visitor.ops(server, put("a", 1), op("set_expiry", value=expiry))
    assert seconds - 30 < store.cache.seconds_left(store.name(visitor.value)) <= seconds


@pytest.mark.parametrize("kind", CACHED)
@pytest.mark.parametrize("writer_first", [True, False], ids=["django_writes", "probe_writes"])
def test_a_session_of_more_than_thirty_days_is_no_time_of_the_past(kind, writer_first, shared_store, django, probe):
    # Memcached takes a larger number for a date.
    settings = shared_store(kind).settings | {"SESSION_COOKIE_AGE": 31 * 86_400}
    sides = [django(newest_django(), **settings), probe(**settings)]
    writer, reader = sides if writer_first else sides[::-1]
    visitor = Visitor()
    visitor.ops(writer, put("a", 1))
    assert visitor.ops(reader, get("a")).values == [1]
    visitor.ops(reader, put("b", 2))
    assert visitor.ops(writer, ITEMS).values == [[["a", 1], ["b", 2]]]


@pytest.mark.parametrize("kind", CACHED)
@pytest.mark.parametrize("server", ["probe", *django_versions()])
def test_an_expired_entry_is_an_empty_session(kind, server, shared_store, django, probe):
    store = shared_store(kind)
    server = probe(**store.settings) if server == "probe" else django(server, **store.settings)
    visitor = Visitor()
    visitor.ops(server, put("a", 1))
    store.expire(visitor.value)
    assert visitor.ops(server, get("a")).values == [None]
    assert visitor.value is None


def rubbish():
    random = Random(6)
    yield from (b"", b".", b"\x80", b"\x80\x05.", b"N.", b"}", b"{}", b"[]", b"null", b"nonsense", b"\x00" * 100, b"12345", b"-1")
    yield b"(" * 5_000
    yield b"]" * 9_999 + b"."
    yield b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."
    yield pickle.dumps([1, 2])
    yield pickle.dumps("text")
    yield from (random.randbytes(random.randint(1, 200)) for _ in range(30))
    yield from mutations(pickle.dumps({"a": [1, 2.5, "text", None, {"b": (True, b"bytes")}]}), 100, seed=7)
    yield from mutations(zlib.compress(pickle.dumps({"a": "text" * 50})), 30, seed=8)


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("kind", CACHED)
def test_rubbish_in_a_cache_is_no_failure(kind, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings)
    for number, data in enumerate(rubbish()):
        key = f"rubbish{number:025}"
        store.put_raw(key, data)
        # Only what a mutation made of "a" may be a value that JSON cannot tell.
        operations = [get("other"), op("keys")] if number % 2 else [op("is_empty"), op("expiry_age")]
        answer = Visitor(key).ops(server, *operations)
        assert answer.status == 200, data
        store.delete(key)


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("kind", CACHED)
def test_rubbish_in_a_cache_creates_nothing(kind, shared_store, probe):
    store = shared_store(kind)
    server = probe(**store.settings)
    store.put_raw("rubbishrubbish", b"no session")
    before = store.keys()
    for operations in LOOKING:
        assert Visitor("rubbishrubbish").ops(server, *operations).status == 200
    assert store.keys() <= before


@pytest.mark.beyond_django(sometimes=True)
@pytest.mark.parametrize("kind", PICKLED)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_cached_pickle_is_never_executed(kind, protocol, shared_store, probe, tmp_path):
    store = shared_store(kind)
    server = probe(**store.settings)
    witness = tmp_path / "executed"
    for number, make in enumerate(pickles().values()):
        visitor = Visitor(f"pickle{protocol}{number}evil")
        data = pickle.dumps(make(str(witness)), protocol)
        store.put_raw(visitor.value, zlib.compress(data) if kind == "cache/django-redis-zlib" else data)
        assert visitor.ops(server, get("a"), op("has", key="evil")).status < 500
        # The value itself cannot be told in JSON: asking for it may be an error that says so.
        visitor.ops(server, get("evil"))
        visitor.ops(server, put("a", 2))
        assert not witness.exists()
