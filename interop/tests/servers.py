"""Servers and commands as processes: started on free ports, with nothing but the given settings, and stopped for certain."""

import ctypes
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
DJANGO_SITE = TOP / "interop" / "django"
SECRET_KEY = "interop-secret-key-that-is-long-enough-for-anyone"

# Whether Django stands in the probe's place, so that the tests themselves are tested.
REFERENCE = os.environ.get("INTEROP_REFERENCE") == "1"

START_SECONDS = 30
STOP_SECONDS = 5
COMMAND_SECONDS = 60


def django_versions():
    return os.environ.get("DJANGO_VERSIONS", "5.2 4.2").split()


def newest_django():
    return django_versions()[0]


def django_python(version):
    """The interpreter of the environment that holds this Django."""
    return os.environ.get("DJANGO_PYTHON_" + version.replace(".", "_")) or str(
        TOP / ".test" / f"django-{version}" / "bin" / "python"
    )


def binary(variable, name):
    return os.environ.get(variable) or str(TOP / "target" / "release" / name)


def probe_command():
    return [binary("PROBE", "probe")]


def quintette_command():
    return [binary("QUINTETTE", "quintette")]


def environment(settings):
    """The whole environment of a process: what every program needs, and `settings` (None leaves one out)."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "RUST_LOG") if name in os.environ}
    if REFERENCE:
        kept["DJANGO_PYTHON"] = sys.executable
    given = {"SECRET_KEY": SECRET_KEY} | settings
    return kept | {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value is not None
    }


def die_with_parent():
    # A test run that is killed must not leave servers behind.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


# Below the range that outgoing connections take theirs from: what is free now stays free until the server has it.
PORTS = itertools.cycle(range(20_000 + os.getpid() % 10_000, 31_000))

# Ports that no other process of these tests takes meanwhile, nor the servers of crates/testkit (place.rs): the kernel gives
# an abstract name to one process at a time, and takes it back when that ends.
CLAIMS = {}


def free_port():
    for port in PORTS:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0quintette-testkit-port-{port}")
            with socket.socket() as candidate:
                candidate.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        CLAIMS[port] = claim
        return port


class Server:
    """A running server, its address, and all it has printed."""

    def __init__(self, name, command, settings, directory, prefix=()):
        self.name = name
        self.settings = settings
        self.log_path = directory / f"{name}.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, *command],
                env=environment(settings) | {"PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_until_listening(self):
        """Raises ServerExited where the process ends instead."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise ServerExited(self)
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise ServerExited(self)

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        if claim := CLAIMS.pop(self.port, None):
            claim.close()
        return status

    def __repr__(self):
        return f"<{self.name} at {self.url}>"


class ServerExited(Exception):
    def __init__(self, server):
        self.server = server
        self.log = server.log()
        super().__init__(f"{server.name} ended with {server.process.poll()} before it listened:\n{self.log}")


def run(command, settings, directory, *, check=True):
    """Runs a command to its end, and returns what it printed."""
    done = subprocess.run(
        command,
        env=environment(settings),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def manage(version, *arguments, settings, directory, check=True):
    return run([django_python(version), str(DJANGO_SITE / "manage.py"), *arguments], settings, directory, check=check)
