"""What is built before anything is measured: the Rust programs in release, and Django's virtual environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import HERE, TOP

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
PROGRAMS = TARGET / "release"
PYTHON = TOP / ".test/benches-venv/bin"


def rust():
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo/bin/cargo")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    for manifest, arguments in [
        (TOP / "Cargo.toml", ["--package", "probe", "--package", "quintette-cli"]),
        (HERE / "Cargo.toml", ["--bins"]),
        (HERE / "tower-sessions/Cargo.toml", []),
        (HERE / "actix-session/Cargo.toml", []),
        (HERE / "axum-login/Cargo.toml", []),
    ]:
        command = [cargo, "build", "--release", "--quiet", "--manifest-path", manifest, *arguments]
        subprocess.run(command, env=environment, check=True)


def django():
    """Anew when the requirements change."""
    requirements = HERE / "django/requirements.txt"
    environment = PYTHON.parent
    stamp = environment / "current"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [PYTHON / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    if subprocess.run(install).returncode:
        sys.exit("mysqlclient needs: apt-get install -y python3-dev libmariadb-dev pkg-config gcc")
    stamp.write_text(requirements.read_text())


def everything():
    if not shutil.which("wrk"):
        sys.exit("no wrk; install it with: apt-get install -y wrk")
    rust()
    django()
