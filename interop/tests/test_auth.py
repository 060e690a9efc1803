"""Who logs in at one is logged in at the other, and who is logged out at one is so at both."""

import functools

import pytest

from browser import Browser
from comparable import Masking
from servers import SECRET_KEY, django_versions, newest_django
from users import ALLOW_ALL_BACKEND, ANONYMOUS, MODEL_BACKEND, PASSWORD, QUICK, Users, database_of, log_in, make, set_password, who
from visitor import get, op, put

NEW = {"SECRET_KEY": "another-secret-key-that-came-after-the-first"}
ROTATING = NEW | {"SECRET_KEY_FALLBACKS": ["one-more-key-that-never-was", SECRET_KEY]}
OTHER_PASSWORD = "another one"

# Where sessions may lie while the users are in a database: each engine, each server.
STORES = (
    "db/sqlite",
    "file",
    "signed_cookies",
    "db/postgres",
    "db/mariadb",
    "cached_db/postgres+redis",
    "cached_db/mariadb+memcached",
    "cache/redis",
    "cache/memcached",
)


@pytest.fixture(params=django_versions())
def version(request):
    return request.param


@pytest.fixture
def store(shared_store):
    return shared_store("db/sqlite")


@pytest.fixture
def settings(store):
    return store.settings | QUICK


@pytest.fixture
def users(store):
    return Users(store.database)


@pytest.fixture
def sides(both_ways, settings):
    """Two servers of one site: the newest Django and the probe."""
    return both_ways(newest_django(), **settings)


@pytest.fixture(scope="module")
def databases():
    """`databases(store)`: where its users are; made once where its sessions are elsewhere."""
    return functools.cache(database_of)


class TestOnEveryStore:
    @pytest.fixture(params=STORES)
    def place(self, request, shared_store, databases):
        store = shared_store(request.param)
        database = databases(store)
        return store, store.settings | QUICK | {"DATABASE_URL": database.url}, Users(database)

    def test_a_login_and_its_end_are_shared(self, place, both_ways):
        store, settings, users = place
        one, other = both_ways(newest_django(), **settings)
        name = make(one)
        users.grant(name, "auth.add_user")
        here, elsewhere = Browser(), Browser()
        for browser, server in ((here, one), (elsewhere, other)):
            answer = log_in(browser, server, name)
            assert (answer.status, answer.json) == (200, {"user": name}), answer
        for browser in (here, elsewhere):
            assert who(browser, one) == who(browser, other) != ANONYMOUS
            assert who(browser, one)["permissions"] == ["auth.add_user"]

        assert here.post(other, "/auth/password", {"password": OTHER_PASSWORD}).status == 200
        assert [who(here, server)["username"] for server in (one, other)] == [name, name]
        assert who(elsewhere, one) == who(elsewhere, other) == ANONYMOUS

        assert log_in(elsewhere, one, name).status == 403
        assert log_in(elsewhere, one, name, OTHER_PASSWORD).status == 200
        before = here.copy()
        assert here.post(other, "/auth/logout").status == 200
        assert who(here, one) == who(here, other) == ANONYMOUS
        assert who(elsewhere, one)["username"] == name
        # A session that is its own cookie cannot be taken back.
        if store.engine != "signed_cookies":
            assert who(before, one) == who(before, other) == ANONYMOUS


