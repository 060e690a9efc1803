"""The site of the interop tests, with what a site in production sets besides: connections that are kept, and SQLite in WAL mode."""

from site_under_test.settings import *  # noqa: F403

if "DATABASES" in globals():
    default = DATABASES["default"]  # noqa: F405
    default["CONN_MAX_AGE"] = None
    if default["ENGINE"].endswith("sqlite3"):
        default["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        }
