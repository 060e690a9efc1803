"""Messages written by one side are shown by the other, once, and to nobody who made them up."""

import json
from random import Random

import pytest
from django.core import signing

from browser import Browser
from comparable import Masking
from csrf_cases import SECRET
from servers import SECRET_KEY, django_versions, newest_django
from visitor import get

STORAGES = {
    "cookie": "django.contrib.messages.storage.cookie.CookieStorage",
    "session": "django.contrib.messages.storage.session.SessionStorage",
    "fallback": "django.contrib.messages.storage.fallback.FallbackStorage",
}
SALT = "django.contrib.messages"
INFO, SUCCESS, WARNING, ERROR = 20, 25, 30, 40
LEVEL_TAGS = {10: "debug", 20: "info", 25: "success", 30: "warning", 40: "error"}

TEXTS = {
    "plain": "Your order is on its way.",
    "Hangul": "주문이 접수되었습니다 🎉",
    "latin": "déjà vu",
    "HTML": "<script>alert(1)</script> & <b>",
    "quotes": "\"double\" 'single' `back` \\ backslash",
    "separators": "a;b,c=d:e/f?g#h%i",
    "line breaks": "one\r\ntwo\nthree\ttab",
    "controls": "\x00\x01\x1f\x7f\x80\u2028",
    "spaces": "  around  ",
    "a header": "x\r\nSet-Cookie: admin=1\r\n\r\n<html>",
    "JSON": '["__json_message", 0, 20, "forged"]',
    "the end mark": "__messagesnotfinished__",
    "beyond the first plane": "\U0001d11e\U0010ffff",
}


def noise(length, seed):
    """Text that hardly compresses."""
    random = Random(seed)
    return "".join(chr(random.randrange(0xAC00, 0xD7A4)) for _ in range(length))


def message(text, level=INFO, **more):
    return {"level": level, "message": text, **more}


def add(browser, server, *messages):
    """With a token, so that it does not matter whether the route asks for one."""
    browser.cookies["csrftoken"] = SECRET
    answer = browser.post(server, "/messages/add", body=list(messages), headers={"X-CSRFToken": SECRET})
    assert answer.status == 200, answer
    return answer


def listed(browser, server):
    answer = browser.get(server, "/messages/list")
    assert answer.status == 200, answer
    return answer.json["messages"]


def texts(browser, server):
    return [message["message"] for message in listed(browser, server)]


@pytest.fixture
def store(shared_store):
    return shared_store("db/sqlite")


@pytest.fixture(params=STORAGES)
def storage(request):
    return {"MESSAGE_STORAGE": STORAGES[request.param]}


@pytest.fixture
def sides(both_ways, store, storage):
    return both_ways(newest_django(), **store.settings, **storage)


def of_storage(name):
    return pytest.mark.parametrize("storage", [{"MESSAGE_STORAGE": STORAGES[name]}], ids=[name])


