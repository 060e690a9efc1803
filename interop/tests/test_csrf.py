"""A request from another site is refused, for the reason that Django gives; what is refused or let through is so at both."""

import html

import pytest

from browser import Browser
from comparable import Masking
from csrf_cases import BEHIND_PROXY, EVERY, HTTPS, SECRET, SITES, mask, multipart, unmask
from servers import django_versions, newest_django
from users import QUICK, log_in, make
from visitor import get, op, put, send

DEBUG = {"DEBUG": True}
SESSIONS = {"CSRF_USE_SESSIONS": True}


@pytest.fixture
def store(shared_store):
    return shared_store("db/sqlite")


@pytest.fixture
def settings(store):
    return store.settings | QUICK


@pytest.fixture(params=django_versions())
def version(request):
    return request.param


def token_of(browser, server):
    answer = browser.get(server, "/csrf/token")
    assert answer.status == 200, answer
    return answer.json["token"]


class TestOneTokenTwoServers:
    @pytest.fixture(params=[{}, SESSIONS], ids=["in a cookie", "in the session"])
    def sides(self, request, both_ways, version, settings):
        return both_ways(version, **settings, **request.param)

    def test_the_token_of_one_is_taken_by_the_other(self, sides):
        one, other = sides
        browser = Browser()
        token = token_of(browser, one)
        for sent in (
            {"form": {"csrfmiddlewaretoken": token}},
            {"headers": {"X-CSRFToken": token}},
            {"headers": {"X-CSRFToken": unmask(token)}},
            multipart(('name="csrfmiddlewaretoken"', token)),
        ):
            answers = [browser.request(server, "POST", "/csrf/protected", **sent) for server in (other, one)]
            assert [(answer.status, answer.text) for answer in answers] == [(200, "ok")] * 2, (sent, answers)

    def test_both_mask_the_same_secret_differently_each_time(self, sides):
        browser = Browser()
        tokens = [token_of(browser, server) for server in (*sides, *sides)]
        assert len(set(tokens)) == 4
        assert len({token[:32] for token in tokens}) == 4
        assert len({unmask(token) for token in tokens}) == 1

    def test_another_visitors_token_is_refused(self, sides):
        one, other = sides
        mine, theirs = Browser(), Browser()
        token_of(mine, one)
        token = token_of(theirs, one)
        answers = [mine.post(server, "/csrf/protected", {"csrfmiddlewaretoken": token}) for server in sides]
        assert [answer.status for answer in answers] == [403, 403], answers

    def test_a_login_changes_the_secret(self, sides):
        one, other = sides
        name = make(one)
        browser = Browser()
        before = token_of(browser, one)
        log_in(browser, other, name)
        after = token_of(browser, one)
        assert unmask(before) != unmask(after)
        for server in sides:
            assert browser.post(server, "/csrf/protected", {"csrfmiddlewaretoken": before}).status == 403
            assert browser.post(server, "/csrf/protected", {"csrfmiddlewaretoken": after}).status == 200


def send_case(server, case):
    def filled(text):
        return text.replace("{port}", str(server.port)) if isinstance(text, str) else text

    headers = {name: filled(value) for name, value in case.headers.items()}
    browser = Browser()
    if case.cookie is not None:
        headers["Cookie"] = case.cookie
    return browser.request(server, case.method, "/csrf/protected", form=case.form, body=case.body, headers=headers)


def shown(answer, case):
    masking = Masking("db", csrf_cookie=SITES[case.site].get("CSRF_COOKIE_NAME", "csrftoken"))
    masking.labels[SECRET] = "the secret"
    return {
        "status": answer.status,
        "Set-Cookie": [masking.set_cookie(header) for header in answer.set_cookies],
        "Vary": answer.headers.get("Vary"),
        "Content-Type": answer.headers["Content-Type"].partition(";")[0],
        # Error pages are each framework's own, but for the reason in them.
        "body": answer.text if answer.status == 200 else case.reason and case.reason in html.unescape(answer.text),
    }


