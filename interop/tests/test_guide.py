"""docs/beside-django.md, done as its reader does it: its files written, its commands run, what they print compared."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from urllib.parse import urlsplit

import pytest

import databases
import servers
import services
from servers import REFERENCE, TOP, django_python, free_port, newest_django

GUIDE = TOP / "docs" / "beside-django.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
NAMED_FILE = re.compile(r"`([\w./-]+)`:\s*\Z")
SECONDS = 60

# What starts in the background, and the port that shows it running.
LISTENERS = {"runserver": 8000, "cargo run": 3000, "nginx -p": 8080}


class Guide:
    """The guide's blocks in order: ("file", path, text, whether it is added) and ("run", command, expected output)."""

    def __init__(self, text):
        self.steps = []
        end = 0
        for block in BLOCK.finditer(text):
            before, end = text[end : block.start()], block.end()
            language, content = block.groups()
            if language == "console":
                self.steps += [("run", *step) for step in commands(content)]
            elif named := NAMED_FILE.search(before.strip()):
                added = "At the end of" in before.strip().split("\n\n")[-1]
                self.steps.append(("file", named[1], content, added))

    def file(self, path):
        return next(content for kind, name, content, *_ in self.steps if kind == "file" and name == path)


def commands(content):
    steps = []
    for line in content.splitlines():
        if line.startswith("$ "):
            steps.append([line[2:], ""])
        else:
            steps[-1][1] += line + "\n"
    return steps


class Shell:
    """One bash for the whole guide, with job control, as its reader's terminal has it."""

    def __init__(self, directory, environment, ports):
        self.ports = ports
        self.log = open(directory / "background.log", "ab")
        self.bash = subprocess.Popen(
            ["bash", "--norc", "-s"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
            preexec_fn=servers.die_with_parent,
        )
        self.run("set -m")

    def run(self, command):
        """What it printed. In the background, what it prints goes to the log, and it is waited for until it listens."""
        if command.endswith(" &"):
            self.send(f"{command[:-2]} >>background.log 2>&1 &")
            self.answer()
            for program, port in LISTENERS.items():
                if program in command:
                    wait_until(lambda: listens(self.ports[port]), f"{command} does not listen")
            return ""
        self.send(command)
        printed = self.answer()
        if command.startswith("kill "):
            stopped = [self.ports[8000], self.ports[3000]]
            wait_until(lambda: not any(map(listens, stopped)), f"{command} has not ended them")
        return printed

    def send(self, command):
        self.bash.stdin.write(f"{command}\necho \"=== $?\"\n")
        self.bash.stdin.flush()

    def answer(self):
        printed = ""
        for line in self.bash.stdout:
            if line.startswith("=== "):
                assert line == "=== 0\n", f"the command failed ({line.strip()}) after printing:\n{printed}"
                return printed
            printed += line
        raise AssertionError(f"the shell has ended, after:\n{printed}")

    def stop(self):
        # With job control, each background program is the leader of a group of its own.
        self.bash.stdin.write("kill -KILL $(jobs -p | sed 's/^/-/')\nexit\n")
        self.bash.stdin.close()
        try:
            self.bash.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.bash.pid, signal.SIGKILL)
        self.log.close()


def listens(port):
    with socket.socket() as candidate:
        return candidate.connect_ex(("127.0.0.1", port)) == 0


def wait_until(happened, otherwise):
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


def make_program(path, command):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def guide():
    return Guide(GUIDE.read_text())


def test_the_service_of_the_guide_is_the_one_that_is_built_here(guide):
    here = TOP / "examples" / "beside-django" / "src" / "main.rs"
    assert guide.file("greeter/src/main.rs") == here.read_text()


@pytest.fixture
def postgres_url(tmp_path):
    """A server that has no database of the guide's name."""
    mysite = databases.Postgres(tmp_path, name="mysite")
    mysite.drop()
    yield services.url("postgres")
    mysite.drop()


@pytest.fixture
def redis_url():
    return services.url("redis")


def test_the_manifest_of_the_guide_is_the_one_that_is_built_here(guide):
    manifest = tomllib.loads(guide.file("greeter/Cargo.toml"))
    here = tomllib.loads((TOP / "examples" / "beside-django" / "Cargo.toml").read_text())
    workspace = tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]
    assert manifest["package"]["edition"] == workspace["package"]["edition"]
    assert f"Rust {workspace['package']['rust-version']} or later" in GUIDE.read_text()
    wanted = manifest["dependencies"]
    assert wanted.keys() == here["dependencies"].keys()
    for name, dependency in wanted.items():
        if isinstance(dependency, str):
            dependency = {"version": dependency}
        assert dependency.get("features") == here["dependencies"][name].get("features"), name
        built = workspace["dependencies"][name]
        if "path" in dependency:
            assert dependency["path"] == "../quintette/" + built["path"]
        else:
            version = built if isinstance(built, str) else built["version"]
            assert f"{version}.".startswith(dependency["version"] + "."), name


@pytest.mark.skipif(REFERENCE, reason="the guide is about the Rust service")
def test_the_guide_works_step_by_step(guide, tmp_path, postgres_url, redis_url):
    postgres, redis = urlsplit(postgres_url), urlsplit(redis_url)
    ports = {8000: free_port(), 3000: free_port(), 8080: free_port(), 5432: postgres.port, 6379: redis.port}

    def here(text):
        # The reader's ports, as they are on this machine; and the name that leads to loopback without asking anybody.
        for port, own in ports.items():
            text = re.sub(rf"\b{port}\b", str(own), text)
        return text

    # Made by the test command, so that the test itself contacts nobody: no environment is made, nothing is installed.
    python = django_python(newest_django())
    make_program(tmp_path / "venv/bin/python", f'exec "{python}" "$@"')
    make_program(tmp_path / "venv/bin/django-admin", f'exec "{python}" -m django "$@"')
    make_program(tmp_path / "programs/cargo", f'case $1 in run) exec "{servers.binary("GREETER", "greeter")}";; esac')
    environment = {
        "PATH": f"{tmp_path}/programs:/usr/lib/postgresql/15/bin:{os.environ['PATH']}:/usr/sbin",
        "HOME": str(tmp_path),
        "ADDRESS": f"127.0.0.1:{ports[3000]}",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
    }
    assert shutil.which("nginx", path=environment["PATH"]), "nginx is missing: apt-get install --yes nginx"
    assert shutil.which("curl"), "curl is missing: apt-get install --yes curl"

    shell = Shell(tmp_path, environment, ports)
    try:
        for kind, *step in guide.steps:
            if kind == "file":
                path, content, added = step
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                with open(tmp_path / path, "a" if added else "w") as file:
                    file.write(here(content))
                continue
            command, expected = step
            if command.startswith(("python3 -m venv", "venv/bin/pip ")):
                continue
            assert shell.run(here(command)) == here(expected), command
    except AssertionError as failed:
        raise AssertionError(f"{failed}\n--- what ran in the background:\n{(tmp_path / 'background.log').read_text()}")
    finally:
        shell.stop()