class TestFromOneToTheOther:
    @pytest.mark.parametrize("name", TEXTS)
    def test_a_message_is_shown_as_it_was_written(self, sides, name):
        one, other = sides
        browser = Browser()
        add(browser, one, message(TEXTS[name], WARNING))
        expected = {"level": WARNING, "level_tag": "warning", "tags": "warning", "message": TEXTS[name]}
        assert listed(browser, other) == [expected]
        assert listed(browser, one) == listed(browser, other) == []

    @pytest.mark.parametrize("version", django_versions())
    def test_many_are_shown_in_order_with_their_tags(self, version, both_ways, store, storage):
        one, other = both_ways(version, **store.settings, **storage)
        browser = Browser()
        add(browser, one, message("first", SUCCESS, extra_tags="wide 큰"), message("second", ERROR, extra_tags=""))
        add(browser, other, message("third", 37))
        expected = [
            {"level": SUCCESS, "level_tag": "success", "tags": "wide 큰 success", "message": "first"},
            {"level": ERROR, "level_tag": "error", "tags": "error", "message": "second"},
            {"level": 37, "level_tag": "", "tags": "", "message": "third"},
        ]
        assert listed(browser, one) == expected
        # Nothing is left of them, neither at the visitor nor in the session.
        assert "messages" not in browser.cookies
        assert browser.ops(other, get("_messages")).values == [None]

    def test_those_that_nobody_looked_at_stay(self, sides):
        one, other = sides
        browser = Browser()
        add(browser, one, message("still here"))
        for server in (other, one, other):
            assert browser.get(server, "/messages/ignore").set_cookies == []
            assert browser.get(server, "/bench/none").set_cookies == []
        assert texts(browser, other) == ["still here"]

    def test_each_visitor_has_their_own(self, sides):
        one, other = sides
        mine, theirs = Browser(), Browser()
        add(mine, one, message("mine"))
        assert texts(theirs, other) == []
        assert texts(mine, other) == ["mine"]

    def test_an_empty_one_is_not_kept(self, sides):
        for server in sides:
            browser = Browser()
            assert add(browser, server, message("")).set_cookies == []
            assert texts(browser, server) == []

    @pytest.mark.parametrize("storage", STORAGES)
    def test_those_of_an_old_key_are_shown_while_the_keys_rotate(self, storage, both_ways, store):
        chosen = {"MESSAGE_STORAGE": STORAGES[storage]}
        new_key = {"SECRET_KEY": "a-new-secret-key-that-came-after-the-first"}
        old, _ = both_ways(newest_django(), **store.settings, **chosen)
        _, rotating = both_ways(newest_django(), **store.settings, **chosen, **new_key, SECRET_KEY_FALLBACKS=[SECRET_KEY])
        _, new = both_ways(newest_django(), **store.settings, **chosen, **new_key)
        browser = Browser()
        add(browser, old, message("from before"))
        assert texts(browser.copy(), new) == []
        assert texts(browser, rotating) == ["from before"]


class TestLevels:
    LEVELS = [5, 10, 19, 20, 25, 39, 40, 1_000, -5, 0]

    @pytest.mark.parametrize("minimum", [None, 0, 10, 30, 1_001])
    def test_those_below_the_level_are_not_kept(self, both_ways, store, minimum):
        given = {} if minimum is None else {"MESSAGE_LEVEL": minimum}
        for server in both_ways(newest_django(), **store.settings, **given):
            browser = Browser()
            add(browser, server, *(message(str(level), level) for level in self.LEVELS))
            assert texts(browser, server) == [str(level) for level in self.LEVELS if level >= (20 if minimum is None else minimum)]

    def test_tags_are_those_of_the_settings(self, both_ways, store):
        tags = {"20": "", "25": "ok 좋음", "37": "odd", "40": "danger"}
        for server in both_ways(newest_django(), **store.settings, MESSAGE_TAGS=tags, MESSAGE_LEVEL=0):
            browser = Browser()
            add(browser, server, *(message("m", level, extra_tags="x") for level in (10, 20, 25, 30, 37, 40)))
            expected = LEVEL_TAGS | {int(level): tag for level, tag in tags.items()}
            assert [(m["level"], m["level_tag"], m["tags"]) for m in listed(browser, server)] == [
                (level, expected[level], f"x {expected[level]}".strip()) for level in (10, 20, 25, 30, 37, 40)
            ]


