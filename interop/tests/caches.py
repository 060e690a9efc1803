"""Caches that belong to one store alone, by a key prefix or a place of its own, looked into from outside."""

import base64
import hashlib
import pickle
import socket
import time
import zlib
from urllib.parse import unquote, urlsplit

import databases
import servers
import services

BACKENDS = "django.core.cache.backends"
PICKLE_FLAG = 1
LONG_AGO = "2001-01-01 00:00:00"
FAR_AHEAD = "2100-01-01 00:00:00"

# Django's caches on disk and in tables keep 300 entries, and drop others at random.
NO_CULLING = {"MAX_ENTRIES": 1_000_000}


class Cache:
    """`settings` is the entry of CACHES; entries are asked for by the whole of their key without prefix and version."""

    can_be_inspected = True

    def __init__(self, backend, location, **options):
        self.prefix = databases.new_name()
        self.settings = {"BACKEND": backend, "LOCATION": location, "KEY_PREFIX": self.prefix}
        if options:
            self.settings["OPTIONS"] = options

    def name(self, key):
        """The key that the server knows it by."""
        return f"{self.prefix}:1:{key}"

    def holds(self, key):
        return self.raw(key) is not None


class Locmem(Cache):
    can_be_inspected = False

    def __init__(self, directory, database):
        super().__init__(f"{BACKENDS}.locmem.LocMemCache", "")

    def delete(self, key):
        """Nothing: no other process reaches it. What is deleted here has not been read by one before."""


class Redis(Cache):
    """One server, with Django's own backend."""

    backend = f"{BACKENDS}.redis.RedisCache"
    options = {}

    def __init__(self, directory, database):
        super().__init__(self.backend, self.location(), **self.options)
        self.client = self.connect()

    def location(self):
        return services.url("redis")

    def connect(self):
        import redis

        return redis.Redis.from_url(services.url("redis"))

    def raw(self, key):
        return self.client.get(self.name(key))

    def put_raw(self, key, data):
        self.client.set(self.name(key), data, ex=100_000)

    def seconds_left(self, key):
        return self.client.ttl(self.name(key))

    def delete(self, key):
        self.client.delete(self.name(key))

    expire = delete

    def keys(self):
        beginning = self.name("")
        return {name.decode("latin-1").removeprefix(beginning) for name in self.client.scan_iter(beginning + "*", 1_000)}


class DjangoRedis(Redis):
    """One server, with the package django-redis: pickles by default."""

    backend = "django_redis.cache.RedisCache"


class DjangoRedisZlib(DjangoRedis):
    options = {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}


class DjangoRedisZstd(DjangoRedis):
    options = {"COMPRESSOR": "django_redis.compressors.zstd.ZStdCompressor"}


class DjangoRedisLz4(DjangoRedis):
    options = {"COMPRESSOR": "django_redis.compressors.lz4.Lz4Compressor"}


class DjangoRedisLzma(DjangoRedis):
    options = {"COMPRESSOR": "django_redis.compressors.lzma.LzmaCompressor"}


class DjangoRedisGzip(DjangoRedis):
    options = {"COMPRESSOR": "django_redis.compressors.gzip.GzipCompressor"}


