"""What somebody without the right to it tries on a site with logins, at each side: it gains nothing, and breaks nothing."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from browser import FORM, Browser
from csrf_cases import SECRET, mask
from forging import signed
from servers import SECRET_KEY, newest_django
from test_csrf import token_of
from test_messages import add, message
from users import ANONYMOUS, HASHERS, MODEL_BACKEND, PASSWORD, QUICK, Users, log_in, make, who
from visitor import get, op, put, send

NEW_KEY = {"SECRET_KEY": "another-secret-key-that-came-after-the-first"}
HOST = {"Host": "shop.example"}
EVIL = {"Origin": "https://evil.example", "Referer": "https://evil.example/trap"}

# Larger than what Django reads of a form (DATA_UPLOAD_MAX_MEMORY_SIZE, 2.5 MiB).
OVERSIZED = 3 * 1024 * 1024


@pytest.fixture
def store(shared_store):
    return shared_store("db/sqlite")


@pytest.fixture
def users(store):
    return Users(store.database)


@pytest.fixture(params=["django", "probe"])
def start(request, store, django, probe):
    """`start(**settings)`: the server under attack."""

    def of(**settings):
        given = store.settings | QUICK | settings
        return probe(**given) if request.param == "probe" else django(newest_django(), **given)

    return of


@pytest.fixture
def server(start):
    return start()


class TestSessions:
    @pytest.mark.parametrize("planted", ["plantedbytheattacker00000000000", "x" * 32, "short", "", '"\\000"'])
    def test_a_planted_key_is_not_the_key_of_a_login(self, server, store, planted):
        victim = Browser(sessionid=planted)
        assert log_in(victim, server, make(server)).status == 200
        assert victim.session != planted
        assert not store.holds(planted)
        assert who(Browser(sessionid=planted), server) == ANONYMOUS

    def test_a_session_that_the_attacker_began_is_not_the_victims(self, server):
        attacker = Browser()
        attacker.ops(server, put("planted", 1))
        victim = attacker.copy()
        log_in(victim, server, make(server))
        assert victim.session != attacker.session
        assert who(attacker, server) == ANONYMOUS
        assert attacker.ops(server, op("items")).values == [[]]

    def test_a_login_of_the_attacker_is_not_taken_over_by_the_victim(self, server):
        """The attacker's own session, planted, must not receive what the victim does after a login."""
        attacker = Browser()
        log_in(attacker, server, make(server))
        attacker.ops(server, put("planted", 1))
        victim = attacker.copy()
        name = make(server)
        log_in(victim, server, name)
        assert victim.ops(server, get("planted")).values == [None]
        assert who(victim, server)["username"] == name
        assert who(attacker, server) == ANONYMOUS

    def test_a_cookie_is_worth_nothing_after_the_logout(self, server):
        browser = Browser()
        log_in(browser, server, make(server))
        stolen = browser.copy()
        assert who(stolen, server)["is_authenticated"]
        browser.post(server, "/auth/logout")
        assert who(stolen, server) == ANONYMOUS
        assert stolen.get(server, "/auth/required").status == 302
        # Nor is it brought back by a request that writes.
        stolen = Browser(sessionid=browser.session or "gone")
        stolen.ops(server, put("a", 1))
        assert who(stolen, server) == ANONYMOUS

    def test_a_session_signed_with_another_key_is_nobodys(self, server, store, users):
        name = make(server)
        browser = Browser()
        log_in(browser, server, name)
        data = dict(browser.ops(server, op("items")).values[0])
        for number, (key, expected) in enumerate((("another-key", None), (SECRET_KEY, name))):
            forged = f"forgedsession{number}"
            store.put(forged, signed(data, key=key))
            assert who(Browser(sessionid=forged), server)["username"] == expected

    def test_a_hash_of_another_key_logs_nobody_in(self, start, store):
        server, other = start(), start(**NEW_KEY)
        name = make(server)
        browser = Browser()
        log_in(browser, other, name)
        data = dict(browser.ops(other, op("items")).values[0])
        store.put("forgedhash", signed(data))
        assert who(Browser(sessionid="forgedhash"), server) == ANONYMOUS

    def test_an_identifier_alone_logs_nobody_in(self, server):
        name = make(server)
        known = Browser()
        log_in(known, server, name)
        identifier = str(who(known, server)["id"])
        for fields in (
            {"_auth_user_id": identifier},
            {"_auth_user_id": identifier, "_auth_user_backend": MODEL_BACKEND},
            {"_auth_user_id": identifier, "_auth_user_backend": MODEL_BACKEND, "_auth_user_hash": ""},
            {"_auth_user_id": identifier, "_auth_user_backend": MODEL_BACKEND, "_auth_user_hash": "0" * 64},
            {"_auth_user_id": identifier, "_auth_user_backend": MODEL_BACKEND, "_auth_user_hash": None},
            {"_auth_user_id": identifier, "_auth_user_backend": "os.system", "_auth_user_hash": "0" * 64},
        ):
            browser = Browser()
            browser.ops(server, op("update", values=fields))
            assert who(browser, server) == ANONYMOUS, fields

    @pytest.mark.parametrize("how", ["deactivated", "deleted"])
    def test_a_user_who_is_gone_can_do_nothing(self, server, users, how):
        name = make(server, superuser=True)
        browser = Browser()
        log_in(browser, server, name)
        assert browser.get(server, "/auth/perm/auth.add_user").status == 200
        if how == "deleted":
            users.delete(name)
        else:
            users.change(name, "is_active", False)
        assert browser.get(server, "/auth/perm/auth.add_user").status == 403
        assert browser.get(server, "/auth/required").status == 302
        assert who(browser, server) == ANONYMOUS
        assert browser.post(server, "/auth/password", {"password": "mine now"}).status in (302, 401, 403)
        assert log_in(Browser(), server, name).status == 403

    def test_a_new_user_with_an_old_number_does_not_inherit_the_session(self, server, users):
        name = make(server)
        browser = Browser()
        log_in(browser, server, name)
        number = who(browser, server)["id"]
        users.delete(name)
        heir = make(server)
        users.change(heir, "id", number)
        assert who(browser, server) == ANONYMOUS


