"""The same requests to Django and to the probe, each with a store of its own, get the same answers, header by header."""

import pytest

from comparable import Masking
from divergences import divergence
from sequences import COOKIES, EVERY, LIFE, expiries, forgeries
from servers import django_versions, newest_django
from stores import EMBEDDED, EVERY_STORE, ON_SERVERS, engine_of
from visitor import Visitor, op, put, send

VARIANTS = {
    "saved every request": {"SESSION_SAVE_EVERY_REQUEST": True},
    "until the browser closes": {"SESSION_EXPIRE_AT_BROWSER_CLOSE": True},
    "every attribute": {
        "SESSION_COOKIE_NAME": "visitor",
        "SESSION_COOKIE_AGE": 600,
        "SESSION_COOKIE_DOMAIN": "example.com",
        "SESSION_COOKIE_PATH": "/shop",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": False,
        "SESSION_COOKIE_SAMESITE": "Strict",
    },
    "for other sites": {"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": True},
    "without SameSite": {"SESSION_COOKIE_SAMESITE": False, "SESSION_EXPIRE_AT_BROWSER_CLOSE": True},
    "without time zones": {"USE_TZ": False, "TIME_ZONE": "Asia/Seoul"},
}


def converse(server, sequence, store, settings):
    """Every answer to the sequence, made comparable."""
    masking = Masking(store.engine, approximate=sequence.approximate, moment=sequence.moment)
    visitor = Visitor(name=settings.get("SESSION_COOKIE_NAME", "sessionid"))
    remembered = {}
    answers = []
    for step in sequence.steps:
        cookie = visitor.cookie
        if step.cookie != "jar":
            jar = visitor.value or ""
            cookie = step.cookie and step.cookie.format(jar=jar, jar_cut=jar[:-1], **remembered)
            if step.cookie and "{" not in step.cookie:
                masking.sent(cookie.partition("=")[2].strip())
        answer = visitor.ops(server, *step.operations, cookie=cookie)
        if step.remember:
            remembered[step.remember] = visitor.value
        answers.append(masking.answer(answer, step.operations))
    return answers


def compare(kind, version, sequence, settings, own_store, django, probe):
    answers = []
    for side in ("django" + version, "probe"):
        store = own_store(kind, side)
        # CACHE_URL is a shorthand for CACHES; the two are not given together.
        given = store.settings | settings | ({"CACHE_URL": None} if "CACHES" in settings else {})
        server = probe(**given) if side == "probe" else django(version, **given)
        answers.append(converse(server, sequence, store, settings))
    for number, (expected, got) in enumerate(zip(*answers, strict=True), 1):
        asked_for = {operation.get("status") for operation in sequence.steps[number - 1].operations}
        assert expected["status"] != 500 or 500 in asked_for, "where Django fails there is nothing to compare with"
        assert got == expected, f"{sequence.name}, request {number}"


def alike(kind, sequences, settings):
    return [s for s in sequences if engine_of(kind) in s.engines and divergence(kind, s, settings) is None]


def cases(kinds, sequences, settings):
    return [
        pytest.param(kind, sequence, id=f"{kind}-{sequence.name}")
        for kind in kinds
        for sequence in alike(kind, sequences, settings)
    ]


@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize(("kind", "sequence"), cases(EMBEDDED, EVERY, {}))
def test_the_answers_are_the_same(kind, sequence, version, own_store, django, probe):
    compare(kind, version, sequence, {}, own_store, django, probe)


@pytest.mark.parametrize(
    ("kind", "sequence"), cases(EMBEDDED, EVERY, VARIANTS["saved every request"])
)
def test_the_answers_are_the_same_where_every_request_saves(kind, sequence, own_store, django, probe):
    compare(kind, newest_django(), sequence, VARIANTS["saved every request"], own_store, django, probe)


# What a store could answer differently: the life of a session, its expiry, keys of every form.
ON_A_SERVER = [*LIFE, *COOKIES, *expiries()]

# Each way in which a server takes a key.
TAKING_KEYS = (
    "db/postgres",
    "db/mariadb",
    "cached_db/postgres+redis",
    "cached_db/mariadb+memcached",
    "cache/redis",
    "cache/memcached",
    "cache/memcached-pylibmc",
    "cache/database-on-postgres",
    "cache/filebased",
)


@pytest.mark.parametrize(
    ("kind", "sequence"), [*cases(ON_SERVERS, ON_A_SERVER, {}), *cases(TAKING_KEYS, list(forgeries()), {})]
)
def test_the_answers_are_the_same_on_a_server(kind, sequence, own_store, django, probe):
    compare(kind, newest_django(), sequence, {}, own_store, django, probe)


@pytest.mark.parametrize(("kind", "sequence"), cases(ON_SERVERS, [*LIFE, *COOKIES], VARIANTS["saved every request"]))
def test_the_answers_are_the_same_on_a_server_where_every_request_saves(kind, sequence, own_store, django, probe):
    compare(kind, newest_django(), sequence, VARIANTS["saved every request"], own_store, django, probe)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "saved every request"])
@pytest.mark.parametrize(("kind", "sequence"), cases(("db/sqlite", "signed_cookies"), COOKIES, {}))
def test_the_cookies_are_the_same(kind, sequence, variant, own_store, django, probe):
    compare(kind, newest_django(), sequence, VARIANTS[variant], own_store, django, probe)


