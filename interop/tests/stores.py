"""Where sessions lie: for each kind of store a temporary one, looked into and tampered with from outside."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from caches import CACHES
from databases import DATABASES

ENGINES = ("db", "file", "signed_cookies", "cached_db", "cache")


@dataclass(frozen=True)
class Kind:
    """An engine, and the database and the cache it stands on."""

    engine: str
    database: str | None = None
    cache: str | None = None
    name: str | None = None

    @property
    def id(self):
        on = self.name or "+".join(filter(None, (self.database, self.cache)))
        return f"{self.engine}/{on}" if on else self.engine

    @property
    def embedded(self):
        return self.id in EMBEDDED


EMBEDDED = ("db/sqlite", "file", "signed_cookies", "cached_db/sqlite+locmem", "cache/locmem")

KINDS = {
    kind.id: kind
    for kind in (
        Kind("db", "sqlite"),
        Kind("file"),
        Kind("signed_cookies"),
        Kind("cached_db", "sqlite", "locmem"),
        Kind("cache", cache="locmem"),
        Kind("db", "postgres"),
        Kind("db", "mariadb"),
        Kind("cached_db", "postgres", "redis"),
        Kind("cached_db", "mariadb", "memcached"),
        Kind("cache", cache="redis"),
        Kind("cache", cache="redis-cluster"),
        Kind("cache", cache="redis-sentinel"),
        Kind("cache", cache="django-redis"),
        Kind("cache", cache="django-redis-zlib"),
        Kind("cache", cache="django-redis-json"),
        Kind("cache", cache="memcached"),
        Kind("cache", cache="memcached-pylibmc"),
        Kind("cache", "sqlite", "database", name="database-on-sqlite"),
        Kind("cache", "postgres", "database", name="database-on-postgres"),
        Kind("cache", "mariadb", "database", name="database-on-mariadb"),
        Kind("cache", cache="filebased"),
        # Each compressor once, in a test of its own.
        Kind("cache", cache="django-redis-zstd"),
        Kind("cache", cache="django-redis-lz4"),
        Kind("cache", cache="django-redis-lzma"),
        Kind("cache", cache="django-redis-gzip"),
    )
}

COMPRESSORS = tuple(f"cache/django-redis-{name}" for name in ("zlib", "zstd", "lz4", "lzma", "gzip"))

EVERY_STORE = tuple(id for id in KINDS if id not in COMPRESSORS[1:])

# A locmem cache lives in one process, so two servers share nothing in it.
SHARED = tuple(id for id in EVERY_STORE if id != "cache/locmem")

# Two servers may change one session by turns; over locmem, each process of cached_db would answer from its own copy.
TURN_TAKING = tuple(id for id in SHARED if id != "cached_db/sqlite+locmem")

# What another request can delete or change at the same time.
STORING = tuple(id for id in EVERY_STORE if id != "signed_cookies")
STORING_ENGINES = tuple(engine for engine in ENGINES if engine != "signed_cookies")

# Here a session is signed text; a cache holds it unsigned, as its serializer writes it.
SIGNED = tuple(id for id in SHARED if KINDS[id].engine != "cache")
ROWS = tuple(id for id in SIGNED if KINDS[id].engine in ("db", "cached_db"))
CACHED = tuple(id for id in SHARED if KINDS[id].engine == "cache")

ON_SERVERS = tuple(id for id in EVERY_STORE if id not in EMBEDDED)


def engine_of(kind):
    return KINDS[kind].engine


class Store:
    """An empty store, with the settings that name it."""

    def __init__(self, kind, directory, database=None):
        self.kind = kind
        self.engine = engine_of(kind)
        self.directory = Path(directory)
        self.settings = {"SESSION_ENGINE": f"django.contrib.sessions.backends.{self.engine}"}
        self.database = self.cache = None
        if of := KINDS[kind].database:
            self.database = database or DATABASES[of](self.directory)
            self.settings["DATABASE_URL"] = self.database.url
        if of := KINDS[kind].cache:
            self.cache = CACHES[of](self.directory, self.database)
            if of == "locmem":
                self.settings["CACHE_URL"] = "locmem://"
            else:
                self.settings["CACHES"] = {"default": self.cache.settings}

    can_be_inspected = True

    @property
    def signs(self):
        return self.kind in SIGNED

    def holds(self, key):
        return key in self.keys()

    def evict(self, key):
        """Whatever is only a copy of the session, and would hide what is done to the session itself."""

    def drop(self):
        if self.database:
            self.database.drop()


class Rows(Store):
    """Sessions in a table, and with cached_db a copy in a cache."""

    def sql(self, statement, *values):
        return self.database.sql(statement, *values)

    def keys(self):
        """The keys of all that is stored, expired or not."""
        return {key for (key,) in self.sql("SELECT session_key FROM django_session")}

    def text(self, key):
        """What is stored for `key`, as it is."""
        return self.sql("SELECT session_data FROM django_session WHERE session_key = ?", key)[0][0]

    def put(self, key, text):
        """Stores `text`, well-formed or not, as a session that has not expired."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        self.delete(key)
        self.sql(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)",
            key,
            self.database.storable(text),
            self.database.moment("2100-01-01 00:00:00"),
        )

    def expire(self, key):
        moment = self.database.moment("2001-01-01 00:00:00")
        self.sql("UPDATE django_session SET expire_date = ? WHERE session_key = ?", moment, key)
        self.evict(key)

    def let_pass(self, key, seconds):
        """Makes the session as old as it will be then."""
        earlier = self.database.earlier("expire_date", seconds)
        self.sql(f"UPDATE django_session SET expire_date = {earlier} WHERE session_key = ?", key)
        self.evict(key)

    def delete(self, key):
        self.sql("DELETE FROM django_session WHERE session_key = ?", key)
        self.evict(key)

    def evict(self, key):
        if self.cache:
            self.cache.delete(f"django.contrib.sessions.cached_db{key}")

    def copy(self, directory):
        """Another store with the same sessions."""
        directory = Path(directory)
        directory.mkdir()
        return type(self)(self.kind, directory, self.database.copied_to(directory))


