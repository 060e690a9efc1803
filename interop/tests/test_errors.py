"""Wrong settings and stores that are down: the program stops, or answers 503, and says what is wrong and where."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from stores import SHARED
from visitor import ITEMS, Visitor, get, op, put

WRONG = {
    "an age that is no number": ({"SESSION_COOKIE_AGE": "soon"}, ["SESSION_COOKIE_AGE", "soon"]),
    "an age that is an array": ({"SESSION_COOKIE_AGE": [1]}, ["SESSION_COOKIE_AGE"]),
    "a flag that is none": ({"SESSION_COOKIE_SECURE": "perhaps"}, ["SESSION_COOKIE_SECURE", "perhaps"]),
    "fallbacks that are no array": ({"SECRET_KEY_FALLBACKS": "old"}, ["SECRET_KEY_FALLBACKS"]),
    "a misspelt name": ({"SESSION_COOKIE_AEG": 60}, ["SESSION_COOKIE_AEG", "SESSION_COOKIE_AGE"]),
    "a name that never was": ({"SESSION_FLAVOUR": "mint"}, ["SESSION_FLAVOUR"]),
    # A URL may hold a password, so what is told is the setting and what it could hold, not what it holds.
    "a database of no known kind": ({"DATABASE_URL": "oracle://db/x"}, ["DATABASE_URL", "sqlite"]),
    "a cache of no known kind": (
        {"CACHE_URL": "carrier-pigeon://x", "SESSION_ENGINE": "django.contrib.sessions.backends.cache"},
        ["CACHE_URL", "locmem"],
    ),
    "an engine that does not exist": (
        {"SESSION_ENGINE": "django.contrib.sessions.backends.dbb"},
        ["SESSION_ENGINE", "dbb"],
    ),
    "no secret key": ({"SECRET_KEY": None}, ["SECRET_KEY"]),
    "an empty secret key": ({"SECRET_KEY": ""}, ["SECRET_KEY"]),
}

# Django starts with these, and finds out (or does not) when it is too late.
WRONG_BEYOND_DJANGO = {
    "a SameSite that is none of them": ({"SESSION_COOKIE_SAMESITE": "Sometimes"}, ["SESSION_COOKIE_SAMESITE", "Sometimes"]),
    "a serializer that does not exist": ({"SESSION_SERIALIZER": "app.serializers.Yaml"}, ["SESSION_SERIALIZER", "app.serializers.Yaml"]),
    "an alias that no cache has": (
        {"SESSION_CACHE_ALIAS": "sessions", "SESSION_ENGINE": "django.contrib.sessions.backends.cache"},
        ["SESSION_CACHE_ALIAS", "sessions"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_stops_the_program_and_is_named(name, new_store, probe_log):
    settings, named = WRONG[name]
    server, log = probe_log(**new_store("db/sqlite").settings | settings)
    assert server is None, "it started"
    assert [text for text in named if text not in log] == [], log


@pytest.mark.beyond_django
@pytest.mark.parametrize("name", WRONG_BEYOND_DJANGO)
def test_a_setting_of_no_use_stops_the_program_and_is_named(name, new_store, probe_log):
    settings, named = WRONG_BEYOND_DJANGO[name]
    server, log = probe_log(**new_store("db/sqlite").settings | settings)
    assert server is None, "it started"
    assert [text for text in named if text not in log] == [], log


def test_secrets_are_not_printed(new_store, probe_log):
    secret = "a-secret-that-nobody-may-read-in-a-log"
    for wrong in ({"SESSION_COOKIE_AGE": "soon"}, {"SESSION_FLAVOUR": "mint"}):
        _, log = probe_log(**new_store("db/sqlite").settings | wrong | {"SECRET_KEY": secret})
        assert log != ""
        assert secret not in log


def said(server, log, visitor=None):
    """All that the program says about a store it cannot use: when it starts, in its answer, and in its log."""
    if server is None:
        return log
    answer = (visitor or Visitor()).ops(server, put("a", 1))
    assert answer.status == 503, answer
    assert answer.set_cookies == []
    return answer.text + server.log()


# Permissions do not bind root; without this capability they do.
WITHOUT_ROOTS_POWERS = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)


class unwritable:
    """Takes the write permission from a path for the time of a `with`."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.mode = self.path.stat().st_mode
        self.path.chmod(self.mode & ~0o222)

    def __exit__(self, *_):
        self.path.chmod(self.mode)


