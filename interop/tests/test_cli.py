"""The `quintette` command beside `manage.py`: the same tables, the same clean-up, the same sessions."""

import sqlite3
from contextlib import closing

import pytest

from forging import signed
from servers import django_versions, newest_django
from visitor import Visitor, put

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name = 'django_session' ORDER BY name"


def url(path):
    return {"DATABASE_URL": f"sqlite://{path}"}


def schema(path):
    with closing(sqlite3.connect(path)) as connection:
        return {
            "objects": connection.execute(SCHEMA).fetchall(),
            "columns": connection.execute("PRAGMA table_info(django_session)").fetchall(),
            "indexes": sorted(row[1:] for row in connection.execute("PRAGMA index_list(django_session)")),
        }


def contents(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.fixture(params=django_versions())
def version(request):
    return request.param


class TestMigrate:
    def test_the_table_is_the_one_django_makes(self, version, quintette, manage, tmp_path):
        ours, theirs = tmp_path / "ours.sqlite3", tmp_path / "theirs.sqlite3"
        quintette("migrate", settings=url(ours))
        manage(version, "migrate", "sessions", settings=url(theirs))
        assert schema(ours) == schema(theirs)

    def test_django_finds_nothing_to_do_afterwards(self, version, quintette, manage, tmp_path):
        path = tmp_path / "ours.sqlite3"
        quintette("migrate", settings=url(path))
        before = schema(path)
        printed = manage(version, "migrate", "sessions", settings=url(path)).stdout
        assert "No migrations to apply" in printed
        assert schema(path) == before

    def test_django_migrates_everything_else_afterwards(self, version, quintette, manage, tmp_path):
        path = tmp_path / "ours.sqlite3"
        quintette("migrate", settings=url(path))
        before = schema(path)
        manage(version, "migrate", "--fake-initial", settings=url(path))
        assert schema(path) == before
        assert manage(version, "migrate", "--check", settings=url(path)).returncode == 0

    @pytest.mark.parametrize("apps", [["sessions"], []], ids=["sessions", "everything"])
    def test_nothing_is_done_where_django_has_migrated(self, apps, version, quintette, manage, tmp_path):
        path = tmp_path / "theirs.sqlite3"
        manage(version, "migrate", *apps, settings=url(path))
        before = contents(path)
        quintette("migrate", settings=url(path))
        assert contents(path) == before

    def test_a_second_time_changes_nothing(self, quintette, tmp_path):
        path = tmp_path / "ours.sqlite3"
        quintette("migrate", settings=url(path))
        before = contents(path)
        quintette("migrate", settings=url(path))
        assert contents(path) == before

    def test_sessions_are_kept(self, quintette, new_store, django):
        store = new_store("db")
        visitor = Visitor()
        visitor.ops(django(newest_django(), **store.settings), put("a", 1))
        before = contents(store.database)
        quintette("migrate", settings=store.settings)
        assert contents(store.database) == before


EXPIRIES = [None, 3_600, 0, {"in": 3_600}, {"at": "2099-01-01T00:00:00Z"}, -1, {"in": -60}, {"at": "2001-01-01T00:00:00Z"}]


def live_and_expired(store, server):
    """Fills the store with sessions of every expiry, each once as it is and once made old from outside."""
    for expiry in EXPIRIES:
        for old in (False, True):
            visitor = Visitor()
            # The expiry is stored by itself: Django's file engine drops what it is asked to save already expired.
            visitor.ops(server, put("a", 1))
            key = visitor.value
            visitor.ops(server, {"op": "set_expiry", "value": expiry}, put("b", str(expiry)))
            if old and key in store.keys():
                store.expire(key)


class TestClearsessions:
    @pytest.mark.parametrize("engine", ["db", "file", "cached_db"])
    def test_it_removes_what_django_removes(self, engine, version, new_store, django, manage, quintette, tmp_path):
        store = new_store(engine)
        live_and_expired(store, django(version, **store.settings))
        for name in ("corrupt", "old0corrupt"):
            store.put(name + "session", "rubbish")
        store.expire("old0corruptsession")
        twin = store.copy(tmp_path / "twin")
        before = store.keys()
        manage(version, "clearsessions", settings=store.settings)
        quintette("clearsessions", settings=twin.settings)
        assert twin.keys() == store.keys()
        assert set() < store.keys() < before

    def test_files_that_are_no_sessions_are_left_alone(self, version, new_store, manage, quintette, tmp_path):
        store = new_store("file")
        live = signed({"a": 1})
        for key in ("abcdefgh", "expiredabcdefgh", "_out_abcdefgh", "abcdefgh_out_xyz", "UPPERCASE", "short", ".hidden", "empty000"):
            store.put(key, "" if key == "empty000" else live)
            if key != "abcdefgh":
                store.expire(key)
        for name in ("unrelated.txt", "session", "othersessionidabcdefgh"):
            (store.files / name).write_text(live)
        twin = store.copy(tmp_path / "twin")
        manage(version, "clearsessions", settings=store.settings)
        quintette("clearsessions", settings=twin.settings)
        assert sorted(p.name for p in twin.files.iterdir()) == sorted(p.name for p in store.files.iterdir())

    @pytest.mark.parametrize("engine", ["db", "file", "cache", "cached_db", "signed_cookies"])
    def test_an_empty_store_of_any_engine_is_no_error(self, engine, new_store, quintette):
        quintette("clearsessions", settings=new_store(engine).settings)

    def test_many_expired_sessions_are_removed(self, new_store, quintette):
        store = new_store("db")
        store.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
            "INSERT INTO django_session SELECT printf('%032d', i), 'x', "
            "CASE WHEN i % 10 THEN '2001-01-01 00:00:00' ELSE '2100-01-01 00:00:00' END FROM n"
        )
        quintette("clearsessions", settings=store.settings)
        assert store.keys() == {format(i, "032d") for i in range(10, 20_001, 10)}


