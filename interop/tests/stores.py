"""Where sessions lie: a temporary place for each engine, looked into and tampered with from outside."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

ENGINES = ("db", "file", "signed_cookies", "cached_db", "cache")

# A locmem cache lives in one process, so the cache engine has nothing two servers could share.
SHARED_ENGINES = ("db", "file", "signed_cookies", "cached_db")

# Two servers may change one session by turns: with cached_db each process would answer from its own locmem.
TURN_TAKING_ENGINES = ("db", "file", "signed_cookies")

# What another request can delete or change at the same time.
STORING_ENGINES = ("db", "file", "cached_db", "cache")


class Store:
    """An empty store of one engine, with the settings that name it."""

    def __init__(self, engine, directory, template):
        self.engine = engine
        self.directory = Path(directory)
        self.template = template
        self.settings = {"SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}"}
        if engine in ("db", "cached_db"):
            self.database = self.directory / "sessions.sqlite3"
            shutil.copyfile(template, self.database)
            self.settings["DATABASE_URL"] = f"sqlite://{self.database}"
        if engine in ("cache", "cached_db"):
            self.settings["CACHE_URL"] = "locmem://"
        if engine == "file":
            self.files = self.directory / "files"
            self.files.mkdir()
            self.settings["SESSION_FILE_PATH"] = str(self.files)

    @property
    def can_be_inspected(self):
        return self.engine in ("db", "cached_db", "file")

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.database, timeout=20)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def file(self, key, cookie_name="sessionid"):
        return self.files / (cookie_name + key)

    def keys(self):
        """The keys of all that is stored, expired or not."""
        if self.engine == "file":
            return {path.name.removeprefix("sessionid") for path in self.files.iterdir()}
        return {key for (key,) in self.sql("SELECT session_key FROM django_session")}

    def text(self, key):
        """What is stored for `key`, as it is."""
        if self.engine == "file":
            return self.file(key).read_text("ascii")
        return self.sql("SELECT session_data FROM django_session WHERE session_key = ?", key)[0][0]

    def put(self, key, text):
        """Stores `text`, well-formed or not, as a session that has not expired."""
        if self.engine == "file":
            self.file(key).write_bytes(text if isinstance(text, bytes) else text.encode())
        else:
            self.sql("INSERT OR REPLACE INTO django_session VALUES (?, ?, '2100-01-01 00:00:00')", key, text)

    def expire(self, key):
        if self.engine == "file":
            os.utime(self.file(key), (1_000_000_000, 1_000_000_000))
        else:
            self.sql("UPDATE django_session SET expire_date = '2001-01-01 00:00:00' WHERE session_key = ?", key)

    def delete(self, key):
        if self.engine == "file":
            self.file(key).unlink()
        else:
            self.sql("DELETE FROM django_session WHERE session_key = ?", key)

    def copy(self, directory):
        """Another store with the same sessions, file times included."""
        directory = Path(directory)
        directory.mkdir()
        twin = Store(self.engine, directory, self.template)
        if self.engine == "file":
            shutil.copytree(self.files, twin.files, dirs_exist_ok=True)
        else:
            shutil.copyfile(self.database, twin.database)
        return twin