class TestLogin:
    def test_the_user_is_known_at_the_other(self, both_ways, version, settings):
        one, other = both_ways(version, **settings)
        name = make(one)
        browser = Browser()
        log_in(browser, other, name)
        seen = who(browser, one)
        assert seen == who(browser, other)
        assert seen == ANONYMOUS | {"id": seen["id"], "username": name, "is_authenticated": True}
        assert isinstance(seen["id"], int)

    @pytest.mark.parametrize("wrong", ["", "wrong", PASSWORD + " ", PASSWORD.upper(), "x" * 5_000, "\0"])
    def test_a_wrong_password_logs_nobody_in(self, sides, wrong):
        name = make(sides[0])
        for server in sides:
            browser = Browser()
            answer = log_in(browser, server, name, wrong)
            assert (answer.status, answer.json, answer.set_cookies) == (403, {"user": None}, []), answer

    @pytest.mark.parametrize("name", ["nobody", "", "' OR 1=1 --", "한글", "x" * 5_000])
    def test_an_unknown_user_is_refused_alike(self, sides, name):
        answers = [log_in(Browser(), server, name) for server in sides]
        assert [(a.status, a.json, a.set_cookies) for a in answers] == [(403, {"user": None}, [])] * 2, answers

    def test_names_keep_their_case(self, sides):
        name = make(sides[0])
        answers = [log_in(Browser(), server, name.upper()) for server in sides]
        assert [answer.status for answer in answers] == [403, 403], answers

    def test_a_deactivated_user_is_refused(self, sides, users):
        name = make(sides[0])
        users.change(name, "is_active", False)
        answers = [log_in(Browser(), server, name) for server in sides]
        assert [(a.status, a.json) for a in answers] == [(403, {"user": None})] * 2, answers

    def test_a_user_without_a_usable_password_is_refused(self, sides, users):
        name = make(sides[0])
        for unusable in ("!", "!abcdefghijklmnopqrstuvwxyz", "", "plain text", "unknown$1$salt$hash"):
            users.change(name, "password", unusable)
            for password in (PASSWORD, "", unusable):
                answers = [log_in(Browser(), server, name, password) for server in sides]
                assert [answer.status for answer in answers] == [403, 403], (unusable, password, answers)

    def test_the_time_of_the_last_login_moves(self, sides, users):
        name = make(sides[0])
        assert users.column(name, "last_login") is None
        for server in sides:
            users.change(name, "last_login", "2001-01-01 00:00:00")
            log_in(Browser(), server, name)
            assert str(users.column(name, "last_login")) > "2025"
            assert who(Browser(), server) == ANONYMOUS

    def test_a_failed_login_leaves_the_time(self, sides, users):
        name = make(sides[0])
        for server in sides:
            log_in(Browser(), server, name, "wrong")
            assert users.column(name, "last_login") is None


class TestTheSession:
    def test_its_key_changes_and_its_data_stay(self, sides):
        name = make(sides[0])
        for server in sides:
            browser = Browser()
            browser.ops(server, put("cart", [1, 2]))
            planted = browser.copy()
            log_in(browser, server, name)
            assert browser.session != planted.session
            assert browser.ops(server, get("cart")).values == [[1, 2]]
            assert planted.ops(server, get("cart")).values == [None]

    def test_another_users_is_flushed(self, sides):
        one, other = sides
        first, second = make(one), make(one)
        browser = Browser()
        log_in(browser, one, first)
        browser.ops(one, put("secret", "of the first"))
        old = browser.copy()
        log_in(browser, other, second)
        assert browser.session != old.session
        assert browser.ops(one, get("secret")).values == [None]
        assert who(browser, one)["username"] == second
        assert who(old, one) == who(old, other) == ANONYMOUS

    def test_the_same_users_is_kept(self, sides):
        one, other = sides
        name = make(one)
        browser = Browser()
        log_in(browser, one, name)
        browser.ops(one, put("cart", 1))
        key = browser.session
        log_in(browser, other, name)
        assert (browser.session, browser.ops(one, get("cart")).values) == (key, [1])

    def test_the_same_users_is_flushed_after_another_password(self, sides):
        one, other = sides
        name = make(one)
        browser = Browser()
        log_in(browser, one, name)
        browser.ops(one, put("cart", 1))
        key = browser.session
        set_password(one, name, OTHER_PASSWORD)
        log_in(browser, other, name, OTHER_PASSWORD)
        assert browser.session != key
        assert browser.ops(one, get("cart")).values == [None]
        assert who(browser, one)["username"] == name

    def test_it_holds_the_same_at_both(self, sides, users):
        one, other = sides
        name = make(one)
        held = []
        for server in sides:
            browser = Browser()
            log_in(browser, server, name)
            held.append(browser.ops(server, op("items")).values[0])
        assert held[0] == held[1]
        assert [key for key, _ in held[0]] == ["_auth_user_id", "_auth_user_backend", "_auth_user_hash"]
        assert held[0][:2] == [["_auth_user_id", str(who(browser, one)["id"])], ["_auth_user_backend", MODEL_BACKEND]]

    # Django fails on an identifier that is no number, or too long for the database.
    @pytest.mark.beyond_django(sometimes=True)
    @pytest.mark.parametrize("key", ["_auth_user_id", "_auth_user_backend", "_auth_user_hash"])
    @pytest.mark.parametrize("value", ["0", "", "-1", "rubbish", "99999999999999999999", "a" * 64, 1, None, ["1"]])
    def test_rubbish_in_it_is_nobody(self, settings, django, probe, key, value):
        answers = []
        for server in (django(newest_django(), **settings), probe(**settings)):
            browser = Browser()
            log_in(browser, server, make(server))
            browser.ops(server, put(key, value))
            answers.append(browser.get(server, "/auth/user"))
        expected, got = answers
        assert got.status == 200, got
        if key != "_auth_user_id" or value != 1:
            assert got.json == ANONYMOUS
        if expected.status == 200:
            assert (got.json, got.set_cookies) == (expected.json, expected.set_cookies)

    def test_logging_out_empties_it(self, sides):
        one, other = sides
        name = make(one)
        browser = Browser()
        log_in(browser, one, name)
        browser.ops(one, put("cart", 1))
        old = browser.copy()
        answer = browser.post(other, "/auth/logout")
        assert browser.session is None, answer
        assert old.ops(one, op("items")).values == [[]]


