"""The site of the interop tests, with no more layers than are measured, and what a site in production sets besides: connections that
are kept, and SQLite in WAL mode."""

import os

from site_under_test.settings import *  # noqa: F403

MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
if "ITERATIONS" in os.environ:
    MIDDLEWARE.append("django.contrib.auth.middleware.AuthenticationMiddleware")
    ROOT_URLCONF = "benches_users"
    PASSWORD_HASHERS = ["benches_hashers.PBKDF2", "django.contrib.auth.hashers.Argon2PasswordHasher"]

if "DATABASES" in globals():
    default = DATABASES["default"]  # noqa: F405
    default["CONN_MAX_AGE"] = None
    if default["ENGINE"].endswith("sqlite3"):
        default["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        }