@pytest.mark.beyond_django
class TestAStoreThatIsDown:
    def test_a_session_directory_that_does_not_exist(self, probe_log, tmp_path):
        missing = tmp_path / "missing"
        settings = {"SESSION_ENGINE": "django.contrib.sessions.backends.file", "SESSION_FILE_PATH": str(missing)}
        text = said(*probe_log(**settings))
        assert "SESSION_FILE_PATH" in text
        assert str(missing) in text

    def test_a_session_directory_that_is_a_file(self, probe_log, tmp_path):
        file = tmp_path / "file"
        file.write_text("")
        settings = {"SESSION_ENGINE": "django.contrib.sessions.backends.file", "SESSION_FILE_PATH": str(file)}
        text = said(*probe_log(**settings))
        assert "SESSION_FILE_PATH" in text
        assert str(file) in text

    def test_a_session_directory_without_write_permission(self, probe_log, tmp_path):
        directory = tmp_path / "unwritable"
        directory.mkdir()
        settings = {"SESSION_ENGINE": "django.contrib.sessions.backends.file", "SESSION_FILE_PATH": str(directory)}
        with unwritable(directory):
            text = said(*probe_log(prefix=WITHOUT_ROOTS_POWERS, **settings))
        assert str(directory) in text

    def test_a_session_directory_that_vanishes(self, probe_log, new_store):
        store = new_store("file")
        server, _ = probe_log(**store.settings)
        visitor = Visitor()
        visitor.ops(server, put("a", 1))
        shutil.rmtree(store.files)
        assert str(store.files) in said(server, "")

    def test_a_database_in_a_directory_that_does_not_exist(self, probe_log, tmp_path):
        path = tmp_path / "missing" / "sessions.sqlite3"
        assert str(path) in said(*probe_log(DATABASE_URL=f"sqlite://{path}"))

    def test_a_database_that_is_no_database(self, probe_log, tmp_path):
        path = tmp_path / "text.sqlite3"
        path.write_text("this is a text, and no database, and it goes on for longer than a header\n" * 100)
        assert str(path) in said(*probe_log(DATABASE_URL=f"sqlite://{path}"))

    def test_a_database_without_the_table(self, probe_log, tmp_path):
        path = tmp_path / "empty.sqlite3"
        sqlite3.connect(path).close()
        text = said(*probe_log(DATABASE_URL=f"sqlite://{path}"))
        assert "django_session" in text
        assert "migrate" in text

    def test_a_database_that_may_only_be_read(self, probe_log, new_store):
        store = new_store("db/sqlite")
        with unwritable(store.database.path), unwritable(store.directory):
            text = said(*probe_log(prefix=WITHOUT_ROOTS_POWERS, **store.settings))
        assert str(store.database.path) in text

    @pytest.mark.parametrize("kind", ["db/sqlite", "cached_db/sqlite+locmem"])
    def test_a_locked_database_is_not_a_lost_write_and_it_recovers(self, kind, probe_log, new_store):
        store = new_store(kind)
        server, _ = probe_log(**store.settings)
        visitor = Visitor()
        visitor.ops(server, put("a", 1))
        with closing(sqlite3.connect(store.database.path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            answer = visitor.ops(server, put("a", 2))
            connection.execute("ROLLBACK")
        assert answer.status == 503
        assert visitor.ops(server, get("a")).values == [1]
        assert visitor.ops(server, put("a", 3)).status == 200
        assert visitor.ops(server, get("a")).values == [3]

    def test_a_visitor_is_not_taken_for_an_anonymous_one(self, probe_log, new_store):
        store = new_store("db/sqlite")
        server, _ = probe_log(**store.settings)
        visitor = Visitor()
        visitor.ops(server, put("a", 1))
        store.sql("ALTER TABLE django_session RENAME TO elsewhere")
        answer = visitor.ops(server, ITEMS)
        assert answer.status == 503
        assert answer.set_cookies == []
        store.sql("ALTER TABLE elsewhere RENAME TO django_session")
        assert visitor.ops(server, ITEMS).values == [[["a", 1]]]


@pytest.mark.parametrize("kind", SHARED)
def test_a_restart_finds_the_sessions_again(kind, probe_log, new_store):
    store = new_store(kind)
    visitor = Visitor()
    first, _ = probe_log(**store.settings)
    visitor.ops(first, put("a", 1), op("set_expiry", value=3_600))
    first.stop()
    second, _ = probe_log(**store.settings)
    assert visitor.ops(second, get("a")).values == [1]


def test_what_does_not_touch_the_session_goes_on_without_its_store(probe_log, new_store):
    store = new_store("db/sqlite")
    server, _ = probe_log(**store.settings)
    store.sql("DROP TABLE django_session")
    assert Visitor("0123456789abcdef").request(server, "GET", "/bench/none").status == 200