class TestFromAnotherSite:
    def test_a_form_of_another_site_is_refused(self, server):
        victim = Browser()
        log_in(victim, server, make(server))
        token = token_of(victim, server)
        answer = victim.post(server, "/csrf/protected", {"csrfmiddlewaretoken": token}, headers=HOST | EVIL)
        assert answer.status == 403
        assert victim.post(server, "/csrf/protected", {"csrfmiddlewaretoken": token}, headers=HOST).status == 200

    def test_the_attackers_own_token_is_refused(self, server):
        victim, attacker = Browser(), Browser()
        token_of(victim, server)
        token = token_of(attacker, server)
        assert victim.post(server, "/csrf/protected", {"csrfmiddlewaretoken": token}).status == 403

    def test_a_cookie_set_by_a_neighbour_does_not_help_under_encryption(self, start):
        server = start(SECURE_PROXY_SSL_HEADER=["HTTP_X_FORWARDED_PROTO", "https"])
        victim = Browser(csrftoken=SECRET)
        for headers in ({}, EVIL, {"Referer": "http://shop.example/"}, {"Origin": "http://shop.example"}, {"Origin": "null"}):
            sent = HOST | {"X-Forwarded-Proto": "https"} | headers
            assert victim.post(server, "/csrf/protected", {"csrfmiddlewaretoken": mask(SECRET)}, headers=sent).status == 403, headers

    def test_a_method_named_in_the_body_or_a_header_is_not_taken(self, server):
        victim = Browser(csrftoken=SECRET)
        for headers, form in (({"X-HTTP-Method-Override": "GET"}, {}), ({}, {"_method": "GET"})):
            assert victim.post(server, "/csrf/protected", form, headers=headers).status == 403


HOSTILE_PATHS = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "https:evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "%0d%0aSet-Cookie:%20admin=1",
    "%0aLocation:%20https://evil.example",
    "%00",
    "%E2%80%A8",
    "한글".encode(),
]


class TestRedirects:
    @pytest.mark.parametrize("hostile", HOSTILE_PATHS, ids=repr)
    def test_the_way_to_the_login_page_stays_on_the_site(self, server, hostile):
        text = hostile.decode("latin-1") if isinstance(hostile, bytes) else hostile
        for query in (f"?next={text}", f"?{text}", f"?a=1&next={text}#{text}"):
            answer = send(server, "GET", "/auth/required" + query, headers=HOST)
            if answer.status == 400:
                continue
            assert answer.status == 302, answer
            location = answer.headers["Location"]
            parts = urlsplit(location)
            assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/accounts/login/"), location
            # The whole query of the request is inside of one quoted value, whatever it is.
            assert parts.query.startswith("next=/auth/required%3F"), location
            assert "&" not in parts.query
            assert not any(character in location for character in "\r\n\\\0"), repr(location)
            assert "admin" not in {header.partition("=")[0] for header in answer.set_cookies}

    PATHS = ["//evil.example/auth/required", "/\\evil.example/auth/required", "/auth/required//evil.example", "//auth/required"]

    @pytest.mark.parametrize("path", PATHS)
    def test_a_path_that_looks_like_a_host_leads_nowhere(self, server, path):
        answer = send(server, "GET", path, headers=HOST)
        location = answer.headers.get("Location", "/")
        assert answer.status in (302, 400, 404), answer
        assert urlsplit(location).netloc in ("", "shop.example"), location

    HOSTS = ["evil.example", "shop.example@evil.example", "shop.example\tevil.example", "evil.example/", "evil.example?", ""]

    @pytest.mark.parametrize("host", HOSTS)
    def test_a_forged_host_does_not_get_into_the_redirect(self, start, host):
        server = start(ALLOWED_HOSTS=["shop.example"])
        answer = send(server, "GET", "/auth/required", headers={"Host": host})
        assert answer.status in (302, 400), answer
        assert "evil" not in answer.headers.get("Location", ""), answer.headers