class TestSideBySide:
    @pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
    def test_the_answers_and_the_reasons_are_the_same(self, case, store, django, probe):
        settings = store.settings | DEBUG | SITES[case.site]
        answers = [send_case(server, case) for server in (django(newest_django(), **settings), probe(**settings))]
        expected, got = (shown(answer, case) for answer in answers)
        assert expected["status"] == (200 if case.reason is None else 403), answers[0]
        assert expected["body"] or case.method == "HEAD", f"{case.reason!r} is not what Django says: {answers[0]}"
        assert got == expected, answers

    @pytest.mark.skipif("4.2" not in django_versions(), reason="for the older Django")
    def test_the_older_django_says_the_same(self, store, django):
        old, new = (
            [shown(send_case(django(version, **store.settings, **DEBUG), case), case) for case in EVERY if case.site == "plain"]
            for version in ("4.2", newest_django())
        )
        assert old == new

    def test_without_debug_no_reason_is_told(self, store, django, probe):
        for case in EVERY:
            if case.site == "plain" and case.reason:
                answers = [send_case(server, case) for server in (django(newest_django(), **store.settings), probe(**store.settings))]
                assert [answer.status for answer in answers] == [403, 403], (case, answers)
                for answer in answers:
                    assert case.reason not in html.unescape(answer.text), answer

    @pytest.mark.parametrize("site", ["plain", "behind a proxy"])
    def test_what_is_exempt_always_passes(self, site, store, django, probe):
        settings = store.settings | SITES[site]
        for server in (django(newest_django(), **settings), probe(**settings)):
            for headers in ({}, {"Origin": "https://evil.example"}, HTTPS, {"Cookie": "csrftoken=x"}):
                assert send(server, "POST", "/csrf/exempt", headers=headers, body="a=1").status == 200
                assert send(server, "POST", "/ops", headers=headers, body=[op("key")]).status == 200
                assert send(server, "POST", "/auth/logout", headers=headers).status == 200

    def test_a_broken_multipart_body_is_no_accident(self, store, django, probe):
        right = multipart(('name="csrfmiddlewaretoken"', mask(SECRET)))
        bodies = (
            ("multipart/form-data", right["body"]),
            ("multipart/form-data; boundary=", right["body"]),
            ("multipart/form-data; boundary=other", right["body"]),
            ("multipart/form-data; boundary=" + "x" * 5_000, right["body"]),
            ("multipart/form-data; boundary=boundary", right["body"][:20]),
            ("multipart/form-data; boundary=boundary", "rubbish"),
            ("multipart/form-data; boundary=boundary", ""),
        )
        for server in (django(newest_django(), **store.settings), probe(**store.settings)):
            for kind, body in bodies:
                answer = send(server, "POST", "/csrf/protected", cookie=f"csrftoken={SECRET}", headers={"Content-Type": kind}, body=body)
                assert answer.status in (400, 403), (kind, body, answer)


COOKIES = {
    "default": {},
    "every attribute": {
        "CSRF_COOKIE_NAME": "xsrf",
        "CSRF_COOKIE_AGE": 123,
        "CSRF_COOKIE_DOMAIN": ".example.com",
        "CSRF_COOKIE_PATH": "/test/",
        "CSRF_COOKIE_SECURE": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Strict",
    },
    "until the browser closes": {"CSRF_COOKIE_AGE": "null"},
    "for other sites": {"CSRF_COOKIE_SAMESITE": "None", "CSRF_COOKIE_SECURE": True},
    "without SameSite": {"CSRF_COOKIE_SAMESITE": False},
    "in the session": SESSIONS,
}


