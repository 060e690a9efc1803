"""Who works and publishes in `benches/tasks`, and how it is seen that all is done."""

import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import amqp
import redis

from . import HERE, servers
from .building import CELERY, PROGRAMS, TARGET
from .process import cpu, kilobytes, tree

QUEUE = "celery"
# Seconds without progress, after which a contender has failed.
PATIENCE = 60
CORES = os.cpu_count()


@dataclass(frozen=True)
class Contender:
    """`worker` and `publishers` are command lines; `{count}` is how many, in each of several processes its part of them."""

    name: str
    kind: str
    title: str
    brokers: tuple
    worker: tuple = ()
    workers: int = 1
    one: tuple = ()
    many: tuple = ()
    publishers: int = 1


def celery(name, title, *options, workers=1):
    quiet = ("--loglevel=warning", "--without-gossip", "--without-mingle", "--without-heartbeat")
    command = (CELERY / "celery", "-A", "benches_tasks", "worker", *quiet, *options, "-n", "{worker}@bench")
    return Contender(f"celery-{name}", "celery", f"Celery, {title}", ("redis", "rabbitmq"), command, workers)


def ours(concurrency):
    program = PROGRAMS / "tasks"
    return Contender(
        f"quintette-{concurrency}", "ours", f"Quintette, `--concurrency {concurrency}`", ("redis", "rabbitmq"), (program, "worker", str(concurrency))
    )


PUBLISH = (CELERY / "python", HERE / "celery/benches_tasks.py", "{count}")
WORKERS = [
    celery("prefork", f"prefork, {CORES} processes", "--pool=prefork", f"--concurrency={CORES}"),
    celery("threads", f"threads, {CORES} processes of 4", "--pool=threads", "--concurrency=4", workers=CORES),
    celery("solo", f"solo, {CORES} processes", "--pool=solo", workers=CORES),
    Contender("apalis", "peer", "apalis, its settings", ("redis",), (PROGRAMS / "apalis-peer", "worker", "10")),
    Contender("apalis-512", "peer", "apalis, batches of 512", ("redis",), (PROGRAMS / "apalis-peer", "worker", "512")),
    Contender("lapin", "bare", "bare lapin consumer", ("rabbitmq",), (PROGRAMS / "bare_lapin", "consume", "128")),
    ours(CORES),
    ours(32),
]  # fmt: skip
PUBLISHERS = [
    Contender("celery", "celery", "Celery", ("redis", "rabbitmq"), one=PUBLISH, many=PUBLISH, publishers=CORES),
    Contender("apalis", "peer", "apalis", ("redis",), one=(PROGRAMS / "apalis-peer", "enqueue", "one", "{count}"),
              many=(PROGRAMS / "apalis-peer", "enqueue", "many", "{count}")),
    Contender("lapin", "bare", "bare lapin, confirmed", ("rabbitmq",), one=(PROGRAMS / "bare_lapin", "publish", "1", "{count}"),
              many=(PROGRAMS / "bare_lapin", "publish", "1024", "{count}")),
    Contender("quintette", "ours", "Quintette", ("redis", "rabbitmq"), one=(PROGRAMS / "tasks", "enqueue", "one", "{count}"),
              many=(PROGRAMS / "tasks", "enqueue", "many", "{count}")),
]  # fmt: skip
ETA = Contender("eta", "ours", "", (), many=(PROGRAMS / "tasks", "eta", "{count}"))


class Failed(Exception):
    pass