class TestHeaders:
    INJECTED = ["x\r\nSet-Cookie: admin=1", "x\nSet-Cookie: admin=1", "x\rSet-Cookie: admin=1", "x\u2028y", "x\0y", "x" * 70_000]

    @pytest.mark.parametrize("text", INJECTED, ids=lambda text: repr(text[:20]))
    def test_a_message_adds_none(self, server, text):
        browser = Browser()
        answer = add(browser, server, message(text, extra_tags=text))
        assert {header.partition("=")[0] for header in answer.set_cookies} <= {"messages", "sessionid"}, answer
        assert "admin" not in browser.cookies

    @pytest.mark.parametrize("text", INJECTED, ids=lambda text: repr(text[:20]))
    def test_a_name_adds_none(self, server, text):
        answer = log_in(Browser(), server, text, text)
        assert (answer.status, answer.set_cookies) == (403, []), answer

    @pytest.mark.parametrize("name", ["X-CSRFToken", "Origin", "Referer", "X-Forwarded-Proto", "X-Forwarded-Host"])
    @pytest.mark.parametrize("value", [b"\xff\xfe", b"<script>alert(1)</script>", b"x" * 8_000, b"\xed\xa0\x80"])
    def test_what_a_header_holds_is_text_on_the_403_page(self, start, name, value):
        server = start(DEBUG=True, SECURE_PROXY_SSL_HEADER=["HTTP_X_FORWARDED_PROTO", "https"])
        headers = HOST | {"X-Forwarded-Proto": "https", name: value}
        if name not in ("Origin", "Referer"):
            headers["Referer"] = "https://shop.example/"
        answer = send(server, "POST", "/csrf/protected", cookie=f"csrftoken={SECRET}", headers=headers, body="a=1")
        assert answer.status == 403, answer
        assert "<script>alert" not in answer.text


class TestTooMuch:
    def post(self, server, body, kind=FORM, cookie=f"csrftoken={SECRET}"):
        return send(server, "POST", "/csrf/protected", cookie=cookie, headers={"Content-Type": kind}, body=body)

    BODIES = ["a=" + "x" * OVERSIZED, "x" * OVERSIZED, "a=1&" * (OVERSIZED // 4), "%" * OVERSIZED]

    @pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:4])
    def test_an_oversized_form_is_refused(self, server, body):
        for sent in (body, f"{body}&csrfmiddlewaretoken={mask(SECRET)}"):
            assert self.post(server, sent).status in (400, 403, 413)
        assert send(server, "GET", "/csrf/token").status == 200

    def test_a_form_of_very_many_fields_is_refused_or_read(self, server):
        assert self.post(server, "a=1&" * 100_000).status in (400, 403, 413)
        assert self.post(server, "&" * 1_000_000).status in (400, 403, 413)

    def test_an_oversized_multipart_field_is_refused(self, server):
        head = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
        assert self.post(server, head + "x" * OVERSIZED + "\r\n--b--\r\n", "multipart/form-data; boundary=b").status in (400, 403, 413)
        assert self.post(server, head * 20_000, "multipart/form-data; boundary=b").status in (400, 403, 413)

    def test_without_a_cookie_it_need_not_be_read(self, server):
        assert self.post(server, "a=" + "x" * OVERSIZED, cookie="a=b").status in (400, 403, 413)

    def test_an_oversized_login_is_refused(self, server):
        for form in ({"username": "x" * OVERSIZED, "password": "x"}, {"username": "x", "password": "x" * OVERSIZED}):
            assert log_in(Browser(), server, form["username"], form["password"]).status in (400, 403, 413)
        assert log_in(Browser(), server, make(server)).status == 200


class TestManyLogins:
    @pytest.mark.parametrize("start", ["probe"], indirect=True)
    def test_the_other_pages_answer_meanwhile(self, start, store):
        # A hasher that takes its time, and little memory.
        server = start(PASSWORD_HASHERS=[f"{HASHERS}.BCryptSHA256PasswordHasher"])
        name = make(server)
        with ThreadPoolExecutor(50) as pool:
            logins = [pool.submit(log_in, Browser(), server, name, f"wrong {number}") for number in range(50)]
            assert send(server, "GET", "/csrf/token").status == 200
            assert all(login.result().status in (403, 429, 503) for login in logins)
        assert send(server, "GET", "/csrf/token").status == 200

    def test_parallel_logins_all_succeed(self, server):
        name = make(server)
        browsers = [Browser() for _ in range(12)]
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda browser: log_in(browser, server, name), browsers))
        assert [answer.status for answer in answers] == [200] * 12, answers
        assert len({browser.session for browser in browsers}) == 12
        assert {who(browser, server)["username"] for browser in browsers} == {name}

    def test_a_wrong_name_and_a_wrong_password_are_told_apart_by_nothing(self, server):
        name = make(server)
        answers = [log_in(Browser(), server, *credentials) for credentials in ((name, "wrong"), ("nobody", "wrong"), ("nobody", PASSWORD))]
        shown = [(a.status, a.text, sorted(set(a.headers) - {"Date"}), a.set_cookies) for a in answers]
        assert shown[0] == shown[1] == shown[2]