class TestSessions:
    def test_those_of_django_are_listed_and_shown(self, version, new_store, django, quintette):
        store = new_store("db")
        server = django(version, **store.settings)
        visitors = []
        for number in range(3):
            visitors.append(Visitor())
            visitors[-1].ops(server, put("marker", f"value-{number}"), put("number", 2**70))
        listed = quintette("sessions", "list", settings=store.settings).stdout
        for number, visitor in enumerate(visitors):
            # A whole key is as good as the visitor's cookie; its beginning tells sessions apart.
            assert visitor.value[:8] in listed
            shown = quintette("sessions", "show", visitor.value, settings=store.settings).stdout
            assert "marker" in shown
            assert f"value-{number}" in shown
            assert str(2**70) in shown

    def test_an_unknown_key_is_an_error(self, new_store, quintette):
        done = quintette("sessions", "show", "doesnotexist", settings=new_store("db").settings, check=False)
        assert done.returncode != 0
        assert "session" in done.stderr


class TestErrors:
    @pytest.mark.parametrize("command", [["migrate"], ["clearsessions"], ["sessions", "list"]], ids=" ".join)
    def test_a_missing_secret_key_is_named(self, command, new_store, quintette):
        done = quintette(*command, settings=new_store("db").settings | {"SECRET_KEY": None}, check=False)
        # A command that needs no key may do without one.
        assert done.returncode == 0 or "SECRET_KEY" in done.stdout + done.stderr

    @pytest.mark.beyond_django
    @pytest.mark.parametrize("command", [["clearsessions"], ["sessions", "list"]], ids=" ".join)
    def test_an_unmigrated_database_is_an_error_that_says_what_to_do(self, command, quintette, tmp_path):
        sqlite3.connect(tmp_path / "empty.sqlite3").close()
        done = quintette(*command, settings=url(tmp_path / "empty.sqlite3"), check=False)
        assert done.returncode != 0
        assert "django_session" in done.stdout + done.stderr
        assert "migrate" in done.stdout + done.stderr

    @pytest.mark.beyond_django
    def test_a_database_that_cannot_be_opened_is_named(self, quintette, tmp_path):
        path = tmp_path / "missing" / "sessions.sqlite3"
        done = quintette("migrate", settings=url(path), check=False)
        assert done.returncode != 0
        assert str(path) in done.stdout + done.stderr

    @pytest.mark.parametrize("arguments", [["explode"], ["sessions", "explode"], ["--explode"]], ids=" ".join)
    def test_an_unknown_command_is_an_error(self, arguments, new_store, quintette):
        done = quintette(*arguments, settings=new_store("db").settings, check=False)
        assert done.returncode != 0
        assert "explode" in done.stderr