class DjangoRedisJson(DjangoRedis):
    options = {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"}


class RedisCluster(Redis):
    """Three servers that share the keys. Django has no client for it; the site under test brings one."""

    options = {"cluster": True}

    def location(self):
        return [f"redis://{address}" for address in services.addresses("redis-cluster")]

    def connect(self):
        import redis

        return redis.RedisCluster.from_url(self.location()[0])


class RedisSentinel(Redis):
    """Three sentinels that know which server is the master, in the shape of django-redis."""

    backend = "django_redis.cache.RedisCache"

    def __init__(self, directory, database):
        self.sentinels = [address.rsplit(":", 1) for address in services.addresses("redis-sentinel")]
        self.sentinels = [[host, int(port)] for host, port in self.sentinels]
        self.master, _, self.number = urlsplit(services.url("redis-sentinel")).path.strip("/").partition("/")
        self.options = {"SENTINELS": self.sentinels, "CLIENT_CLASS": "django_redis.client.SentinelClient"}
        super().__init__(directory, database)

    def location(self):
        # A list: where there is one text, django-redis reads from the replicas, which may not have the session yet.
        return [f"redis://{self.master}/{self.number or 0}"]

    def connect(self):
        from redis.sentinel import Sentinel

        return Sentinel(self.sentinels).master_for(self.master, db=int(self.number or 0))


class Memcached(Cache):
    """One server, with pymemcache."""

    backend = f"{BACKENDS}.memcached.PyMemcacheCache"

    def __init__(self, directory, database, addresses=None):
        self.addresses = addresses or services.addresses("memcached")
        super().__init__(self.backend, self.addresses if len(self.addresses) > 1 else self.addresses[0])

    def clients(self):
        from pymemcache.client.base import Client

        return [Client(address) for address in self.addresses]

    def raw(self, key):
        found = [client.get(self.name(key)) for client in self.clients()]
        return next((data for data in found if data is not None), None)

    def put_raw(self, key, data):
        self.clients()[0].set(self.name(key), data, expire=100_000, flags=PICKLE_FLAG)

    def delete(self, key):
        for client in self.clients():
            client.delete(self.name(key), noreply=False)

    expire = delete

    def keys(self):
        beginning = self.name("")
        return {name.removeprefix(beginning) for name in self.names() if name.startswith(beginning)}

    def names(self):
        for address in self.addresses:
            host, port = address.rsplit(":", 1)
            yield from names_in_memcached(host, int(port))


def names_in_memcached(host, port):
    """All keys of one server, which only its crawler tells."""
    while True:
        with socket.create_connection((host, port), timeout=20) as connection, connection.makefile("rb") as lines:
            connection.sendall(b"lru_crawler metadump all\r\n")
            names = []
            for line in lines:
                if line.startswith(b"BUSY"):
                    break
                if line.startswith(b"END"):
                    return names
                names.append(unquote(line.split(b" ")[0].decode().removeprefix("key=")))
        time.sleep(0.01)


class Pylibmc(Memcached):
    """One server, with pylibmc."""

    backend = f"{BACKENDS}.memcached.PyLibMCCache"


class DatabaseCache(Cache):
    """A table in the database of the store, made by `createcachetable`."""

    def __init__(self, directory, database):
        super().__init__(f"{BACKENDS}.db.DatabaseCache", "session_cache", **NO_CULLING)
        self.database = database
        servers.manage(
            servers.newest_django(),
            "createcachetable",
            settings={"DATABASE_URL": database.url, "CACHES": {"default": self.settings}},
            directory=directory,
        )

    def raw(self, key):
        rows = self.database.sql("SELECT value FROM session_cache WHERE cache_key = ?", self.name(key))
        return base64.b64decode(rows[0][0]) if rows else None

    def put_raw(self, key, data):
        self.delete(key)
        self.database.sql(
            "INSERT INTO session_cache (cache_key, value, expires) VALUES (?, ?, ?)",
            self.name(key),
            base64.b64encode(data).decode(),
            self.database.moment(FAR_AHEAD),
        )

    def expire(self, key):
        self.database.sql(
            "UPDATE session_cache SET expires = ? WHERE cache_key = ?", self.database.moment(LONG_AGO), self.name(key)
        )

    def delete(self, key):
        self.database.sql("DELETE FROM session_cache WHERE cache_key = ?", self.name(key))

    def keys(self):
        return {name.removeprefix(self.name("")) for (name,) in self.database.sql("SELECT cache_key FROM session_cache")}


class FileBased(Cache):
    """A directory with a file for each entry, named by a hash of the key."""

    def __init__(self, directory, database):
        self.files = directory / "cache"
        super().__init__(f"{BACKENDS}.filebased.FileBasedCache", str(self.files), **NO_CULLING)

    def path(self, key):
        return self.files / (hashlib.md5(self.name(key).encode()).hexdigest() + ".djcache")

    def raw(self, key):
        """The whole file: a pickled time, then the value, compressed."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            return None

    def put_raw(self, key, data):
        self.files.mkdir(exist_ok=True)
        self.path(key).write_bytes(pickle.dumps(time.time() + 100_000) + zlib.compress(data))

    def expire(self, key):
        with open(self.path(key), "rb") as file:
            pickle.load(file)
            value = file.read()
        self.path(key).write_bytes(pickle.dumps(1_000_000_000.5) + value)

    def delete(self, key):
        self.path(key).unlink(missing_ok=True)

    def keys(self):
        """The names of the files: no key can be told from its hash."""
        return {path.name for path in self.files.glob("*.djcache")}


CACHES = {
    "locmem": Locmem,
    "redis": Redis,
    "django-redis": DjangoRedis,
    "django-redis-zlib": DjangoRedisZlib,
    "django-redis-zstd": DjangoRedisZstd,
    "django-redis-lz4": DjangoRedisLz4,
    "django-redis-lzma": DjangoRedisLzma,
    "django-redis-gzip": DjangoRedisGzip,
    "django-redis-json": DjangoRedisJson,
    "redis-cluster": RedisCluster,
    "redis-sentinel": RedisSentinel,
    "memcached": Memcached,
    "memcached-pylibmc": Pylibmc,
    "database": DatabaseCache,
    "filebased": FileBased,
}
