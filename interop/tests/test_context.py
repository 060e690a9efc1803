"""A page that knows nothing but what the five context processors give: the same at both."""

import html
import re

import pytest

from browser import Browser
from csrf_cases import unmask
from servers import django_versions, newest_django
from test_messages import ERROR, STORAGES, TEXTS, add, listed, message
from users import QUICK, Users, log_in, make

LOCAL = {"DEBUG": True, "INTERNAL_IPS": ["127.0.0.1"]}
ELEMENT = '<(?:p|ul)[^>]* id="{}"[^>]*>(.*?)</(?:p|ul)>'
TRUE = ("true", "yes", "1")


class Page:
    """What a visitor sees. Either engine writes truth and nothing in a way of its own."""

    def __init__(self, answer):
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"].startswith("text/html"), answer.headers
        self.source = answer.text
        self.vary = answer.headers.get("Vary")
        self.set_cookies = [header.partition("=")[0] for header in answer.set_cookies]
        token = re.search('<input[^>]* name="csrfmiddlewaretoken"[^>]*>', self.source)
        self.token = re.search(' value="([^"]*)"', token[0])[1]

    def inside(self, name):
        found = re.search(ELEMENT.format(name), self.source, re.DOTALL)
        assert found, f"no {name} in {self.source}"
        return found[1].strip()

    def text(self, name):
        return html.unescape(self.inside(name))

    @property
    def user(self):
        return self.text("user").replace("AnonymousUser", "")

    @property
    def messages(self):
        return [html.unescape(text).strip() for text in re.findall("<li[^>]*>(.*?)</li>", self.inside("messages"), re.DOTALL)]

    @property
    def queries(self):
        return int(self.text("queries") or 0)

    @property
    def shown(self):
        return {
            "path": self.text("path"),
            "user": self.user,
            "perm": self.text("perm").lower() in TRUE,
            "messages": self.messages,
            "debug": self.text("debug").lower() in TRUE,
            "Vary": self.vary,
            "Set-Cookie": self.set_cookies,
        }


def page(browser, server, path="/context"):
    return Page(browser.get(server, path))


@pytest.fixture
def store(shared_store):
    return shared_store("db/sqlite")


@pytest.fixture
def users(store):
    return Users(store.database)


@pytest.fixture(params=django_versions())
def sides(request, both_ways, store):
    return both_ways(request.param, **store.settings, **QUICK)


def test_an_anonymous_visitor(sides):
    for server in sides:
        seen = page(Browser(), server)
        assert seen.shown == {
            "path": "/context",
            "user": "",
            "perm": False,
            "messages": [],
            "debug": False,
            "Vary": "Cookie",
            "Set-Cookie": ["csrftoken"],
        }
        assert seen.queries == 0


def test_a_user(sides, users):
    one, other = sides
    name = make(one)
    browser = Browser()
    log_in(browser, one, name)
    for granted in (False, True):
        pages = [page(browser, server).shown for server in sides]
        assert pages[0] == pages[1]
        assert (pages[0]["user"], pages[0]["perm"]) == (name, granted)
        if not granted:
            users.grant(name, "auth.add_user")


def test_a_permission_of_a_group(sides, users):
    one, other = sides
    name = make(one)
    users.grant_by_group(name, f"group of {name}", "auth.add_user")
    browser = Browser()
    log_in(browser, one, name)
    assert [page(browser, server).shown["perm"] for server in sides] == [True, True]


def test_a_superuser(sides):
    one, other = sides
    browser = Browser()
    log_in(browser, other, make(one, superuser=True))
    assert [page(browser, server).shown["perm"] for server in sides] == [True, True]


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_are_shown_once(storage, both_ways, store):
    one, other = both_ways(newest_django(), **store.settings, MESSAGE_STORAGE=STORAGES[storage])
    browser = Browser()
    add(browser, one, message("first"), message("second", ERROR))
    seen = page(browser, other)
    assert seen.messages == ["first", "second"]
    assert page(browser, one).messages == []
    assert listed(browser, other) == []


def test_the_token_is_that_of_the_visitor(sides):
    one, other = sides
    browser = Browser()
    token = page(browser, one).token
    assert unmask(token) == browser.cookies["csrftoken"]
    again = page(browser, other).token
    assert again != token and unmask(again) == unmask(token)
    answers = [browser.post(server, "/csrf/protected", {"csrfmiddlewaretoken": token}) for server in sides]
    assert [answer.status for answer in answers] == [200, 200], answers


@pytest.mark.parametrize("path", ["/context?a=<script>", "/context?a=1&b='\"", "/context?", "/context?x=%3Cb%3E"])
def test_the_path_is_without_the_query(sides, path):
    assert [page(Browser(), server, path).text("path") for server in sides] == ["/context", "/context"]


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "controls"])
def test_what_a_stranger_wrote_is_text(name, both_ways, store, users):
    one, other = both_ways(newest_django(), **store.settings, **QUICK)
    user = make(one)
    # No form gives such a name; a database may hold it.
    hostile = TEXTS[name].replace("\x00", "") + user
    users.change(user, "username", hostile)
    browser = Browser()
    log_in(browser, one, hostile)
    for server in (one, other):
        add(browser, server, message(TEXTS[name], extra_tags='"><script>'))
        seen = page(browser, server)
        assert "<script" not in seen.source and "<b>" not in seen.source
        assert seen.user == hostile.strip(), seen.source
        assert seen.messages == [TEXTS[name].strip()], seen.source


class TestDebug:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({}, False),
            ({"DEBUG": True}, False),
            ({"INTERNAL_IPS": ["127.0.0.1"]}, False),
            ({"DEBUG": True, "INTERNAL_IPS": ["10.0.0.1", "::1"]}, False),
            (LOCAL, True),
            ({"DEBUG": True, "INTERNAL_IPS": ["10.0.0.1", "127.0.0.1"]}, True),
        ],
    )
    def test_it_is_told_to_whom_it_concerns(self, settings, expected, both_ways, store):
        sides = both_ways(newest_django(), **store.settings, **QUICK, **settings)
        browser = Browser()
        log_in(browser, sides[0], make(sides[0]))
        for server in sides:
            seen = page(browser, server)
            assert seen.shown["debug"] is expected, seen.source
            # How many is each framework's own: the session, the user, the permissions.
            assert (seen.queries > 0) is expected, seen.source

    def test_a_visitor_without_a_session_costs_no_query(self, both_ways, store):
        for server in both_ways(newest_django(), **store.settings, **LOCAL):
            seen = page(Browser(), server)
            assert (seen.shown["debug"], seen.queries) == (True, 0), seen.source

    def test_the_queries_of_another_request_are_not_counted(self, both_ways, store):
        for server in both_ways(newest_django(), **store.settings, **QUICK, **LOCAL):
            browser = Browser()
            log_in(browser, server, make(server))
            counts = [page(browser, server).queries for _ in range(3)]
            assert len(set(counts)) == 1, counts
            assert counts[0] <= 5, counts

    def test_a_forwarded_address_is_not_the_visitors(self, both_ways, store):
        for server in both_ways(newest_django(), **store.settings, DEBUG=True, INTERNAL_IPS=["10.0.0.1"]):
            answer = Browser().get(server, "/context", headers={"X-Forwarded-For": "10.0.0.1", "X-Real-IP": "10.0.0.1"})
            assert not Page(answer).shown["debug"]
