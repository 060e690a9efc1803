"""Private servers on free loopback ports, with their data in a temporary directory.

They run with the durability that their packages come with: PostgreSQL and MariaDB sync their logs at each commit. (The servers
of the tests do not, and are smaller.) Redis keeps nothing on the disk, as a cache does.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = {"postgres": "postgresql", "mariadb": "mariadb-server", "redis": "redis-server", "memcached": "memcached"}
PATIENCE = 60


class Server:
    """One running server; a subclass says how it is started and asked."""

    stop_with = signal.SIGTERM
    user = None

    def __init__(self, room, durable=True):
        self.port = free_port()
        self.directory = room / f"server-{type(self).__name__.lower()}"
        self.directory.mkdir()
        self.durable = durable
        if self.user:
            shutil.chown(self.directory, self.user, self.user)
        self.prepare()
        # Ends with this process, however that ends.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", self.stop_with.name.removeprefix("SIG"), *self.as_user(), *self.command()],
            stdout=open(self.directory / "log", "w"),
            stderr=subprocess.STDOUT,
            cwd=self.directory,
        )
        self.wait()

    def prepare(self):
        pass

    def as_user(self):
        return ["--reuid", self.user, "--regid", self.user, "--init-groups"] if self.user else []

    def answers(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def wait(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.answers():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit(f"{type(self).__name__} did not start: {(self.directory / 'log').read_text()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_with)
        self.process.wait()


class Postgres(Server):
    # Closes the connections, where SIGTERM would wait for them.
    stop_with = signal.SIGINT
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None

    def prepare(self):
        self.programs = newest("/usr/lib/postgresql/*/bin")
        command = [self.programs / "initdb", "-D", "data", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"]
        user = ["setpriv", *self.as_user()] if self.user else []
        subprocess.run([*user, *command], cwd=self.directory, check=True, stdout=subprocess.DEVNULL)

    def command(self):
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200}
        if not self.durable:
            settings["fsync"] = "off"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.programs / "postgres", "-D", "data", "-p", str(self.port), *options]

    def answers(self):
        asked = subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)])
        return asked.returncode == 0

    def execute(self, statement, database="postgres"):
        client = ["psql", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        return output([*client, "-d", database, "-c", statement])

    def new_database(self, name):
        self.execute(f'CREATE DATABASE "{name}"')
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"


class MariaDB(Server):
    def prepare(self):
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={self.directory}/data", "--auth-root-authentication-method=normal"]
        command += ["--skip-test-db", f"--tmpdir={self.directory}", *self.root()]
        subprocess.run(command, cwd=self.directory, check=True, stdout=subprocess.DEVNULL)

    def root(self):
        return ["--user=root"] if os.geteuid() == 0 else []

    def command(self):
        options = ["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=200", "--socket=socket"]
        # A server that starts removes the temporary tables that it finds, even another's.
        options += ["--character-set-server=utf8mb4", "--pid-file=pid", f"--tmpdir={self.directory}"]
        if not self.durable:
            options.append("--innodb-flush-log-at-trx-commit=2")
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        return [program, "--no-defaults", f"--datadir={self.directory}/data", f"--port={self.port}", *self.root(), *options]

    def execute(self, statement, database="mysql"):
        client = ["mariadb", "--no-defaults", "-N", "-h", "127.0.0.1", "-P", str(self.port), "-u", "root", database]
        return output([*client, "-e", statement])

    def new_database(self, name):
        self.execute(f"CREATE DATABASE `{name}`")
        return f"mysql://root@127.0.0.1:{self.port}/{name}"


class Redis(Server):
    databases = 0

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def new_database(self, name):
        self.databases += 1
        return f"redis://127.0.0.1:{self.port}/{self.databases - 1}"


class Memcached(Server):
    def command(self):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-m", "256", *user]

    def new_database(self, name):
        # There is one for all; session keys are random.
        return f"memcached://127.0.0.1:{self.port}"


KINDS = {"postgres": Postgres, "mariadb": MariaDB, "redis": Redis, "memcached": Memcached}


def start(name, room, durable=True):
    try:
        return KINDS[name](room, durable)
    except FileNotFoundError as error:
        sys.exit(f"no {error.filename}; install it with: apt-get install -y {PACKAGES[name]}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def newest(pattern):
    found = sorted(Path("/").glob(pattern.removeprefix("/")), key=lambda path: int(path.parts[-2]))
    if not found:
        raise FileNotFoundError(2, "not there", pattern)
    return found[-1]


def output(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr}")
    return done.stdout.strip()
