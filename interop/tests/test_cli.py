"""The `quintette` command beside `manage.py`: the same tables, the same clean-up, the same sessions."""

import pytest

from databases import DATABASES
from forging import signed
from schemas import CUSTOMERS, GROUPS, SESSIONS, TABLES, contents, schema, table_names
from servers import django_versions
from stores import EVERY_STORE, ROWS
from visitor import Visitor, put


@pytest.fixture(params=django_versions())
def version(request):
    return request.param


@pytest.fixture(params=DATABASES)
def kind(request):
    return request.param


@pytest.fixture
def new_database(kind, tmp_path):
    """`new_database()`: an empty one, and the settings that name it."""
    made = []

    def new():
        directory = tmp_path / f"database-{len(made)}"
        directory.mkdir()
        made.append(DATABASES[kind](directory, empty=True))
        return made[-1], {"DATABASE_URL": made[-1].url}

    yield new
    for database in made:
        database.drop()


# What Django's tables are for sessions and users, and how to ask for them.
USER_MODELS = {"auth.User": (TABLES, {}), "accounts.Customer": (SESSIONS + GROUPS + CUSTOMERS, {"AUTH_USER_MODEL": "accounts.Customer"})}


@pytest.fixture(params=USER_MODELS)
def users(request):
    """The tables, and the settings."""
    return USER_MODELS[request.param]


def permissions(database):
    return sorted(
        database.sql(
            "SELECT c.app_label, c.model, p.codename, p.name FROM auth_permission p "
            "JOIN django_content_type c ON c.id = p.content_type_id"
        )
    )


class TestMigrate:
    def test_the_tables_are_those_that_django_makes(self, kind, version, users, quintette, manage, new_database):
        (tables, more), (ours, our_settings), (theirs, their_settings) = users, new_database(), new_database()
        quintette("migrate", settings=our_settings | more)
        manage(version, "migrate", settings=their_settings | more)
        made, expected = schema(kind, ours, tables), schema(kind, theirs, tables)
        for about in expected:
            assert made[about] == expected[about], about
        names = set(table_names(kind, ours))
        assert names - set(table_names(kind, theirs)) <= {"quintette_user_session"}
        assert set(table_names(kind, theirs)) == names & set(tables)

    def test_the_permissions_are_those_that_django_makes(self, kind, version, users, quintette, manage, new_database):
        (_, more), (ours, our_settings), (theirs, their_settings) = users, new_database(), new_database()
        quintette("migrate", settings=our_settings | more)
        manage(version, "migrate", settings=their_settings | more)
        assert permissions(ours) == permissions(theirs)

    def test_django_finds_nothing_to_do_afterwards(self, kind, version, users, quintette, manage, new_database):
        (_, more), (database, settings) = users, new_database()
        quintette("migrate", settings=settings | more)
        before = contents(kind, database)
        printed = manage(version, "migrate", settings=settings | more).stdout
        assert "No migrations to apply" in printed
        assert contents(kind, database) == before
        assert manage(version, "migrate", "--check", settings=settings | more).returncode == 0

    @pytest.mark.parametrize("apps", [["sessions"], ["contenttypes"], ["auth"], ["auth", "0008"], []], ids=" ".join)
    def test_what_django_has_migrated_is_left_alone(self, apps, kind, version, users, quintette, manage, new_database):
        (_, more), (database, settings) = users, new_database()
        manage(version, "migrate", *apps, settings=settings | more)
        djangos = table_names(kind, database)
        untouched = [name for name in djangos if name not in ("django_migrations", "django_content_type", "auth_permission")]
        before = contents(kind, database, untouched)
        quintette("migrate", settings=settings | more)
        assert contents(kind, database, untouched) == before
        # And Django does the rest.
        manage(version, "migrate", settings=settings | more)
        assert manage(version, "migrate", "--check", settings=settings | more).returncode == 0

    def test_only_the_table_of_its_own_is_made_where_django_has_migrated(
        self, kind, version, users, quintette, manage, new_database
    ):
        (_, more), (database, settings) = users, new_database()
        manage(version, "migrate", settings=settings | more)
        djangos = [name for name in table_names(kind, database) if name != "django_migrations"]
        before = contents(kind, database, djangos)
        quintette("migrate", settings=settings | more)
        assert contents(kind, database, djangos) == before

    def test_a_second_time_changes_nothing(self, kind, quintette, new_database):
        database, settings = new_database()
        quintette("migrate", settings=settings)
        before = contents(kind, database)
        quintette("migrate", settings=settings)
        assert contents(kind, database) == before

    def test_both_servers_use_the_tables_afterwards(self, version, quintette, new_database, django, probe):
        database, settings = new_database()
        quintette("migrate", settings=settings)
        visitor = Visitor()
        for number, server in enumerate((django(version, **settings), probe(**settings))):
            visitor.ops(server, put(f"n{number}", number))
        assert len(database.sql("SELECT * FROM django_session")) == 1

    def test_sessions_are_kept(self, kind, version, quintette, new_store, django):
        store = new_store(f"db/{kind}")
        Visitor().ops(django(version, **store.settings), put("a", 1))
        before = contents(kind, store.database, ["django_session"])
        quintette("migrate", settings=store.settings)
        assert contents(kind, store.database, ["django_session"]) == before


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
    @pytest.mark.parametrize("kind", [*ROWS, "file"])
    def test_it_removes_what_django_removes(self, kind, version, new_store, django, manage, quintette, tmp_path):
        store = new_store(kind)
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

    @pytest.mark.parametrize("kind", EVERY_STORE)
    def test_an_empty_store_of_any_engine_is_no_error(self, kind, new_store, quintette):
        quintette("clearsessions", settings=new_store(kind).settings)

    @pytest.mark.parametrize("kind", ["db/sqlite", "db/postgres", "db/mariadb"])
    def test_many_expired_sessions_are_removed(self, kind, new_store, quintette):
        store = new_store(kind)
        moments = {True: "2001-01-01 00:00:00", False: "2100-01-01 00:00:00"}
        for start in range(1, 20_001, 1_000):
            rows = ", ".join(
                f"('{number:032}', 'x', '{store.database.moment(moments[number % 10 != 0])}')"
                for number in range(start, start + 1_000)
            )
            store.sql(f"INSERT INTO django_session (session_key, session_data, expire_date) VALUES {rows}")
        quintette("clearsessions", settings=store.settings)
        assert store.keys() == {format(number, "032") for number in range(10, 20_001, 10)}


