"""What is particular to stores on servers: how a URL names them, keys that many servers share, and servers that are not there."""

import time

import pytest

import databases
import services
from caches import Memcached
from servers import django_versions, newest_django
from visitor import ITEMS, Visitor, get, op, put

CACHE = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}
CACHED_DB = {"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"}

# How long a store that is down may keep a visitor waiting (2 s), and a machine that does other things as well.
BOUND_SECONDS = 2 + 8

URLS = {
    "redis": lambda: services.url("redis"),
    "redis+cluster": lambda: "redis+cluster://" + ",".join(services.addresses("redis-cluster")),
    "redis+sentinel": lambda: services.url("redis-sentinel"),
    "memcached": lambda: services.url("memcached"),
}


def take_turns(one, other):
    """Each reads and changes what the other wrote."""
    for first, second in ((one, other), (other, one)):
        visitor = Visitor()
        visitor.ops(first, put("a", "값"))
        visitor.ops(second, put("b", 2))
        assert visitor.ops(first, ITEMS).values == [[["a", "값"], ["b", 2]]]
        old = visitor.value
        visitor.ops(second, op("flush"))
        assert Visitor(old).ops(first, ITEMS).values == [[]]


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("scheme", URLS)
def test_a_url_names_the_cache(scheme, version, django, probe):
    settings = CACHE | {"CACHE_URL": URLS[scheme]()}
    take_turns(django(version, **settings), probe(**settings))


def test_a_url_names_the_table_of_a_cache(new_store, django, probe):
    store = new_store("cache/database-on-postgres")
    settings = store.settings | {"CACHES": None, "CACHE_URL": "database://session_cache"}
    take_turns(django(newest_django(), **settings), probe(**settings))


def test_a_url_names_the_directory_of_a_cache(django, probe, tmp_path):
    settings = CACHE | {"CACHE_URL": f"file://{tmp_path}/cache"}
    take_turns(django(newest_django(), **settings), probe(**settings))


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("client", ["PyMemcacheCache", "PyLibMCCache"])
def test_both_look_for_a_key_on_the_same_of_two_memcached(client, version, django, probe, tmp_path):
    cache = Memcached(tmp_path, None, addresses=two_memcached())
    cache.settings["BACKEND"] = f"django.core.cache.backends.memcached.{client}"
    settings = CACHE | {"CACHES": {"default": cache.settings}}
    sides = django(version, **settings), probe(**settings)
    visitors = [Visitor() for _ in range(40)]
    for number, visitor in enumerate(visitors):
        visitor.ops(sides[number % 2], put("n", number))
    held = [sum(client.get(cache.name(f"django.contrib.sessions.cache{v.value}")) is not None for v in visitors) for client in cache.clients()]
    assert sum(held) == len(visitors)
    assert min(held) > 0, "every key is on one server"
    for number, visitor in enumerate(visitors):
        assert visitor.ops(sides[(number + 1) % 2], get("n")).values == [number]


TWO_MEMCACHED = []


def two_memcached():
    if not TWO_MEMCACHED:
        urls = (services.url("memcached"), services.another("memcached"))
        TWO_MEMCACHED.extend(url.rpartition("/")[2] for url in urls)
    return TWO_MEMCACHED


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("kind", ["cache/redis", "cache/memcached", "cached_db/postgres+redis", "cached_db/mariadb+memcached"])
def test_prefix_and_version_are_part_of_the_key(kind, version, shared_store, django, probe):
    store = shared_store(kind)
    of = store.cache.settings
    elsewhere = {
        "another prefix": of | {"KEY_PREFIX": of["KEY_PREFIX"] + "x"},
        "another version": of | {"VERSION": 7},
    }
    for name, other in elsewhere.items():
        settings = store.settings | {"CACHES": {"default": of, "visitors": other}, "SESSION_CACHE_ALIAS": "visitors"}
        take_turns(django(version, **settings), probe(**settings))
        if store.engine == "cache":
            visitor = Visitor()
            visitor.ops(probe(**settings), put("a", 1))
            assert visitor.ops(django(version, **store.settings), get("a")).values == [None], name


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("kind", ["cached_db/postgres+redis", "cached_db/mariadb+memcached"])
class TestACacheBesideARow:
    """cached_db over a cache that several processes share."""

    def test_what_either_wrote_is_in_the_row(self, kind, version, shared_store, django, probe):
        store = shared_store(kind)
        sides = django(version, **store.settings), probe(**store.settings)
        for writer, reader in (sides, sides[::-1]):
            visitor = Visitor()
            visitor.ops(writer, put("a", 1))
            visitor.ops(reader, put("b", 2))
            store.evict(visitor.value)
            assert visitor.ops(writer, ITEMS).values == [[["a", 1], ["b", 2]]]

    def test_a_reader_that_filled_the_cache_is_not_believed_after_a_change(self, kind, version, shared_store, django, probe):
        store = shared_store(kind)
        sides = django(version, **store.settings), probe(**store.settings)
        for writer, reader in (sides, sides[::-1]):
            visitor = Visitor()
            visitor.ops(writer, put("n", 0))
            for number in range(1, 6):
                store.evict(visitor.value)
                assert visitor.ops(reader, get("n")).values == [number - 1]
                visitor.ops(writer, put("n", number))
                assert visitor.ops(reader, get("n")).values == [number]

    @pytest.mark.parametrize("ending", ["flush", "cycle_key"])
    def test_what_ended_at_one_is_gone_at_the_other(self, kind, version, ending, shared_store, django, probe):
        store = shared_store(kind)
        sides = django(version, **store.settings), probe(**store.settings)
        for ender, other in (sides, sides[::-1]):
            visitor = Visitor()
            visitor.ops(other, put("a", 1))
            old = visitor.value
            visitor.ops(ender, get("a"))
            visitor.ops(ender, op(ending))
            assert Visitor(old).ops(other, get("a")).values == [None]
            # Nor does a request that began before bring it back.
            assert Visitor(old).ops(other, op("save")).status == 400
            assert not store.holds(old)