class Files(Store):
    """Sessions in files of a directory."""

    def __init__(self, kind, directory):
        super().__init__(kind, directory)
        self.files = self.directory / "files"
        self.files.mkdir()
        self.settings["SESSION_FILE_PATH"] = str(self.files)

    def file(self, key, cookie_name="sessionid"):
        return self.files / (cookie_name + key)

    def keys(self):
        return {path.name.removeprefix("sessionid") for path in self.files.iterdir()}

    def text(self, key):
        return self.file(key).read_text("ascii")

    def put(self, key, text):
        self.file(key).write_bytes(text if isinstance(text, bytes) else text.encode())

    def expire(self, key):
        os.utime(self.file(key), (1_000_000_000, 1_000_000_000))

    def delete(self, key):
        self.file(key).unlink()

    def copy(self, directory):
        """Another store with the same sessions, file times included."""
        directory = Path(directory)
        directory.mkdir()
        twin = Files(self.kind, directory)
        shutil.copytree(self.files, twin.files, dirs_exist_ok=True)
        return twin


class Cached(Store):
    """Sessions in a cache and nowhere else."""

    def name(self, key):
        return f"django.contrib.sessions.cache{key}"

    @property
    def can_be_inspected(self):
        return self.cache.can_be_inspected

    def keys(self):
        return {name.removeprefix(self.name("")) for name in self.cache.keys()}

    def holds(self, key):
        return self.cache.holds(self.name(key))

    def raw(self, key):
        return self.cache.raw(self.name(key))

    def put_raw(self, key, data):
        """Stores bytes in the place of a pickle, as a session that has not expired."""
        self.cache.put_raw(self.name(key), data)

    def expire(self, key):
        self.cache.expire(self.name(key))

    def delete(self, key):
        self.cache.delete(self.name(key))


class Cookies(Store):
    """Sessions that are their own cookie."""

    can_be_inspected = False


OF_ENGINE = {"db": Rows, "cached_db": Rows, "file": Files, "cache": Cached, "signed_cookies": Cookies}


def new_store(kind, directory):
    return OF_ENGINE[engine_of(kind)](kind, directory)