class TestTheEnd:
    def test_a_password_set_elsewhere_ends_every_session(self, both_ways, version, settings):
        one, other = both_ways(version, **settings)
        name = make(one)
        browsers = Browser(), Browser()
        for browser, server in zip(browsers, (one, other), strict=True):
            log_in(browser, server, name)
        set_password(one, name, PASSWORD)
        for browser in browsers:
            assert who(browser.copy(), other) == ANONYMOUS
            assert who(browser, one) == ANONYMOUS
            assert browser.session is None

    def test_a_user_who_changes_the_password_stays(self, both_ways, version, settings):
        one, other = both_ways(version, **settings)
        name = make(one)
        here, elsewhere = Browser(), Browser()
        for browser in (here, elsewhere):
            log_in(browser, one, name)
        here.ops(one, put("cart", 1))
        key = here.session
        here.post(other, "/auth/password", {"password": OTHER_PASSWORD})
        assert here.session != key
        assert here.ops(one, get("cart")).values == [1]
        assert who(here, one)["username"] == who(here, other)["username"] == name
        assert who(elsewhere, one) == ANONYMOUS

    @pytest.mark.parametrize("how", ["deactivated", "deleted"])
    def test_a_user_who_is_gone_is_anonymous(self, how, sides, users):
        one, other = sides
        name = make(one)
        browser = Browser()
        log_in(browser, one, name)
        if how == "deleted":
            users.delete(name)
        else:
            users.change(name, "is_active", False)
        assert who(browser, one) == who(browser, other) == ANONYMOUS
        assert browser.get(other, "/auth/required").status == 302
        if how == "deactivated":
            users.change(name, "is_active", True)
            assert who(browser, other)["username"] == name


class TestKeysThatRotate:
    def test_a_login_outlives_the_rotation(self, both_ways, version, settings, django, probe):
        old, _ = both_ways(version, **settings)
        _, rotating = both_ways(version, **settings, **ROTATING)
        new, _ = both_ways(version, **settings, **NEW)
        name = make(old)
        browser = Browser()
        log_in(browser, old, name)
        key = browser.session
        assert who(browser, rotating)["username"] == name
        # The hash is one of the new key from here on, and stands under a key of its own.
        assert browser.session != key
        assert who(browser, new)["username"] == name

    def test_a_key_that_is_gone_ends_the_login(self, both_ways, settings):
        old, _ = both_ways(newest_django(), **settings)
        _, new = both_ways(newest_django(), **settings, **NEW)
        name = make(old)
        browser = Browser()
        log_in(browser, old, name)
        assert who(browser, new) == ANONYMOUS