def waited(act):
    begun = time.monotonic()
    result = act()
    return result, time.monotonic() - begun


@pytest.mark.beyond_django
class TestAServerThatIsNotThere:
    NOWHERE = "127.0.0.1:1"

    DOWN = {
        "postgres": {"DATABASE_URL": f"postgres://shop:a-password-nobody-may-read@{NOWHERE}/shop"},
        "mariadb": {"DATABASE_URL": f"mysql://shop:a-password-nobody-may-read@{NOWHERE}/shop"},
        "redis": CACHE | {"CACHE_URL": f"redis://:a-password-nobody-may-read@{NOWHERE}/0"},
        "memcached": CACHE | {"CACHE_URL": f"memcached://{NOWHERE}"},
    }

    @pytest.mark.parametrize("name", DOWN)
    def test_it_is_named_within_the_bound_and_no_password_with_it(self, name, probe_log):
        (server, log), seconds = waited(lambda: probe_log(**self.DOWN[name]))
        text = log
        if server is not None:
            answer, seconds = waited(lambda: Visitor().ops(server, put("a", 1)))
            assert answer.status == 503
            assert answer.set_cookies == []
            text = answer.text + server.log()
        assert seconds < BOUND_SECONDS
        assert "127.0.0.1" in text
        assert "a-password-nobody-may-read" not in text

    @pytest.mark.parametrize("name", ["redis", "memcached"])
    def test_a_visitor_is_not_taken_for_an_anonymous_one(self, name, probe_log):
        server, log = probe_log(**self.DOWN[name])
        if server is None:
            assert self.NOWHERE in log
            return
        answer = Visitor("0123456789abcdefghijklmnopqrstuv").ops(server, get("a"))
        assert answer.status == 503
        assert answer.set_cookies == []

    @pytest.mark.parametrize("name", ["redis", "memcached"])
    def test_cached_db_goes_on_without_its_cache(self, name, probe, new_store):
        settings = new_store("db/sqlite").settings | self.DOWN[name] | CACHED_DB
        server = probe(**settings)
        visitor = Visitor()
        visitor.ops(server, put("a", 1))
        assert visitor.ops(server, get("a")).values == [1]
        visitor.ops(server, op("flush"))
        assert visitor.value is None


@pytest.mark.beyond_django
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
@pytest.mark.parametrize("engine", [{}, CACHED_DB | {"CACHE_URL": "locmem://"}], ids=["db", "cached_db"])
def test_a_database_without_the_table_is_told_with_the_command_that_makes_it(engine, kind, probe_log, tmp_path):
    database = databases.DATABASES[kind](tmp_path, empty=True)
    server, log = probe_log(DATABASE_URL=database.url, **engine)
    if server is not None:
        answer = Visitor().ops(server, put("a", 1))
        assert answer.status == 503
        log = answer.text + server.log()
        server.stop()
    database.drop()
    assert "django_session" in log
    assert "migrate" in log


@pytest.mark.beyond_django
def test_a_database_cache_without_its_table_is_told_with_the_command_that_makes_it(probe_log, new_store):
    settings = new_store("db/postgres").settings | CACHE | {"CACHE_URL": "database://no_such_table"}
    server, log = probe_log(**settings)
    if server is not None:
        answer = Visitor().ops(server, put("a", 1))
        assert answer.status == 503
        log = answer.text + server.log()
    assert "no_such_table" in log
    assert "createcachetable" in log
