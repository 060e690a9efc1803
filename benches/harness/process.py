"""One contender's processes, the cookies of its sessions, and its load."""

import http.client
import json
import os
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode

from . import HERE, TOP
from .building import PROGRAMS, PYTHON
from .contenders import ROUTES
from .servers import KINDS, free_port

TICK = os.sysconf("SC_CLK_TCK")
SECRET = {"SECRET_KEY": "a long and random text"}
USERNAME, PASSWORD = "mei", "correct horse"


class DidNotStart(Exception):
    pass


class Databases(dict):
    """What a contender's settings name in braces; a database is made when it is asked for."""

    def __init__(self, name, directory, servers):
        super().__init__(file=directory / "db.sqlite3", directory=directory)
        self.name, self.servers, self.used = f"of_{name.replace('-', '_')}", servers, []

    def __missing__(self, server):
        self.used.append(self.servers[server])
        self[server] = self.servers[server].new_database(self.name)
        return self[server]


class Running:
    def __init__(self, contender, room, servers):
        self.contender = contender
        self.name = contender.name
        self.title = contender.title
        self.port = free_port()
        self.cookies = room / f"{self.name}.cookies"
        self.nobody = room / f"{self.name}.nobody"
        self.nobody.write_text("\n")
        directory = room / self.name
        directory.mkdir()
        self.log = directory / "log"
        databases = Databases(self.name, directory, servers)
        settings = {key: value.format_map(databases) for key, value in contender.environment.items()}
        self.servers = databases.used
        self.url = settings.get("DATABASE_URL")
        self.environment = {**SECRET, **settings, "PORT": str(self.port), "PATH": os.environ["PATH"]}
        if contender.program == "gunicorn":
            self.environment |= django_environment()
        if self.url and contender.program == "gunicorn":
            self.manage("django", "migrate", "sessions")
            if contender.store in ROUTES:
                self.manage("django", "migrate", "auth")
                self.manage("django", "createsuperuser", "--noinput", "--username", USERNAME, "--email", "mei@example.com")
        elif self.url and contender.program in ("probe", "users"):
            self.manage("quintette", "migrate")
        self.process = subprocess.Popen(
            self.command(), env=self.environment, stdout=open(self.log, "w"), stderr=subprocess.STDOUT, cwd=directory
        )
        self.wait()

    def command(self):
        if self.contender.program != "gunicorn":
            return [PROGRAMS / self.contender.program]
        # Threads, since the worker without them closes the connection after each answer.
        options = ["--workers", "2", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "60"]
        options += ["--log-level", "warning"]
        return [PYTHON / "gunicorn", "--bind", f"127.0.0.1:{self.port}", *options, "benches_wsgi:application"]

    def manage(self, by, *arguments):
        """A management command with the contender's settings: by `django` or `quintette`."""
        program = PYTHON / "django-admin" if by == "django" else PROGRAMS / "quintette"
        environment = self.environment | (django_environment() if by == "django" else {})
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise DidNotStart(f"{self.title}: {arguments[0]}: {done.stderr}")

    def wait(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/nothing")
                connection.getresponse()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise DidNotStart(f"{self.title} did not start: {self.log.read_text()}")

    def get(self, connection, route, cookie=None):
        connection.request("GET", f"/bench/{route}", headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise DidNotStart(f"{self.title} answers /bench/{route} with {response.status} {body[-500:]}: {self.log.read_text()}")
        return body, response.headers["Set-Cookie"]

    def fill(self, count):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        cookies = [self.get(connection, "fill")[1].split(";")[0] for _ in range(count)]
        self.cookies.write_text("\n".join(cookies) + "\n")

    def check(self):
        """That it reads what it writes: a server that does nothing would be fast."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        cookie = self.cookies.read_text().split("\n")[0]
        if self.contender.store in ROUTES:
            return self.check_users(connection, cookie)
        before = self.get(connection, "read", cookie)[0]
        written, renewed = self.get(connection, "write", cookie)
        after = self.get(connection, "read", (renewed or cookie).split(";")[0])[0]
        if not int(before) + 1 == int(written) == int(after):
            raise DidNotStart(f"{self.title} does not count: {before}, {written}, {after}")

    def check_users(self, connection, cookie):
        """That it knows its user by the session and by the password, and nobody else."""
        status, renewed = self.log_in(connection, USERNAME, PASSWORD)
        if status != 200 or not renewed:
            raise DidNotStart(f"{self.title} answers a login with {status}: {self.log.read_text()}")
        for known in (cookie, renewed.split(";")[0]):
            if self.get(connection, "user", known)[0] != USERNAME:
                raise DidNotStart(f"{self.title} does not know its user")
        if (status := self.log_in(connection, USERNAME, "battery staple")[0]) != 403:
            raise DidNotStart(f"{self.title} answers a wrong password with {status}")
        connection.request("GET", "/bench/user")
        if (status := connection.getresponse().status) not in (302, 303, 401):
            raise DidNotStart(f"{self.title} answers a stranger with {status}")

    def log_in(self, connection, username, password):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/bench/login", form(username, password), headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers["Set-Cookie"]

    def resident(self):
        """Megabytes; of several processes, each page once."""
        processes = tree(self.process.pid)
        if len(processes) == 1:
            return kilobytes(processes[0], "status", "VmRSS") / 1024
        return sum(kilobytes(process, "smaps_rollup", "Pss") for process in processes) / 1024

    def load(self, route, connections, seconds):
        own, theirs = cpu(self.process.pid), self.server_cpu()
        if route == "login":
            load = wrk(self.port, route, self.nobody, connections, seconds, form=form(USERNAME, PASSWORD))
        else:
            load = wrk(self.port, route, self.cookies, connections, seconds)
        run = load.result()
        requests = max(run["requests"], 1)
        run["cpu"] = (cpu(self.process.pid) - own) / requests * 1e6
        run["server_cpu"] = (self.server_cpu() - theirs) / requests * 1e6
        return run

    def settle(self):
        """Waits for what is still worked on with nobody waiting for it: a password that has begun is hashed to the end."""
        used = cpu(self.process.pid)
        for _ in range(100):
            time.sleep(0.1)
            before, used = used, cpu(self.process.pid)
            if used - before <= 0.02:
                return

    def server_cpu(self):
        return sum(cpu(server.process.pid) for server in self.servers)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class wrk:
    """A load that is running; `mixed` reads and writes in turn. `pause`: milliseconds of each connection between two requests.
    `form`: what is posted."""

    def __init__(self, port, route, cookies, connections, seconds, timeout=20, pause=0, form=None):
        routes = "read,write" if route == "mixed" else route
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{timeout}s", "-s", HERE / "load.lua"]
        command += [f"http://127.0.0.1:{port}", "--", cookies, routes, str(pause), *filter(None, [form])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        printed, errors = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(f"wrk: {errors}")
        run = json.loads(printed.strip().rsplit("\n", 1)[1])
        run["rate"] = run["requests"] / run["microseconds"] * 1e6
        return run


def form(username, password):
    return urlencode({"username": username, "password": password})


def django_environment():
    return {
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "PYTHONPATH": f"{HERE / 'django'}:{TOP / 'interop/django'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "benches_settings",
    }


def tree(pid):
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(status.parent.name))
    found = [pid]
    for process in found:
        found += children.get(process, [])
    return found


def cpu(pid):
    """Seconds of the process, its children, and those of them that have ended."""
    total = 0
    for process in tree(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICK


def kilobytes(pid, file, name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)[1])


def servers_of(contenders):
    """The servers that contenders name in their settings."""
    named = {value for contender in contenders for value in contender.environment.values()}
    return [name for name in KINDS if f"{{{name}}}" in named]