class TestSideBySide:
    """Each side over its own store: the same cookies, and the same in the session."""

    MANY = [message(f"{number} " + "한글 text " * 8, extra_tags=f"tag{number}") for number in range(40)]
    LONG = message("x" * 5_000)
    NOISE = [message(noise(60, seed)) for seed in range(20)]
    CONVERSATIONS = {
        "one": [[message("a")], "list", "list"],
        "one ignored": [[message("a")], "ignore", "list", "ignore"],
        "none": [[], "list", "ignore"],
        "added in turns": [[message("a")], [message("b", ERROR, extra_tags="x")], "list"],
        "every text": [[message(text) for text in TEXTS.values()], "list", "list"],
        "too many for a cookie": [MANY, "ignore", "list", "list"],
        "too many, in turns": [*([m] for m in MANY[:12]), "list", "list"],
        "hardly compressible": [NOISE, [message("one more")], "list", "list"],
        "one too long for a cookie": [[LONG], "ignore", "list", "list"],
        "a long one between short ones": [[message("a"), message(noise(2_000, 99)), message("b")], "list", "list"],
        "shown, then more": [NOISE, "list", [message("b")], "list"],
    }
    VARIANTS = {
        "default": {},
        "attributes of the session's cookie": {
            "SESSION_COOKIE_DOMAIN": "example.com",
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_HTTPONLY": False,
            "SESSION_COOKIE_SAMESITE": "None",
            "SESSION_COOKIE_PATH": "/shop",
            "SESSION_COOKIE_AGE": 60,
        },
    }

    @staticmethod
    def converse(server, steps):
        browser, masking, answers = Browser(), CookieMasking(), []
        for step in steps:
            answer = browser.get(server, f"/messages/{step}") if isinstance(step, str) else add(browser, server, *step)
            held = json.loads(browser.ops(server, get("_messages")).values[0] or "null")
            answers.append(masking.answer(answer) | {"in the session": held})
        return answers

    @pytest.mark.parametrize("variant", VARIANTS)
    @pytest.mark.parametrize("name", CONVERSATIONS)
    def test_the_answers_are_the_same(self, name, variant, storage, store, django, probe):
        settings = store.settings | storage | self.VARIANTS[variant]
        steps = self.CONVERSATIONS[name]
        expected, got = (self.converse(server, steps) for server in (django(newest_django(), **settings), probe(**settings)))
        for number, (theirs, ours) in enumerate(zip(expected, got, strict=True), 1):
            assert ours == theirs, f"{name}, request {number}"

    def test_a_cookie_keeps_the_newest_where_there_is_no_session(self, django, probe, store):
        settings = store.settings | {"MESSAGE_STORAGE": STORAGES["cookie"]}
        shown = []
        for server in (django(newest_django(), **settings), probe(**settings)):
            browser = Browser()
            add(browser, server, *self.NOISE)
            assert len(browser.cookies["messages"]) <= 2_048
            shown.append(texts(browser, server))
        assert shown[1] == shown[0]
        assert 0 < len(shown[0]) < len(self.NOISE)
        assert shown[0] == [m["message"] for m in self.NOISE][-len(shown[0]) :]

    def test_with_a_session_none_is_lost(self, both_ways, store):
        one, other = both_ways(newest_django(), **store.settings, MESSAGE_STORAGE=STORAGES["fallback"])
        browser = Browser()
        add(browser, one, *self.NOISE)
        assert json.loads(browser.ops(other, get("_messages")).values[0])
        assert texts(browser, other) == [m["message"] for m in self.NOISE]
        assert browser.ops(one, get("_messages")).values == [None]


class CookieMasking(Masking):
    """The content of a message cookie, without its signature."""

    def __init__(self):
        super().__init__("db")

    def key(self, value):
        try:
            return json.dumps(contents(value))
        except signing.BadSignature:
            return super().key(value)


def contents(value, key=SECRET_KEY):
    """What stands in a message cookie; raises BadSignature."""

    class Plain:
        def loads(self, data):
            return json.loads(data.decode("latin-1"))

    return signer(key).unsign_object(value, serializer=Plain)


def signer(key=SECRET_KEY, salt=SALT):
    return signing.TimestampSigner(key=b"django.http.cookies" + key.encode(), salt=salt)


def signed(payload, *, compress=False, **more):
    class Plain:
        def dumps(self, value):
            return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode("latin-1")

    return signer(**more).sign_object(payload, serializer=Plain, compress=compress)


ENTRY = ["__json_message", 0, INFO, "forged", ""]


