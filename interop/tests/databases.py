"""Databases that belong to one store alone: with Django's tables and no rows, and asked from outside by SQL."""

import itertools
import os
import shutil
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import servers
import services
from schemas import TABLES

NUMBERS = itertools.count()


def new_name():
    """A name that no other database of a shared server has."""
    return f"interop_{os.getpid()}_{next(NUMBERS)}"


def migrate(url, directory):
    """Django's own tables for sessions and for users."""
    servers.manage(servers.newest_django(), "migrate", "--verbosity=0", settings={"DATABASE_URL": url}, directory=directory)


class Sqlite:
    """A file in a directory."""

    migrated = None

    def __init__(self, directory, *, empty=False):
        self.path = directory / "sessions.sqlite3"
        self.url = f"sqlite://{self.path}"
        if not empty:
            shutil.copyfile(self.template(directory), self.path)

    @classmethod
    def template(cls, directory):
        if cls.migrated is None:
            path = directory.parent / "migrated.sqlite3"
            migrate(f"sqlite://{path}", directory)
            cls.migrated = path
        return cls.migrated

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.path, timeout=20)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def moment(self, text):
        """A UTC time, `YYYY-MM-DD HH:MM:SS`, as this database takes it."""
        return text

    def earlier(self, column, seconds):
        """An expression for the time in a column, less some seconds."""
        return f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{seconds} seconds')"

    def storable(self, text):
        """`text`, or the nearest to it that a text column holds."""
        return text

    def copied_to(self, directory):
        twin = Sqlite(directory, empty=True)
        shutil.copyfile(self.path, twin.path)
        return twin

    def drop(self):
        pass


class OnAServer:
    """What PostgreSQL and MariaDB have in common: a database created for the purpose, and one connection into it."""

    server = None  # The name that services.py knows it by.
    migrated = None

    def __init__(self, directory, *, empty=False, name=None):
        self.directory = directory
        self.name = name or new_name()
        self.url = services.url(self.server).rpartition("/")[0] + "/" + self.name
        self.connection = None
        if name is None:
            self.create(None if empty else self.template(directory))

    @classmethod
    def template(cls, directory):
        """The name of a database that Django has migrated; made once for a run."""
        if cls.migrated is None:
            made = cls(directory, empty=True)
            migrate(made.url, directory)
            cls.migrated = made.name
        return cls.migrated

    def sql(self, statement, *values):
        if self.connection is None:
            self.connection = self.connect(self.name)
        with self.connection.cursor() as cursor:
            # The drivers' placeholder, where SQLite has a question mark.
            cursor.execute(statement.replace("?", "%s") if values else statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def administer(self, *statements):
        with closing(self.connect(None)) as connection, closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def copied_to(self, directory):
        self.disconnect()
        twin = type(self)(directory, empty=True)
        twin.drop()
        twin.create(self.name)
        return twin

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Postgres(OnAServer):
    server = "postgres"

    def connect(self, name):
        import psycopg

        url = services.url("postgres") if name is None else self.url
        return psycopg.connect(url.replace("postgres://", "postgresql://"), autocommit=True)

    def create(self, template):
        # A server that has answered may not have closed its connection yet, and a template may have none.
        self.administer(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'",
            f"CREATE DATABASE {self.name}" + (f" TEMPLATE {template}" if template else ""),
        )

    def moment(self, text):
        return text + "+00"

    def earlier(self, column, seconds):
        return f"{column} - interval '{seconds} seconds'"

    def storable(self, text):
        return text.replace("\0", "\1")

    def drop(self):
        self.disconnect()
        self.administer(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


class Mariadb(OnAServer):
    server = "mariadb"

    def earlier(self, column, seconds):
        return f"{column} - INTERVAL {seconds} SECOND"

    def connect(self, name):
        import MySQLdb

        parts = urlsplit(services.url("mariadb"))
        return MySQLdb.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password or "",
            database=name or "",
            charset="utf8mb4",
            autocommit=True,
        )

    def create(self, template):
        statements = [f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4"]
        # It cannot copy a database, only one table after the other, and those without their foreign keys.
        for table in TABLES if template else ():
            statements.append(f"CREATE TABLE {self.name}.{table} LIKE {template}.{table}")
            statements.append(f"INSERT INTO {self.name}.{table} SELECT * FROM {template}.{table}")
        self.administer(*statements)

    def moment(self, text):
        return text

    def storable(self, text):
        return text

    def drop(self):
        self.disconnect()
        self.administer(f"DROP DATABASE IF EXISTS {self.name}")


DATABASES = {"sqlite": Sqlite, "postgres": Postgres, "mariadb": Mariadb}
