"""Who is measured: which program, with which settings, on which store. A name in braces is a database of the contender's own."""

import os
from dataclasses import dataclass

# Each store, and its heading.
STORES = {
    "memory": "Without a server",
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "mariadb": "MariaDB",
    "redis": "Redis",
    "memcached": "Memcached",
    "cached_db": "cached_db on PostgreSQL and Redis",
    "users": "Users, on SQLite",
    "logins": "Logins with a real hash, on SQLite",
}
# What is asked for, where it is not the session.
ROUTES = {"users": ("user", "login"), "logins": ("login",)}
# How often a password is hashed: as in Django 5.2, and once, so that what else a login costs is seen.
ITERATIONS = {"users": "1", "logins": "1000000"}


@dataclass(frozen=True)
class Contender:
    """`kind`: `bare`, `raw` (a handler with the store's client), `peer`, `django` or `ours`."""

    name: str
    store: str
    kind: str
    title: str
    program: str
    environment: dict


def contender(name, store, kind, title, program, **environment):
    return Contender(name, store, kind, title, program, environment)


def raw(store, title, program, **environment):
    return contender("-".join(filter(None, ["raw", store, environment.get("OPTIONS")])), store, "raw", title, program, **environment)


def tower(store, **environment):
    return contender(f"tower-{store}", store, "peer", "tower-sessions", "tower-sessions-peer", **environment)


def django(store, engine, **environment):
    environment["SESSION_ENGINE"] = f"django.contrib.sessions.backends.{engine}"
    return contender(f"django-{store}", store, "django", f"Django, {engine}", "gunicorn", **environment)


def ours(name, store, title, **environment):
    environment["SESSION_ENGINE"] = f"django.contrib.sessions.backends.{environment['SESSION_ENGINE']}"
    return contender(name, store, "ours", f"Quintette, {title}", "probe", **environment)


def of_users(store, kind, title, program, name=None, **environment):
    """Who serves users: sessions and users in one SQLite file."""
    environment["ITERATIONS"] = ITERATIONS[store]
    return contender(name or f"{store}-{kind}", store, kind, title, program, **environment)


SQLITE = "sqlite://{file}"
ALL = [
    contender("bare", "memory", "bare", "bare axum", "bare"),
    tower("memory", STORE="memory"),
    ours("locmem", "memory", "cache (locmem)", SESSION_ENGINE="cache", CACHE_URL="locmem://"),
    ours("cached_db-locmem", "memory", "cached_db (SQLite, locmem)",
         SESSION_ENGINE="cached_db", DATABASE_URL=SQLITE, CACHE_URL="locmem://"),
    ours("file", "memory", "file", SESSION_ENGINE="file", SESSION_FILE_PATH="{directory}"),
    ours("signed_cookies", "memory", "signed_cookies", SESSION_ENGINE="signed_cookies"),

    raw("sqlite", "raw sqlx, its defaults", "raw_sqlite", DATABASE="{file}", OPTIONS="sqlx"),
    raw("sqlite", "raw sqlx, its defaults and WAL", "raw_sqlite", DATABASE="{file}", OPTIONS="wal"),
    raw("sqlite", "raw sqlx, the options of Quintette", "raw_sqlite", DATABASE="{file}", OPTIONS="probe"),
    tower("sqlite", STORE="sqlite", DATABASE="{file}"),
    django("sqlite", "db", DATABASE_URL=SQLITE),
    ours("sqlite", "sqlite", "db", SESSION_ENGINE="db", DATABASE_URL=SQLITE),

    raw("postgres", "raw sqlx, its defaults", "raw_postgres", DATABASE_URL="{postgres}", OPTIONS="sqlx"),
    raw("postgres", "raw sqlx, no ping before each use", "raw_postgres", DATABASE_URL="{postgres}", OPTIONS="unpinged"),
    tower("postgres", STORE="postgres", DATABASE_URL="{postgres}"),
    django("postgres", "db", DATABASE_URL="{postgres}"),
    ours("postgres", "postgres", "db", SESSION_ENGINE="db", DATABASE_URL="{postgres}"),

    raw("mariadb", "raw sqlx, its defaults", "raw_mariadb", DATABASE_URL="{mariadb}", OPTIONS="sqlx"),
    raw("mariadb", "raw sqlx, no ping before each use", "raw_mariadb", DATABASE_URL="{mariadb}", OPTIONS="unpinged"),
    tower("mariadb", STORE="mysql", DATABASE_URL="{mariadb}"),
    django("mariadb", "db", DATABASE_URL="{mariadb}"),
    ours("mariadb", "mariadb", "db", SESSION_ENGINE="db", DATABASE_URL="{mariadb}"),

    raw("redis", "raw redis-rs", "raw_redis", CACHE_URL="{redis}"),
    tower("redis", STORE="redis", CACHE_URL="{redis}"),
    contender("actix-redis", "redis", "peer", "actix-session", "actix-session-peer", CACHE_URL="{redis}"),
    django("redis", "cache", CACHE_URL="{redis}"),
    ours("redis", "redis", "cache", SESSION_ENGINE="cache", CACHE_URL="{redis}"),

    django("memcached", "cache", CACHE_URL="{memcached}"),
    ours("memcached", "memcached", "cache", SESSION_ENGINE="cache", CACHE_URL="{memcached}"),

    django("cached_db", "cached_db", DATABASE_URL="{postgres}", CACHE_URL="{redis}"),
    ours("cached_db", "cached_db", "cached_db", SESSION_ENGINE="cached_db", DATABASE_URL="{postgres}", CACHE_URL="{redis}"),

    of_users("users", "peer", "axum-login", "axum-login-peer", DATABASE="{file}"),
    of_users("users", "django", "Django", "gunicorn", DATABASE_URL=SQLITE),
    of_users("users", "ours", "Quintette", "users", DATABASE_URL=SQLITE),

    of_users("logins", "peer", "axum-login", "axum-login-peer", DATABASE="{file}"),
    of_users("logins", "django", "Django", "gunicorn", DATABASE_URL=SQLITE),
    of_users("logins", "ours", "Quintette, which leaves a core to other pages", "users", DATABASE_URL=SQLITE),
    of_users("logins", "ours", "Quintette, hashing on every core", "users", name="logins-every-core",
             DATABASE_URL=SQLITE, THREADS=str(os.cpu_count())),
]  # fmt: skip

# The store whose raw handler a store is held against: cached_db reads from the cache and writes to the database.
RAW_OF = {"cached_db": {"read": "redis", "write": "postgres"}}
# Who shows what an untouched session costs.
UNTOUCHED = ["bare", "tower-memory", "actix-redis", "django-sqlite", "sqlite"]


def routes(contender):
    """Which of its routes are measured."""
    found = ["none"] if contender.name in UNTOUCHED else []
    return found if contender.kind == "bare" else [*found, *ROUTES.get(contender.store, ("read", "write"))]


def named(name):
    return next(contender for contender in ALL if contender.name == name)
