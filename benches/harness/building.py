"""What is built before anything is measured: the Rust programs in release, and the virtual environments of Django and Celery."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import HERE, TOP

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
PROGRAMS = TARGET / "release"
PYTHON = TOP / ".test/benches-venv/bin"
CELERY = TOP / ".test/benches-celery/bin"


def build(*builds):
    """Each a manifest, and what of it."""
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo/bin/cargo")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    for manifest, *arguments in builds:
        command = [cargo, "build", "--quiet", "--manifest-path", manifest, *arguments]
        subprocess.run(command, env=environment, check=True)


def python(programs, requirements, needs=""):
    """Anew when the requirements change."""
    environment = programs.parent
    stamp = environment / "current"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    if subprocess.run(install).returncode:
        sys.exit(f"the packages of {requirements.relative_to(TOP)} did not install. {needs}")
    stamp.write_text(requirements.read_text())


def rust():
    build(
        (TOP / "Cargo.toml", "--release", "--package", "probe", "--package", "quintette-cli"),
        (HERE / "Cargo.toml", "--release", "--bins"),
        (HERE / "tower-sessions/Cargo.toml", "--release"),
        (HERE / "actix-session/Cargo.toml", "--release"),
        (HERE / "axum-login/Cargo.toml", "--release"),
    )


def django():
    python(PYTHON, HERE / "django/requirements.txt", "mysqlclient needs: apt-get install -y python3-dev libmariadb-dev pkg-config gcc")


def everything():
    if not shutil.which("wrk"):
        sys.exit("no wrk; install it with: apt-get install -y wrk")
    rust()
    django()


def of_tasks():
    """What `benches/tasks` needs, and the program that starts RabbitMQ."""
    build(
        (HERE / "Cargo.toml", "--release", "--bin", "tasks", "--bin", "bare_lapin"),
        (HERE / "apalis/Cargo.toml", "--release"),
        (TOP / "Cargo.toml", "--package", "quintette-testkit", "--features", "servers", "--bin", "quintette-servers"),
    )
    python(CELERY, HERE / "celery/requirements.txt")