class TestForgedCookies:
    FORGED = {
        "another key": signed([ENTRY], key="another-key"),
        "another salt": signed([ENTRY], salt="django.contrib.sessions.SessionStore"),
        "a changed signature": signed([ENTRY])[:-1] + ("A" if signed([ENTRY])[-1] != "A" else "B"),
        "the signature of another": signed([ENTRY, ENTRY]).partition(":")[0] + ":" + signed([ENTRY]).partition(":")[2],
        "no signature": signed([ENTRY]).partition(":")[0],
        "an empty signature": signed([ENTRY]).partition(":")[0] + ":",
        "rubbish": "rubbish",
        "a colon": ":",
        "JSON": '[["__json_message"\\0540\\05420\\054"forged"]]',
        "a session key": "a" * 32,
        "long": "x" * 6_000,
    }

    @of_storage("cookie")
    @pytest.mark.parametrize("name", FORGED)
    def test_they_show_nothing_and_are_taken_away(self, sides, name):
        answers = []
        for server in sides:
            browser = Browser(messages=self.FORGED[name])
            answer = browser.get(server, "/messages/list")
            assert (answer.status, answer.json) == (200, {"messages": []}), answer
            answers.append((answer.set_cookies, "messages" in browser.cookies))
        assert answers[0] == answers[1]

    @of_storage("fallback")
    @pytest.mark.parametrize("name", FORGED)
    def test_a_message_of_today_is_shown_all_the_same(self, sides, name):
        shown = []
        for server in sides:
            browser = Browser(messages=self.FORGED[name])
            add(browser, server, message("real"))
            shown.append(texts(browser, server))
        assert shown[0] == shown[1], shown

    # Well signed: written by a program with the key, and odd.
    ODD = {
        "none": [],
        "one": [ENTRY],
        "without tags": [ENTRY[:4]],
        "tags of null": [[*ENTRY[:4], None]],
        "marked as safe": [["__json_message", 1, INFO, "<b>safe</b>", ""]],
        "only the end mark": ["__messagesnotfinished__"],
        "one and the end mark": [ENTRY, "__messagesnotfinished__"],
        "Hangul": [["__json_message", 0, INFO, "한글", "큰"]],
    }

    @of_storage("cookie")
    @pytest.mark.parametrize("compress", [False, True])
    @pytest.mark.parametrize("name", ODD)
    def test_what_is_well_signed_is_shown_alike(self, sides, name, compress):
        shown = []
        for server in sides:
            browser = Browser(messages=signed(self.ODD[name], compress=compress))
            answer = browser.get(server, "/messages/list")
            shown.append((answer.status, answer.json, answer.set_cookies))
        assert shown[0] == shown[1]
        assert shown[0][0] == 200

    BROKEN = {
        "an empty payload": b"",
        "half a list": b"[",
        "not UTF-8": b'["\xff\xfe"]',
        "an object": {},
        "null": None,
        "a string": "text",
        "a number": 5,
        "a list of strings": ["text"],
        "a list of numbers": [1, 2],
        "too short an entry": [["__json_message"]],
        "no level": [["__json_message", 0]],
        "no text": [["__json_message", 0, 20]],
        "a level of text": [["__json_message", 0, "high", "forged"]],
        "too long an entry": [[*ENTRY, "more", "and more"]],
        "a message of a number": [["__json_message", 0, 20, 5, ""]],
        "a message of a list": [["__json_message", 0, 20, [["__json_message", 0, 20, "in"]], ""]],
        "a huge level": [["__json_message", 0, 10**30, "forged", ""]],
        "nested": b"[" * 5_000 + b"]" * 5_000,
    }

    @pytest.mark.beyond_django(sometimes=True)
    @of_storage("fallback")
    @pytest.mark.parametrize("name", BROKEN)
    def test_what_is_well_signed_and_broken_is_no_failure(self, name, storage, store, probe):
        server = probe(**store.settings, **storage)
        browser = Browser(messages=signed(self.BROKEN[name], compress=True))
        for path in ("/messages/ignore", "/messages/list", "/context", "/messages/list"):
            answer = browser.get(server, path)
            assert answer.status == 200, (path, answer)


class TestHeaders:
    INJECTIONS = ["x\r\nSet-Cookie: admin=1", "x\nLocation: https://evil.example", "x; Path=/; Domain=evil.example", "x\r\n\r\n<html>"]

    @pytest.mark.parametrize("text", INJECTIONS)
    def test_a_message_adds_none(self, sides, text):
        one, other = sides
        browser = Browser()
        answer = add(browser, one, message(text, extra_tags=text))
        names = {name.lower() for name in answer.headers}
        assert "location" not in names
        for header in answer.set_cookies:
            assert header.partition("=")[0] in ("messages", "sessionid"), answer
            assert "admin" not in header and "evil" not in header
        shown = listed(browser, other)
        assert [(m["message"], m["tags"]) for m in shown] == [(text, f"{text} info")]