class TestSessions:
    @pytest.mark.parametrize("kind", ROWS)
    def test_those_of_django_are_listed_and_shown(self, kind, version, new_store, django, quintette):
        store = new_store(kind)
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
        done = quintette("sessions", "show", "doesnotexist", settings=new_store("db/sqlite").settings, check=False)
        assert done.returncode != 0
        assert "session" in done.stderr


class TestErrors:
    @pytest.mark.parametrize("command", [["migrate"], ["clearsessions"], ["sessions", "list"]], ids=" ".join)
    def test_a_missing_secret_key_is_named(self, command, new_store, quintette):
        done = quintette(*command, settings=new_store("db/sqlite").settings | {"SECRET_KEY": None}, check=False)
        # A command that needs no key may do without one.
        assert done.returncode == 0 or "SECRET_KEY" in done.stdout + done.stderr

    @pytest.mark.beyond_django
    @pytest.mark.parametrize("command", [["clearsessions"], ["sessions", "list"]], ids=" ".join)
    def test_an_unmigrated_database_is_an_error_that_says_what_to_do(self, command, quintette, new_database):
        database, settings = new_database()
        # An SQLite file comes to be by being opened.
        database.sql("SELECT 1")
        done = quintette(*command, settings=settings, check=False)
        assert done.returncode != 0
        assert "django_session" in done.stdout + done.stderr
        assert "migrate" in done.stdout + done.stderr

    @pytest.mark.beyond_django
    def test_a_database_that_cannot_be_opened_is_named(self, quintette, tmp_path):
        path = tmp_path / "missing" / "sessions.sqlite3"
        done = quintette("migrate", settings={"DATABASE_URL": f"sqlite://{path}"}, check=False)
        assert done.returncode != 0
        assert str(path) in done.stdout + done.stderr

    @pytest.mark.parametrize("scheme", ["postgres", "mysql"])
    def test_a_database_server_that_is_not_there_is_named_and_its_password_is_not(self, scheme, quintette):
        url = f"{scheme}://shop:a-password-nobody-may-read@127.0.0.1:1/shop"
        done = quintette("migrate", settings={"DATABASE_URL": url}, check=False)
        assert done.returncode != 0
        assert "127.0.0.1" in done.stdout + done.stderr
        assert "a-password-nobody-may-read" not in done.stdout + done.stderr

    @pytest.mark.parametrize("arguments", [["explode"], ["sessions", "explode"], ["--explode"]], ids=" ".join)
    def test_an_unknown_command_is_an_error(self, arguments, new_store, quintette):
        done = quintette(*arguments, settings=new_store("db/sqlite").settings, check=False)
        assert done.returncode != 0
        assert "explode" in done.stderr