@pytest.mark.parametrize("kind", ["cache/locmem", "cached_db/sqlite+locmem"])
@pytest.mark.parametrize("sequence", COOKIES, ids=lambda sequence: sequence.name)
def test_the_answers_are_the_same_in_another_cache(kind, sequence, own_store, django, probe):
    locmem = "django.core.cache.backends.locmem.LocMemCache"
    settings = {
        "CACHES": {
            "default": {"BACKEND": locmem},
            "visitors": {"BACKEND": locmem, "LOCATION": "visitors", "KEY_PREFIX": "shop", "VERSION": 3},
        },
        "SESSION_CACHE_ALIAS": "visitors",
    }
    compare(kind, newest_django(), sequence, settings, own_store, django, probe)


NOT_ALLOWED = {
    "no JSON": b"[",
    "an empty body": b"",
    "an object": b"{}",
    "null": b"null",
    "not UTF-8": b'["\xff"]',
    "NaN": b'[{"op": "set", "key": "a", "value": NaN}]',
    "trailing text": b"[] []",
    "an array of strings": b'["get"]',
    "an array of null": b"[null]",
    "an unknown op": [op("explode")],
    "no op": [{"key": "a"}],
    "an op of the wrong type": [{"op": ["get"]}],
    "an op in capitals": [op("GET", key="a")],
    "get without a key": [op("get")],
    "get of a number": [op("get", key=1)],
    "get of null": [op("get", key=None)],
    "set without a key": [op("set", value=1)],
    "set without a value": [op("set", key="a")],
    "del without a key": [op("del")],
    "pop without a key": [op("pop", default=1)],
    "pop of a list": [op("pop", key=["a"])],
    "setdefault without a value": [op("setdefault", key="a")],
    "setdefault without a key": [op("setdefault", value="a")],
    "update without values": [op("update")],
    "update with a list": [op("update", values=[1])],
    "update with null": [op("update", values=None)],
    "has without a key": [op("has")],
    "set_expiry without a value": [op("set_expiry")],
    "set_expiry to a string": [op("set_expiry", value="300")],
    "set_expiry to a boolean": [op("set_expiry", value=True)],
    "set_expiry to an empty object": [op("set_expiry", value={})],
    "set_expiry to an unknown object": [op("set_expiry", value={"until": 1})],
    "set_expiry in a string": [op("set_expiry", value={"in": "300"})],
    "set_expiry at a number": [op("set_expiry", value={"at": 300})],
    "set_expiry at no time": [op("set_expiry", value={"at": "tomorrow"})],
    "set_expiry to a list": [op("set_expiry", value=[1])],
    "incr without by": [op("incr", key="a")],
    "incr without a key": [op("incr", by=1)],
    "incr by a string": [op("incr", key="a", by="1")],
    "incr by null": [op("incr", key="a", by=None)],
    "sleep without ms": [op("sleep")],
    "sleep for a string": [op("sleep", ms="1")],
    "respond without a status": [op("respond")],
    "respond with a string": [op("respond", status="200")],
}


@pytest.mark.parametrize("name", NOT_ALLOWED)
@pytest.mark.parametrize("side", ["django", "probe"])
def test_what_the_contract_does_not_allow_is_400_and_changes_nothing(name, side, own_store, django, probe):
    store = own_store("db/sqlite", "refused by " + side)
    server = probe(**store.settings) if side == "probe" else django(newest_django(), **store.settings)
    visitor = Visitor()
    visitor.ops(server, put("a", 1))
    before = store.keys(), store.text(visitor.value)
    body = NOT_ALLOWED[name]
    if isinstance(body, list):
        # What stands before the refused operation must not run either.
        body = [put("a", 2), op("flush"), *body, put("b", 3)]
    answer = visitor.request(server, "POST", "/ops", body=body)
    assert answer.status == 400
    assert "error" in answer.text
    assert answer.set_cookies == []
    assert (store.keys(), store.text(visitor.value)) == before


BENCHMARKS = {
    "none": ["/bench/none"],
    "none with a session": ["/bench/fill", "/bench/none"],
    "fill": ["/bench/fill", "/bench/read"],
    "read": ["/bench/fill", "/bench/read", "/bench/read"],
    "write": ["/bench/fill", "/bench/write", "/bench/write", "/bench/read"],
    "incr": ["/bench/fill", "/bench/incr", "/bench/incr", "/bench/read"],
    "new": ["/bench/new", "/bench/read"],
}


@pytest.mark.parametrize("kind", EVERY_STORE)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_benchmark_routes_answer_the_same(kind, name, own_store, django, probe):
    answers = []
    for side in ("django", "probe"):
        store = own_store(kind, side)
        server = probe(**store.settings) if side == "probe" else django(newest_django(), **store.settings)
        masking = Masking(store.engine)
        visitor = Visitor()
        got = [masking.answer(visitor.request(server, "GET", path)) for path in BENCHMARKS[name]]
        got.append(masking.answer(visitor.ops(server, op("items")), [op("items")]))
        answers.append(got)
    assert answers[1] == answers[0]


@pytest.mark.parametrize("side", ["django", "probe"])
def test_benchmarks_answer_plain_text(side, own_store, django, probe):
    store = own_store("db/sqlite", side)
    server = probe(**store.settings) if side == "probe" else django(newest_django(), **store.settings)
    for path in ("/bench/none", "/bench/fill", "/bench/new"):
        answer = send(server, "GET", path)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