class Site:
    """A broker, and Redis for the results."""

    def __init__(self, broker, server, results):
        self.broker, self.server = broker, server
        self.url = server.url
        self.stored = results
        self.environment = {
            "CELERY_BROKER_URL": self.url,
            "PYTHONPATH": str(HERE / "celery"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.environ["PATH"],
        }

    def purge(self):
        self.server.purge()
        self.stored.purge()

    def pids(self, with_results):
        return {self.server.pid, self.stored.pid} if with_results else {self.server.pid}


class RedisServer:
    def __init__(self, process, database=0):
        self.pid = process.process.pid
        self.url = f"redis://127.0.0.1:{process.port}/{database}"
        self.connection = redis.Redis.from_url(self.url)

    def purge(self):
        self.connection.flushdb()

    def left(self, contender, count):
        """How many of `count` are not done."""
        if contender.kind == "peer":
            return count - self.connection.scard("default:done")
        with self.connection.pipeline(transaction=False) as asked:
            return sum(asked.llen(QUEUE).hlen("unacked").execute())

    def waiting(self, contender=None):
        return self.connection.llen("default:active" if contender and contender.kind == "peer" else QUEUE)

    def hand_out(self):
        """What apalis has put among what is scheduled: its worker fails when more than 8,000 of those are due at once."""
        scheduled = self.connection.zrange("default:scheduled", 0, -1)
        for first in range(0, len(scheduled), 1_000):
            self.connection.rpush("default:active", *scheduled[first : first + 1_000])
        self.connection.delete("default:scheduled")

    def results(self):
        return self.connection.dbsize()


class RabbitServer:
    def __init__(self, pid, url):
        self.pid, self.url = pid, url
        self.connection = amqp.Connection(url.split("@")[1].split("/")[0], userid="guest", password="guest")
        self.connection.connect()
        self.channel = self.connection.channel()
        self.channel.queue_declare(QUEUE, durable=True, auto_delete=False)

    def purge(self):
        # Also what a program that was killed held.
        while self.channel.queue_purge(QUEUE):
            pass

    def waiting(self, contender=None):
        return self.channel.queue_declare(QUEUE, passive=True).message_count

    def left(self, contender, count):
        """Those that wait: what has been handed out and is not done is not told."""
        return self.waiting()


@contextmanager
def started(broker, room):
    """A private broker, and Redis for the results: the broker's own, where it is Redis."""
    (room / broker).mkdir()
    store = servers.start("redis", room / broker)
    launcher = None
    try:
        if broker == "redis":
            yield Site(broker, RedisServer(store), RedisServer(store, 1))
        else:
            launcher = Launcher()
            yield Site(broker, RabbitServer(launcher.process.pid, launcher.url), RedisServer(store, 1))
    finally:
        if launcher:
            launcher.stop()
        store.stop()


class Launcher:
    """The tests' own RabbitMQ, for as long as its standard input is open."""

    def __init__(self):
        program = TARGET / "debug/quintette-servers"
        self.process = subprocess.Popen([program, "rabbitmq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip().removeprefix("RABBITMQ_URL=")
        if self.process.stdout.readline().strip() != "ready":
            raise Failed(f"RabbitMQ did not start: {self.url}")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def rabbitmq_version():
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"], capture_output=True, text=True)
    return found.stdout or "of this machine"


class Program:
    """One running command; what it prints goes into its log."""

    def __init__(self, command, site, room, extra=(), **pipes):
        self.log = Path(room) / "log"
        self.process = subprocess.Popen(
            command, env={**site.environment, **dict(extra)}, cwd=room, stderr=open(self.log, "a"), text=True,
            **(pipes or {"stdout": open(self.log, "a"), "stdin": subprocess.DEVNULL}),
        )  # fmt: skip

    def expect(self, line):
        if (said := self.process.stdout.readline().strip()) != line:
            raise Failed(f"{line!r} expected, {said!r} said: {self.log.read_text()[-2000:]}")

    def stop(self):
        """In order; two workers that are told to end at once do not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in reversed(tree(self.process.pid)):
                    os.kill(pid, 9)
        self.process.wait()

    def megabytes(self):
        """Each page once, of all its processes."""
        return sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in tree(self.process.pid)) / 1024


def filled(command, count):
    return [str(part).format(count=count) if "{count}" in str(part) else str(part) for part in command]


def publish(contender, how, count, site, room):
    """Tasks a second, from the word go to the last one's end."""
    command = getattr(contender, how)
    processes = contender.publishers if how == "many" else 1
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    programs = [Program(filled(command, count // processes), site, room, **pipes) for _ in range(processes)]
    try:
        for program in programs:
            program.expect("ready")
        start = time.monotonic()
        for program in programs:
            program.process.stdin.write("go\n")
            program.process.stdin.flush()
        for program in programs:
            program.expect("done")
        return {"rate": count / (time.monotonic() - start)}
    finally:
        for program in programs:
            program.stop()


def work(contender, site, room, extra=()):
    """Its worker's processes."""
    command = [[str(part).replace("{worker}", f"worker{number}") for part in contender.worker] for number in range(contender.workers)]
    return [Program(one, site, room, extra) for one in command]


def drain(contender, count, site, room, with_results):
    """Tasks a second from the first that is taken to the last that is done, and the CPU time of each."""
    extra = {"CELERY_RESULT_BACKEND": site.stored.url} if with_results else {}
    servers = site.pids(with_results)
    began = None
    programs = work(contender, site, room, extra)
    try:
        left, moved = count, time.monotonic()
        while left:
            now = time.monotonic()
            before, left = left, site.server.left(contender, count)
            if left != before:
                moved = now
            if began is None and site.server.waiting(contender) < count:
                began, used = now, [spent(programs), sum(map(cpu, servers))]
            if now - moved > PATIENCE:
                raise Failed(f"{contender.title}: {left} of {count} left for {PATIENCE} s: {programs[0].log.read_text()[-2000:]}")
            time.sleep(0.005)
        if with_results and contender.kind in ("ours", "celery"):
            while (stored := site.stored.results()) < count:
                if time.monotonic() - moved > PATIENCE:
                    raise Failed(f"{contender.title}: {stored} results of {count} tasks")
                time.sleep(0.005)
        seconds = time.monotonic() - began
        used = [spent(programs) - used[0], sum(map(cpu, servers)) - used[1]]
    finally:
        for program in programs:
            program.stop()
    # A bare consumer has no orderly end.
    if contender.kind != "bare" and (lost := site.server.waiting()):
        raise Failed(f"{contender.title}: {lost} messages came back")
    return {"rate": count / seconds, "cpu": used[0] / count * 1e6, "server_cpu": used[1] / count * 1e6}


def spent(programs):
    return sum(cpu(program.process.pid) for program in programs)


def emptied(site, contender):
    while site.server.left(contender, 0):
        time.sleep(0.05)


def settled(site, patience=3):
    """Waits until the worker takes no more."""
    before, since = None, time.monotonic()
    while time.monotonic() - since < patience:
        if (now := site.server.waiting()) != before:
            before, since = now, time.monotonic()
        time.sleep(0.1)
    return before
