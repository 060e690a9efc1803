"""The `quintette` command beside `manage.py`: users that either makes, and an end to the sessions that the other made."""

import fcntl
import json
import os
import pty
import select
import subprocess
import termios
import time

import pytest

import servers
from browser import Browser
from servers import django_versions
from users import ANONYMOUS, PASSWORD, QUICK, Users, database_of, log_in, make, who

# Where Django keeps sessions that a command can search: each engine that stores any, on each database.
LISTED = ("db/sqlite", "db/postgres", "db/mariadb", "cached_db/postgres+redis", "cached_db/mariadb+memcached", "file")

PROMPT_SECONDS = 60

SUPERUSER = ["createsuperuser", "--noinput", "--email", "Mei@Example.COM", "--username"]


@pytest.fixture(params=django_versions())
def version(request):
    return request.param


@pytest.fixture
def migrated(new_store, quintette):
    """`migrated(kind)`: a store, its settings and its users; Django has made the tables, and then `quintette migrate`."""

    def make_store(kind):
        store = new_store(kind)
        database = database_of(store)
        settings = store.settings | QUICK | {"DATABASE_URL": database.url}
        quintette("migrate", settings=settings)
        return store, settings, Users(database)

    return make_store


@pytest.fixture
def at_a_terminal(tmp_path):
    """`at_a_terminal(*arguments, settings=…, answers=…)`: runs `quintette` before somebody who types; returns what it showed."""

    def run(*arguments, settings, answers):
        keyboard, terminal = pty.openpty()
        process = subprocess.Popen(
            [*servers.quintette_command(), *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=tmp_path,
            env=servers.environment(settings),
            start_new_session=True,
            # Python asks for passwords at /dev/tty: let it be this one.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        shown = ""
        try:
            for prompt, answer in answers:
                shown += until(keyboard, prompt)
                os.write(keyboard, f"{answer}\n".encode())
            shown += until(keyboard, None)
            assert process.wait(PROMPT_SECONDS) == 0, shown
        finally:
            process.kill()
            os.close(keyboard)
        return shown

    return run


def until(keyboard, prompt):
    """What a terminal shows up to the prompt, or up to its end."""
    shown, deadline = b"", time.monotonic() + PROMPT_SECONDS
    while prompt is None or prompt.encode() not in shown:
        assert select.select([keyboard], [], [], deadline - time.monotonic())[0], f"{prompt!r} does not come in {shown!r}"
        try:
            read = os.read(keyboard, 4096)
        except OSError:  # Linux says so of a terminal that nobody has open any more.
            read = b""
        if not read:
            assert prompt is None, f"{prompt!r} does not come in {shown!r}"
            break
        shown += read
    return shown.decode()


def sessions_of(quintette, name, settings):
    return json.loads(quintette("sessions", "list", "--json", "--user", name, settings=settings).stdout)


class TestSuperusers:
    def test_those_made_here_and_there_log_in_at_both(self, version, migrated, quintette, manage, django, probe):
        store, settings, users = migrated("db/sqlite")
        given = settings | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        quintette(*SUPERUSER, "ours", settings=given)
        manage(version, *SUPERUSER, "theirs", settings=given)
        for name in ("ours", "theirs"):
            for server in (django(version, **settings), probe(**settings)):
                browser = Browser()
                assert log_in(browser, server, name).status == 200, (name, server)
                known = who(browser, server)
                assert known["is_superuser"] and known["is_staff"]

    @pytest.mark.parametrize("kind", ["db/sqlite", "db/postgres", "db/mariadb"])
    def test_the_rows_are_alike(self, kind, version, migrated, quintette, manage):
        store, settings, users = migrated(kind)
        quintette(*SUPERUSER, "ours", settings=settings)
        manage(version, *SUPERUSER, "theirs", settings=settings)
        for column in ("email", "first_name", "last_name", "is_superuser", "is_staff", "is_active", "last_login"):
            assert users.column("ours", column) == users.column("theirs", column), column
        # No password to log in with: a mark and a text of the same length.
        ours, theirs = (users.column(name, "password") for name in ("ours", "theirs"))
        assert (ours[0], len(ours)) == (theirs[0], len(theirs)) == ("!", 41)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--username", "taken", "--email", ""],
            ["--email", ""],
            ["--username", "new"],
            ["--username", "", "--email", ""],
            ["--username", "with space", "--email", ""],
            ["--username", "new", "--email", "nobody"],
            ["--username", "a" * 151, "--email", ""],
        ],
        ids=" ".join,
    )
    def test_what_django_refuses_is_refused(self, arguments, version, migrated, quintette, manage):
        store, settings, users = migrated("db/sqlite")
        quintette(*SUPERUSER, "taken", settings=settings)
        for done in (
            manage(version, "createsuperuser", "--noinput", *arguments, settings=settings, check=False),
            quintette("createsuperuser", "--noinput", *arguments, settings=settings, check=False),
        ):
            assert done.returncode == 1, done
        assert users.database.sql("SELECT username FROM auth_user") == [("taken",)]

    def test_one_is_made_at_a_terminal(self, version, migrated, at_a_terminal, django):
        store, settings, users = migrated("db/sqlite")
        answers = [
            ("Username", "mei"),
            ("Email address: ", "mei@example.com"),
            ("Password: ", PASSWORD),
            ("Password (again): ", PASSWORD),
        ]
        shown = at_a_terminal("createsuperuser", settings=settings, answers=answers)
        assert PASSWORD not in shown
        assert log_in(Browser(), django(version, **settings), "mei").status == 200