class TestTheCookie:
    @pytest.mark.parametrize("variant", COOKIES)
    def test_it_is_the_same_to_the_letter(self, variant, store, django, probe):
        settings = store.settings | QUICK | COOKIES[variant]
        name = settings.get("CSRF_COOKIE_NAME", "csrftoken")
        user = make(django(newest_django(), **settings))
        conversations = []
        for server in (django(newest_django(), **settings), probe(**settings)):
            masking, answers = Masking("db", csrf_cookie=name), []
            for cookie in (None, SECRET, mask(SECRET), "", "short", "*" * 32, "x" * 5_000):
                browser = Browser() if cookie is None else Browser(**{name: cookie})
                steps = [
                    browser.get(server, "/csrf/token"),
                    browser.get(server, "/csrf/token"),
                    browser.get(server, "/bench/none"),
                    browser.get(server, "/csrf/protected"),
                    log_in(browser, server, user),
                ]
                answers += [masking.answer(step) | {"body": None} for step in steps]
            conversations.append(answers)
        for number, (expected, got) in enumerate(zip(*conversations, strict=True)):
            if COOKIES[variant] == SESSIONS:
                # Django asks the session for its secret on each request (test_divergences.py).
                expected["Vary"] = got["Vary"] = None
            assert got == expected, number

    def test_its_secret_stays_and_is_sent_again(self, store, django, probe):
        for server in (django(newest_django(), **store.settings), probe(**store.settings)):
            browser = Browser(csrftoken=mask(SECRET))
            answer = browser.get(server, "/csrf/token")
            # A masked one is from an old Django, and becomes the secret itself.
            assert browser.cookies == {"csrftoken": SECRET}, answer
            assert unmask(answer.json["token"]) == SECRET
            assert len(browser.get(server, "/csrf/token").set_cookies) == 1

    def test_nobody_who_needs_none_is_given_one(self, store, django, probe):
        for server in (django(newest_django(), **store.settings), probe(**store.settings)):
            for method, path in (("GET", "/csrf/protected"), ("POST", "/csrf/protected"), ("POST", "/csrf/exempt"), ("GET", "/bench/none")):
                answer = send(server, method, path)
                assert (answer.set_cookies, answer.headers.get("Vary")) == ([], None), answer


class TestInTheSession:
    @pytest.fixture
    def sides(self, both_ways, store):
        return both_ways(newest_django(), **store.settings, **SESSIONS, **DEBUG)

    def test_there_is_no_cookie(self, sides):
        one, other = sides
        browser = Browser(csrftoken=SECRET)
        token = token_of(browser, one)
        assert browser.cookies == {"csrftoken": SECRET, "sessionid": browser.session}
        assert browser.ops(other, get("_csrftoken")).values == [unmask(token)] != [SECRET]

    def test_a_cookie_is_no_secret(self, sides):
        for server in sides:
            answer = Browser(csrftoken=SECRET).post(server, "/csrf/protected", {"csrfmiddlewaretoken": SECRET})
            assert answer.status == 403
            assert "CSRF cookie not set." in html.unescape(answer.text)

    @pytest.mark.parametrize("stored", [SECRET, mask(SECRET)], ids=["bare", "masked"])
    def test_a_stored_secret_is_taken(self, sides, stored):
        one, other = sides
        browser = Browser()
        browser.ops(one, put("_csrftoken", stored))
        answers = [browser.post(server, "/csrf/protected", {"csrfmiddlewaretoken": mask(SECRET)}) for server in sides]
        assert [answer.status for answer in answers] == [200, 200], answers

    @pytest.mark.parametrize("stored", ["", "short", "*" * 32, "x" * 100, "한" * 32])
    def test_a_malformed_secret_is_refused(self, sides, stored):
        one, other = sides
        browser = Browser()
        browser.ops(one, put("_csrftoken", stored))
        for sent in (SECRET, mask(SECRET)):
            answers = [browser.post(server, "/csrf/protected", {"csrfmiddlewaretoken": sent}) for server in sides]
            assert [answer.status for answer in answers] == [403, 403], answers

    def test_the_domain_of_the_session_is_trusted_as_a_referer(self, store, django, probe):
        settings = store.settings | SESSIONS | BEHIND_PROXY | {"SESSION_COOKIE_DOMAIN": ".example.com", "USE_X_FORWARDED_PORT": True}
        for server in (django(newest_django(), **settings), probe(**settings)):
            browser = Browser()
            token = token_of(browser, server)
            for referer, status in (("https://sub.example.com/", 200), ("https://sub.example.org/", 403)):
                headers = HTTPS | {"Host": "www.example.com", "X-Forwarded-Port": "443", "Referer": referer}
                answer = browser.post(server, "/csrf/protected", {"csrfmiddlewaretoken": token}, headers=headers)
                assert answer.status == status, (server, answer)