class TestPermissions:
    def test_what_a_user_has(self, sides, users):
        one, other = sides
        name = make(one)
        users.grant(name, "auth.add_user", "sessions.delete_session")
        users.grant_by_group(name, f"group of {name}", "auth.add_user", "auth.view_group")
        browser = Browser()
        log_in(browser, one, name)
        expected = ["auth.add_user", "auth.view_group", "sessions.delete_session"]
        assert [who(browser, server)["permissions"] for server in sides] == [expected, expected]
        for permission, status in (("auth.add_user", 200), ("auth.view_group", 200), ("auth.add_group", 403)):
            answers = [browser.get(server, f"/auth/perm/{permission}") for server in sides]
            assert [answer.status for answer in answers] == [status, status], (permission, answers)

    def test_what_a_superuser_has(self, sides, users):
        one, other = sides
        name = make(one, superuser=True)
        browser = Browser()
        log_in(browser, one, name)
        seen = [who(browser, server) for server in sides]
        assert seen[0] == seen[1]
        assert (seen[0]["is_superuser"], seen[0]["is_staff"]) == (True, True)
        assert "auth.add_user" in seen[0]["permissions"] and len(seen[0]["permissions"]) > 15
        for permission in ("auth.add_user", "no.such_permission"):
            answers = [browser.get(server, f"/auth/perm/{permission}") for server in sides]
            assert [answer.status for answer in answers] == [200, 200], (permission, answers)

    ODD = ["auth.add_user", "auth", "auth.", ".add_user", "add_user", "no.such_permission", "auth.add_user.x"]

    @pytest.mark.parametrize("permission", ODD)
    def test_who_has_none_is_forbidden(self, permission, sides):
        one, other = sides
        known, unknown = Browser(), Browser()
        log_in(known, one, make(one))
        for browser in (known, unknown):
            answers = [browser.get(server, f"/auth/perm/{permission}") for server in sides]
            assert [answer.status for answer in answers] == [403, 403], answers

    def test_a_right_taken_back_is_gone_at_once(self, sides, users):
        one, other = sides
        name = make(one)
        users.grant(name, "auth.add_user")
        browser = Browser()
        log_in(browser, one, name)
        assert [browser.get(server, "/auth/perm/auth.add_user").status for server in sides] == [200, 200]
        users.database.sql("DELETE FROM auth_user_user_permissions")
        assert [browser.get(server, "/auth/perm/auth.add_user").status for server in sides] == [403, 403]


class TestBackends:
    ALLOWING = {"AUTHENTICATION_BACKENDS": [ALLOW_ALL_BACKEND]}

    def test_a_backend_may_let_the_deactivated_in(self, both_ways, settings, users):
        one, other = both_ways(newest_django(), **settings, **self.ALLOWING)
        name = make(one)
        users.change(name, "is_active", False)
        users.grant(name, "auth.add_user")
        browser = Browser()
        assert log_in(browser, one, name).status == 200
        assert browser.ops(other, get("_auth_user_backend")).values == [ALLOW_ALL_BACKEND]
        seen = [who(browser, server) for server in (one, other)]
        assert seen[0] == seen[1]
        assert (seen[0]["username"], seen[0]["permissions"]) == (name, [])

    def test_a_session_of_a_backend_that_is_not_in_use_is_anonymous(self, both_ways, settings):
        allowing, _ = both_ways(newest_django(), **settings, **self.ALLOWING)
        _, strict = both_ways(newest_django(), **settings)
        name = make(allowing)
        browser = Browser()
        log_in(browser, allowing, name)
        assert who(browser, strict) == ANONYMOUS
        assert who(browser, allowing)["username"] == name

    def test_the_first_backend_that_knows_the_user_is_kept(self, both_ways, settings):
        backends = {"AUTHENTICATION_BACKENDS": [MODEL_BACKEND, ALLOW_ALL_BACKEND]}
        one, other = both_ways(newest_django(), **settings, **backends)
        name = make(one)
        browser = Browser()
        log_in(browser, one, name)
        assert browser.ops(other, get("_auth_user_backend")).values == [MODEL_BACKEND]
        assert who(browser, other)["username"] == name


