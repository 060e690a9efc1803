"""Django's Redis cache on a Cluster and behind Sentinels, for which Django itself has no client; values are laid out the same."""

from functools import cache
from threading import Lock
from urllib.parse import urlsplit

from django.core.cache.backends.redis import RedisCache, RedisCacheClient

CONNECTING = Lock()


def address(text):
    """A host and a port, from `host:port` or a URL."""
    host, _, port = text.rpartition("/")[2].rpartition(":")
    return host, int(port)


@cache
def cluster_of(servers):
    from redis.cluster import ClusterNode, RedisCluster

    return RedisCluster(startup_nodes=[ClusterNode(*address(server)) for server in servers])


@cache
def master_of(servers, name, database):
    from redis.sentinel import Sentinel

    return Sentinel([address(server) for server in servers]).master_for(name, db=database)


class ClusterClient(RedisCacheClient):
    def __init__(self, servers, cluster=True, **options):
        super().__init__(servers, **options)

    def get_client(self, key=None, *, write=False):
        # Each request of the test server is a thread with a cache of its own; they share the cluster's connections.
        with CONNECTING:
            return cluster_of(tuple(self._servers))


class RedisClusterCache(RedisCache):
    """`LOCATION`: some of the cluster's servers."""

    def __init__(self, server, params):
        super().__init__(server, params)
        self._class = ClusterClient


class SentinelClient(RedisCacheClient):
    def get_client(self, key=None, *, write=False):
        # redis+sentinel://host:port,host:port/master/database
        parts = urlsplit(",".join(self._servers))
        name, _, database = parts.path.strip("/").partition("/")
        with CONNECTING:
            return master_of(tuple(parts.netloc.split(",")), name, int(database or 0))


class RedisSentinelCache(RedisCache):
    """`LOCATION`: `redis+sentinel://…`."""

    def __init__(self, server, params):
        super().__init__(server, params)
        self._class = SentinelClient
