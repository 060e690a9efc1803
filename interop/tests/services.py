"""The real databases, caches and brokers: those the environment names, or private ones that end with the test run."""

import atexit
import os
import subprocess
from urllib.parse import urlsplit

from servers import START_SECONDS, TOP

VARIABLES = {
    "postgres": "POSTGRES_URL",
    "mariadb": "MARIADB_URL",
    "redis": "REDIS_URL",
    "redis-cluster": "REDIS_CLUSTER_URL",
    "redis-sentinel": "REDIS_SENTINEL_URL",
    "memcached": "MEMCACHED_URL",
    "rabbitmq": "RABBITMQ_URL",
}


def command():
    """The program that starts them (crates/testkit)."""
    if given := os.environ.get("QUINTETTE_SERVERS"):
        return given
    built = [TOP / "target" / profile / "quintette-servers" for profile in ("release", "debug")]
    for path in built:
        if path.exists():
            return str(path)
    raise FileNotFoundError(
        "the tests need PostgreSQL, MariaDB, Redis, Memcached and RabbitMQ: run ./test interop, or build what starts them with "
        "cargo build --package quintette-testkit --features servers --bin quintette-servers"
    )


class Started:
    """Private servers, by their names; they live until `stop`, or until this process ends, however it ends."""

    def __init__(self, *names):
        self.process = subprocess.Popen(
            [command(), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Not this group: an interrupt at the terminal would end the servers before the tests.
            start_new_session=True,
        )
        atexit.register(self.stop)
        self.urls = {}
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
            variable, equals, url = line.strip().partition("=")
            if equals:
                self.urls[variable] = url
        self.process.wait(START_SECONDS)
        raise RuntimeError(f"{command()} {' '.join(names)} ended with {self.process.returncode} before its servers were ready")

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait()


STARTED = []


def url(name):
    """The URL of the server or servers of this name; the first question starts all that the environment does not name."""
    variable = VARIABLES[name]
    if variable in os.environ:
        return os.environ[variable]
    if not STARTED:
        missing = [name for name, variable in VARIABLES.items() if variable not in os.environ]
        STARTED.append(Started(*missing))
    return STARTED[0].urls[variable]


def addresses(name):
    """`host:port` of each server that the URL names."""
    return urlsplit(url(name)).netloc.rpartition("@")[2].split(",")


def another(name):
    """The URL of one more server of this kind."""
    started = Started(name)
    return started.urls[VARIABLES[name]]