class TestLoginRequired:
    """The address of the login page, to the letter."""

    LOGIN_URLS = [
        None,
        "/enter/",
        "/enter/?lang=ko",
        "/enter/?next=/elsewhere&lang=ko",
        "/enter/?lang=한국어",
        "/들어/가기/",
        "/enter/#top",
        "enter/now/",
        "./enter",
        "http://example.com/enter/",
        "https://example.com/enter/",
        "//example.com/enter/",
        "//accounts.example.org/enter/",
        "https://accounts.example.org/enter/?site=3",
    ]
    QUERIES = [
        "",
        "?a=1&b=2",
        "?next=/x",
        "?a=%20%2F%3F%26%25",
        "?q=%ED%95%9C+%EA%B8%80",
        "?q='()!*~-_.,;:@$",
        "?url=https://evil.example/",
        "??&&==",
        "?",
    ]

    @pytest.mark.parametrize("login_url", LOGIN_URLS)
    def test_the_visitor_is_sent_to_the_same_page(self, login_url, settings, django, probe):
        given = settings | ({} if login_url is None else {"LOGIN_URL": login_url})
        sides = django(newest_django(), **given), probe(**given)
        for query in self.QUERIES:
            for host in ("example.com", "example.com:8000"):
                answers = [Browser().get(server, "/auth/required" + query, headers={"Host": host}) for server in sides]
                shown = [(a.status, a.headers.get("Location"), a.headers.get("Vary"), a.set_cookies) for a in answers]
                assert shown[0][0] == 302, answers
                assert shown[1] == shown[0], query

    def test_behind_a_proxy_the_page_of_the_other_scheme_is_another(self, settings, django, probe):
        given = settings | {"LOGIN_URL": "http://example.com/enter/", "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}
        for proto in ("https", "http"):
            headers = {"Host": "example.com", "X-Forwarded-Proto": proto}
            sides = django(newest_django(), **given), probe(**given)
            answers = [Browser().get(server, "/auth/required?a=1", headers=headers) for server in sides]
            assert answers[1].headers.get("Location") == answers[0].headers["Location"], answers

    def test_who_is_logged_in_is_let_in(self, sides):
        one, other = sides
        name = make(one)
        browser = Browser()
        log_in(browser, one, name)
        answers = [browser.get(server, "/auth/required") for server in sides]
        assert [(a.status, a.json) for a in answers] == [(200, {"user": name})] * 2, answers


class TestSideBySide:
    """Each side over its own store: the same answers, cookies and all."""

    CREDENTIALS = {"username": "ada", "password": PASSWORD}
    WRONG = CREDENTIALS | {"password": "wrong"}
    OF_OTHER = CREDENTIALS | {"username": "bob"}
    CONVERSATIONS = {
        "a visit": [
            ("GET", "/auth/user", None),
            ("GET", "/auth/required", None),
            ("POST", "/auth/login", WRONG),
            ("POST", "/auth/login", CREDENTIALS),
            ("GET", "/auth/user", None),
            ("GET", "/auth/required", None),
            ("POST", "/auth/login", CREDENTIALS),
            ("POST", "/auth/login", WRONG),
            ("GET", "/auth/user", None),
            ("POST", "/auth/logout", {}),
            ("GET", "/auth/user", None),
            ("POST", "/auth/logout", {}),
        ],
        "two users": [
            ("POST", "/auth/login", CREDENTIALS),
            ("POST", "/auth/login", OF_OTHER),
            ("GET", "/auth/user", None),
            ("POST", "/auth/logout", {}),
        ],
        "another password": [
            ("POST", "/auth/login", CREDENTIALS),
            ("POST", "/auth/password", {"password": OTHER_PASSWORD}),
            ("GET", "/auth/user", None),
            ("POST", "/auth/set-password", CREDENTIALS),
            ("GET", "/auth/user", None),
            ("GET", "/auth/user", None),
        ],
    }
    VARIANTS = {
        "default": {},
        "saved every request": {"SESSION_SAVE_EVERY_REQUEST": True},
        "the secret in the session": {"CSRF_USE_SESSIONS": True},
        "no SameSite, secure": {"CSRF_COOKIE_SAMESITE": False, "CSRF_COOKIE_SECURE": True, "SESSION_COOKIE_SECURE": True},
    }

    CASES = [
        *((variant, newest_django()) for variant in VARIANTS),
        *(("default", version) for version in django_versions()[1:]),
    ]

    @pytest.mark.parametrize(("variant", "version"), CASES)
    def test_the_answers_are_the_same(self, variant, version, own_store, django, probe):
        conversations = []
        for side in (f"django-{version}", "probe"):
            store = own_store("db/sqlite", f"{side} {variant} {version}")
            settings = store.settings | QUICK | self.VARIANTS[variant]
            server = probe(**settings) if side == "probe" else django(version, **settings)
            for name in ("ada", "bob"):
                Browser().post(server, "/auth/make", {"username": name, "password": PASSWORD})
            conversations.append({name: converse(server, steps) for name, steps in self.CONVERSATIONS.items()})
        for name, steps in self.CONVERSATIONS.items():
            for step, expected, got in zip(steps, *(conversation[name] for conversation in conversations), strict=True):
                if "CSRF_USE_SESSIONS" in self.VARIANTS[variant]:
                    # Django asks the session for its secret on each request (test_divergences.py).
                    expected["Vary"] = got["Vary"] = None
                assert got == expected, f"{name}: {step}"


def converse(server, steps):
    masking, browser = Masking("db"), Browser()
    return [masking.answer(browser.request(server, method, path, form=form)) for method, path, form in steps]