class TestChangepassword:
    @pytest.mark.parametrize("kind", ["db/sqlite", "signed_cookies"])
    def test_it_ends_the_sessions_of_the_user_and_of_nobody_else(
        self, kind, version, migrated, at_a_terminal, django, probe
    ):
        store, settings, users = migrated(kind)
        server = django(version, **settings)
        changed, other = make(server), make(server)
        browsers = {name: Browser() for name in (changed, other)}
        for name, browser in browsers.items():
            assert log_in(browser, server, name).status == 200
        answers = [("Password: ", "another one"), ("Password (again): ", "another one")]
        shown = at_a_terminal("changepassword", changed, settings=settings, answers=answers)
        assert "another one" not in shown
        for side in (server, probe(**settings)):
            assert who(browsers[changed].copy(), side) == ANONYMOUS
            assert who(browsers[other].copy(), side)["username"] == other
        assert log_in(Browser(), server, changed).status == 403
        assert log_in(Browser(), server, changed, "another one").status == 200


@pytest.mark.beyond_django
class TestSessionsOfAUser:
    @pytest.mark.parametrize("kind", LISTED)
    def test_those_of_django_are_listed_and_ended(self, kind, version, migrated, quintette, django, probe):
        store, settings, users = migrated(kind)
        server = django(version, **settings)
        mei, lin = make(server), make(server)
        browsers = {name: [Browser(), Browser()] for name in (mei, lin)}
        for name, some in browsers.items():
            for browser in some:
                assert log_in(browser, server, name).status == 200
        assert len(sessions_of(quintette, mei, settings)) == 2
        assert len(sessions_of(quintette, str(users.column(lin, "id")), settings)) == 2

        quintette("sessions", "revoke", "--user", mei, "--yes", settings=settings)
        for side in (server, probe(**settings)):
            assert [who(browser.copy(), side) for browser in browsers[mei]] == [ANONYMOUS] * 2
            assert [who(browser.copy(), side)["username"] for browser in browsers[lin]] == [lin] * 2
        assert sessions_of(quintette, mei, settings) == []

        quintette("sessions", "revoke", browsers[lin][0].session[:8], settings=settings)
        assert [who(browser, server)["username"] for browser in browsers[lin]] == [None, lin]
        assert len(sessions_of(quintette, lin, settings)) == 1

    def test_one_is_ended_and_the_other_goes_on(self, version, migrated, quintette, django, probe):
        store, settings, users = migrated("db/sqlite")
        server = django(version, **settings)
        name = make(server)
        browsers = [Browser(), Browser()]
        for browser in browsers:
            log_in(browser, server, name)
        # Seen here, the first has a device.
        browsers[0].get(probe(**settings), "/auth/user", headers={"User-Agent": "one/1.0"})
        ours = [session for session in wait_for_two(quintette, name, settings) if session["user_agent"] == "one/1.0"]
        quintette("sessions", "revoke", "--user", name, "--session", ours[0]["session"][:8], settings=settings)
        assert [who(browser, server)["username"] for browser in browsers] == [None, name]

    @pytest.mark.parametrize("kind", ["cache/redis", "cache/memcached"])
    def test_of_a_cache_those_that_a_request_has_brought_here_are_ended(
        self, kind, version, migrated, quintette, django, probe
    ):
        store, settings, users = migrated(kind)
        server = django(version, **settings)
        name = make(server)
        seen, unseen = Browser(), Browser()
        for browser in (seen, unseen):
            log_in(browser, server, name)
        assert who(seen, probe(**settings))["username"] == name
        wait_for(lambda: len(sessions_of(quintette, name, settings)) == 1)
        done = quintette("sessions", "revoke", "--user", name, "--yes", settings=settings)
        assert "changepassword" in done.stderr
        assert [who(browser, server)["username"] for browser in (seen, unseen)] == [None, name]


def wait_for_two(quintette, name, settings):
    """The sessions of the user, once the request of one is noted."""
    wait_for(lambda: any(session["user_agent"] for session in sessions_of(quintette, name, settings)))
    return sessions_of(quintette, name, settings)


def wait_for(condition):
    """A request is noted in a task of its own, soon after it was answered."""
    deadline = time.monotonic() + PROMPT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it is not noted"
        time.sleep(0.1)
