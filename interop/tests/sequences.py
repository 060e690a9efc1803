"""Sequences of requests that cover every operation and rule of the contract; both servers must answer them alike."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from stores import ENGINES, STORING_ENGINES
from values import VALUES
from visitor import ITEMS, get, op, put

KEY = op("key")
FLAGS = [op("accessed"), op("modified"), op("is_empty")]
FILLED = [put("a", 1), put("b", [2]), put("c", {"d": "세"})]


@dataclass
class Step:
    """One request. `cookie` is a whole Cookie header, in which `{jar}` and what earlier steps remembered are filled in."""

    operations: list
    cookie: str | None = "jar"
    remember: str | None = None


@dataclass
class Sequence:
    name: str
    steps: list = field(default_factory=list)
    engines: tuple = ENGINES
    # The answers hold a time a while after each request: compared to the nearest twenty seconds.
    approximate: bool = False
    # The answers hold the seconds until this moment (ISO 8601), whenever that is.
    moment: str | None = None
    # A request brings a key under which nothing is stored, and does not look.
    unread: bool = False
    # A request brings a key under which something is stored that has expired.
    expired: bool = False
    # It sets an expiry beyond the year 2038.
    distant: bool = False


def sequence(name, *steps, **options):
    return Sequence(name, [step if isinstance(step, Step) else Step(step) for step in steps], **options)


def ahead(seconds, hours_east):
    """An ISO time `seconds` from now; fixed when the tests are collected, so that both sides are sent the same."""
    zone = timezone(timedelta(hours=hours_east))
    return (datetime.now(zone) + timedelta(seconds=seconds)).replace(microsecond=0).isoformat()


MOMENTS = {
    "of Seoul": ahead(86_400, 9),
    "of UTC": ahead(86_400, 0),
    "in Zulu form": ahead(86_400, 0).replace("+00:00", "Z"),
    "with microseconds": "2099-12-31T23:59:59.123456+05:30",
    "with milliseconds": "2099-12-31T23:59:59.120Z",
    "west of Greenwich": "2099-12-31T23:59:59-03:00",
}
PAST = "2001-02-03T04:05:06Z"

SINGLE = {
    "no operation": None,
    "get": get("a"),
    "get of what is absent": get("x"),
    "get with a default": get("x", default=[1, None]),
    "get with a default of null": get("x", default=None),
    "set": put("a", 2),
    "set of the same value": put("a", 1),
    "set of a new key": put("n", 1),
    "set of an empty key": put("", 1),
    "del": op("del", key="a"),
    "del of what is absent": op("del", key="x"),
    "pop": op("pop", key="a"),
    "pop of what is absent": op("pop", key="x"),
    "pop with a default": op("pop", key="x", default="d"),
    "pop with a default of null": op("pop", key="x", default=None),
    "pop with a default that is not needed": op("pop", key="a", default="d"),
    "setdefault": op("setdefault", key="a", value=9),
    "setdefault of what is absent": op("setdefault", key="x", value=9),
    "update": op("update", values={"b": 1, "z": 2, "a": 3}),
    "update with nothing": op("update", values={}),
    "has": op("has", key="a"),
    "has not": op("has", key="x"),
    "keys": op("keys"),
    "values": op("values"),
    "items": ITEMS,
    "clear": op("clear"),
    "flush": op("flush"),
    "cycle_key": op("cycle_key"),
    "save": op("save"),
    "key": KEY,
    "expiry_age": op("expiry_age"),
    "expires_at_browser_close": op("expires_at_browser_close"),
    "set_expiry": op("set_expiry", value=300),
    "set_expiry to null": op("set_expiry", value=None),
    "set_test_cookie": op("set_test_cookie"),
    "test_cookie_worked": op("test_cookie_worked"),
    "delete_test_cookie": op("delete_test_cookie"),
    "incr": op("incr", key="a", by=5),
    "incr of what is absent": op("incr", key="x", by=-2),
    "sleep": op("sleep", ms=0),
    "respond 500": op("respond", status=500),
    "respond 404": op("respond", status=404),
}


def singles():
    for name, operation in SINGLE.items():
        operations = [operation] if operation else []
        # incr counts numbers; everything else meets a filled session of several kinds.
        yield sequence(f"{name}, alone, in a new session", operations, [ITEMS, KEY])
        yield sequence(f"{name}, alone, in a filled session", FILLED, operations, [ITEMS, KEY])
        yield sequence(f"{name}, with the flags, in a new session", [*FLAGS, *operations, *FLAGS, KEY], [ITEMS])
        yield sequence(
            f"{name}, with the flags, in a filled session", FILLED, [*FLAGS, *operations, *FLAGS, KEY], [ITEMS, KEY]
        )


LIFE = [
    sequence("flush then set", FILLED, [op("flush"), put("new", 1), KEY, ITEMS], [ITEMS, KEY]),
    sequence("set then flush", FILLED, [put("new", 1), op("flush"), KEY, ITEMS, *FLAGS], [ITEMS]),
    sequence("set then flush in a new session", [put("new", 1), op("flush"), KEY, ITEMS, *FLAGS], [ITEMS]),
    sequence("flush twice", FILLED, [op("flush"), op("flush"), *FLAGS], [ITEMS]),
    sequence("flush then save", FILLED, [op("flush"), op("save"), KEY, *FLAGS], [ITEMS]),
    sequence("flush then cycle_key", FILLED, [op("flush"), op("cycle_key"), *FLAGS], [ITEMS]),
    sequence("flush and a failing response", FILLED, [op("flush"), op("respond", status=500)], [ITEMS, KEY]),
    sequence("clear then set", FILLED, [op("clear"), put("new", 1), KEY], [ITEMS, KEY]),
    sequence("clear then get", FILLED, [op("clear"), get("a"), ITEMS, *FLAGS], [ITEMS, KEY]),
    sequence("clear, and the next request sets", FILLED, [op("clear")], [put("new", 1), KEY], [ITEMS, KEY]),
    sequence("get then clear", FILLED, [get("a"), op("clear"), ITEMS, *FLAGS], [ITEMS, KEY]),
    sequence("every key deleted", FILLED, [op("del", key=k) for k in "abc"], [ITEMS, *FLAGS, KEY]),
    sequence("cycle_key then get", FILLED, [op("cycle_key"), KEY, ITEMS, *FLAGS], [ITEMS, KEY]),
    sequence("cycle_key twice", FILLED, [op("cycle_key"), KEY, op("cycle_key"), KEY], [ITEMS, KEY]),
    sequence("cycle_key after set", FILLED, [put("a", 7), op("cycle_key"), put("b", 8), KEY], [ITEMS, KEY]),
    sequence("cycle_key then flush", FILLED, [op("cycle_key"), op("flush"), KEY, *FLAGS], [ITEMS]),
    sequence("cycle_key and a failing response", FILLED, [op("cycle_key"), op("respond", status=503)], [ITEMS, KEY]),
    sequence("set then cycle_key in a new session", [put("a", 1), op("cycle_key"), KEY, ITEMS], [ITEMS, KEY]),
    sequence("save then set", FILLED, [put("a", 5), op("save"), put("b", 6), KEY], [ITEMS, KEY]),
    sequence("save in a new session", [put("a", 1), op("save"), KEY, *FLAGS], [ITEMS, KEY]),
    sequence("save then set in a new session", [put("a", 1), op("save"), put("b", 2), KEY, *FLAGS], [ITEMS, KEY]),
    sequence("save twice", FILLED, [op("save"), op("save"), *FLAGS], [ITEMS]),
    sequence("save then flush", FILLED, [put("a", 5), op("save"), op("flush"), KEY], [ITEMS]),
    sequence("save and a failing response", FILLED, [put("a", 5), op("save"), op("respond", status=500)], [ITEMS]),
    sequence("save in a new session and a failing response", [put("a", 5), op("save"), op("respond", status=500)], [ITEMS]),
    sequence("set and a failing response", FILLED, [put("a", 5), op("respond", status=500)], [ITEMS, KEY]),
    sequence("set and a redirect", FILLED, [put("a", 5), op("respond", status=302)], [ITEMS, KEY]),
    sequence("set and a missing page", [put("a", 5), op("respond", status=404)], [ITEMS, KEY]),
    sequence("set and the largest status that is saved", [put("a", 5), op("respond", status=499)], [ITEMS, KEY]),
    sequence("the last status counts", [op("respond", status=404), op("respond", status=201)]),
    sequence("four requests", [put("a", 1)], [put("b", 2)], [op("del", key="a")], [ITEMS, KEY]),
    sequence("a request without the cookie is another session", FILLED, Step([ITEMS, KEY], cookie=None), [ITEMS]),
    sequence(
        "a session flushed elsewhere",
        Step(FILLED, remember="old"),
        [op("flush")],
        Step([ITEMS, *FLAGS, KEY], cookie="sessionid={old}"),
        Step([put("a", 2)], cookie="sessionid={old}"),
        [ITEMS],
        # In a cookie nothing can be flushed elsewhere; there the two differ by the timestamp only.
        engines=STORING_ENGINES,
    ),
    sequence(
        "a session whose key was cycled elsewhere",
        Step(FILLED, remember="old"),
        [op("cycle_key")],
        Step([ITEMS, *FLAGS, KEY], cookie="sessionid={old}"),
        Step([op("cycle_key")], cookie="sessionid={old}"),
        engines=STORING_ENGINES,
    ),
]

DICTIONARY = [
    sequence("order is that of insertion", [put("z", 1), put("a", 2), put("m", 3)], [op("keys"), op("values"), ITEMS]),
    sequence("a key set again keeps its place", FILLED, [put("a", 9)], [ITEMS]),
    sequence("a key deleted and set goes to the end", FILLED, [op("del", key="a"), put("a", 9), ITEMS], [ITEMS]),
    sequence("a key popped and set goes to the end", FILLED, [op("pop", key="a"), put("a", 9), op("keys")], [ITEMS]),
    sequence("update keeps places and appends", FILLED, [op("update", values={"x": 0, "b": 1}), ITEMS], [ITEMS]),
    sequence("changes are seen within the request", [put("a", 1), get("a"), op("has", key="a"), op("keys")]),
    sequence("deleted is absent within the request", FILLED, [op("del", key="a"), op("has", key="a"), get("a"), op("del", key="a")]),
    sequence("pop then get", FILLED, [op("pop", key="b"), get("b"), op("pop", key="b")], [ITEMS]),
    sequence("setdefault twice", [op("setdefault", key="s", value=[1]), op("setdefault", key="s", value=[2])], [ITEMS]),
    sequence("setdefault on null", [put("s", None)], [op("setdefault", key="s", value=1), *FLAGS], [ITEMS]),
    sequence("null is a value", [put("s", None)], [get("s", default=1), op("has", key="s"), op("pop", key="s", default=1)], [ITEMS]),
    sequence("counting", [op("incr", key="n", by=1)] * 3, [op("incr", key="n", by=10), get("n")], [ITEMS]),
    sequence("counting beyond 32 bits", [put("n", 2**40)], [op("incr", key="n", by=2**40)], [get("n")]),
    sequence("counting and setting", [put("n", 5), op("incr", key="n", by=1), put("n", 1), op("incr", key="n", by=1)], [ITEMS]),
    sequence("counting after flush", [put("n", 5)], [op("flush"), op("incr", key="n", by=1)], [ITEMS]),
    sequence("a read that fails leaves the session unchanged", FILLED, [op("del", key="x"), op("modified")], [ITEMS]),
    sequence("every value", [op("update", values=VALUES)], [ITEMS]),
    sequence("every value, one by one", [put(k, v) for k, v in VALUES.items()], [get(k) for k in VALUES]),
    sequence("a key like one of Django's", [put("_auth_user_id", "1"), put("_session_expiry", 60)], [ITEMS, op("expiry_age")]),
]

TEST_COOKIES = [
    sequence(
        "a test cookie over three requests",
        [op("set_test_cookie"), op("test_cookie_worked")],
        [op("test_cookie_worked"), op("delete_test_cookie"), op("test_cookie_worked")],
        [op("test_cookie_worked"), op("delete_test_cookie"), ITEMS],
    ),
    sequence("a test cookie that did not work", [put("testcookie", "no")], [op("test_cookie_worked"), *FLAGS]),
]

SEEN = [op("expiry_age"), op("expires_at_browser_close"), get("_session_expiry"), *FLAGS]


def expiries():
    for value in (300, 60, 0, 1_209_600, 10**9):
        set_it = op("set_expiry", value=value)
        yield sequence(f"expiry of {value}", [put("a", 1), set_it, *SEEN], [*SEEN[:3], get("a")], [put("a", 2)], distant=value == 10**9)
        yield sequence(f"expiry of {value} and nothing else", [set_it, *SEEN], [ITEMS], distant=value == 10**9)
    for value in (-1, -86_400):
        yield sequence(f"expiry of {value}", [put("a", 1), op("set_expiry", value=value), *SEEN], [ITEMS, KEY], expired=True)
    for value in ({"in": 3_600}, {"in": 864_000}):
        set_it = op("set_expiry", value=value)
        yield sequence(f"expiry {value}", [put("a", 1), set_it, *SEEN], SEEN[:3], [put("a", 2)], approximate=True)
    yield sequence("expiry in the past by a timedelta", [put("a", 1), op("set_expiry", value={"in": -60})], [ITEMS], approximate=True, expired=True)
    for name, at in MOMENTS.items():
        yield sequence(f"expiry at a moment {name}", [put("a", 1), op("set_expiry", value={"at": at}), *SEEN], SEEN[:3], moment=at, distant=at > "2038")
    set_it = op("set_expiry", value={"at": PAST})
    yield sequence("expiry at a moment of the past", [put("a", 1), set_it, *SEEN], [ITEMS], moment=PAST, expired=True)
    yield sequence("expiry taken back", [put("a", 1), op("set_expiry", value=60)], [op("set_expiry", value=None), *SEEN], SEEN)
    yield sequence("expiry taken back at once", [put("a", 1), op("set_expiry", value=60), op("set_expiry", value=None), *SEEN], [ITEMS])
    yield sequence("expiry changed", [put("a", 1), op("set_expiry", value=60)], [op("set_expiry", value=0), *SEEN], [op("set_expiry", value=600)], [ITEMS])
    yield sequence("expiry survives cycle_key", [put("a", 1), op("set_expiry", value=60)], [op("cycle_key"), *SEEN], [ITEMS])
    yield sequence("expiry goes with flush", [put("a", 1), op("set_expiry", value=60)], [op("flush"), put("b", 1), *SEEN], [ITEMS])
    yield sequence("expiry goes with clear", [put("a", 1), op("set_expiry", value=60)], [op("clear"), put("b", 1), *SEEN], [ITEMS])
    yield sequence("browser close and a failing response", [put("a", 1), op("set_expiry", value=0), op("respond", status=500)], [ITEMS])


UNKNOWN = "0123456789abcdefghijklmnopqrstuv"

FORGED = {
    "a valid form, unknown": f"sessionid={UNKNOWN}",
    "too short": "sessionid=abcdefg",
    "just long enough": "sessionid=abcdefgh",
    "empty": "sessionid=",
    "one space": "sessionid= ",
    "no equals sign": "sessionid",
    "upper case": f"sessionid={UNKNOWN.upper()}",
    "path traversal": "sessionid=../../../../etc/passwd",
    "slashes": "sessionid=/etc/passwd",
    "dots": "sessionid=........",
    "percent": "sessionid=%2e%2e%2fabcdefgh%00",
    "korean": "sessionid=열한글자로된세션열쇠값",
    "markup": "sessionid=<script>alert(1)</script>",
    "sql": "sessionid=' OR '1'='1",
    "spaces inside": "sessionid=abcd efgh ijkl",
    "quoted": f'sessionid="{UNKNOWN}"',
    "quoted, with an octal escape": 'sessionid="abcdefgh\\012ijkl"',
    "quoted, with escapes": 'sessionid="abc\\"def\\\\ghijkl"',
    "a single quote mark": 'sessionid="',
    "an opening quote mark": f'sessionid="{UNKNOWN}',
    "like a signed value": "sessionid=eyJhIjoxfQ:1tXyZA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "like a compressed signed value": "sessionid=.eJyrVkpUsjKsBQAKaQJi:1tXyZA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "colons": "sessionid=::::::::",
    "1000 characters": "sessionid=" + "a" * 1000,
    "another name": f"sessionidx={UNKNOWN}",
    "another case of the name": f"SessionId={UNKNOWN}",
    "only separators": "; ;; ; =; ==;",
    "equals signs": "sessionid===abcdefgh==",
}


def forgeries():
    for name, cookie in FORGED.items():
        yield sequence(f"a cookie: {name}: nothing done", Step([], cookie=cookie), unread=True)
        yield sequence(f"a cookie: {name}: looked at", Step([*FLAGS, KEY], cookie=cookie), unread=True)
        yield sequence(f"a cookie: {name}: read", Step([get("a"), KEY, *FLAGS], cookie=cookie))
        yield sequence(f"a cookie: {name}: written", Step([put("a", 1), get("a"), KEY], cookie=cookie), [ITEMS, KEY])
    for name in ("a valid form, unknown", "too short", "path traversal", "korean"):
        for operation in ("flush", "cycle_key", "clear", "save"):
            # Django's file engine answers 400 to `flush` and `clear` of a key that cannot name a file; here, no failure is asked for (test_hostile).
            engines = ENGINES if name in ("a valid form, unknown", "too short") else ("db", "cached_db", "cache", "signed_cookies")
            step = Step([op(operation), KEY, *FLAGS], cookie=FORGED[name])
            yield sequence(f"a cookie: {name}: {operation}", step, [ITEMS], engines=engines, unread=operation == "save")


COOKIE_HEADERS = [
    sequence("the last of two cookies counts", FILLED, Step([ITEMS], cookie=f"sessionid={UNKNOWN}; sessionid={{jar}}")),
    sequence("the last of two cookies counts, though forged", FILLED, Step([ITEMS], cookie=f"sessionid={{jar}}; sessionid={UNKNOWN}")),
    sequence("an empty second cookie", FILLED, Step([ITEMS], cookie="sessionid={jar}; sessionid=")),
    sequence("other cookies around it", FILLED, Step([ITEMS], cookie="a=1; csrftoken=x; sessionid={jar}; b=\"2; 3\"; c")),
    sequence("a prefix of its name", FILLED, Step([ITEMS], cookie="sessionid2=x; xsessionid=y; sessionid={jar}")),
    sequence("no space after the separator", FILLED, Step([ITEMS], cookie="a=1;sessionid={jar};b=2")),
    sequence("spaces around it", FILLED, Step([ITEMS], cookie="a=1;   sessionid  =  {jar}  ; b=2")),
    sequence("quoted", FILLED, Step([ITEMS], cookie='sessionid="{jar}"')),
    sequence("quoted, with a separator before it", FILLED, Step([ITEMS], cookie='a="b; sessionid={jar}"; c=d')),
    sequence("a letter in an octal escape", FILLED, Step([ITEMS], cookie='sessionid="{jar}\\141"')),
    sequence("one character missing", FILLED, Step([ITEMS], cookie="sessionid={jar_cut}")),
    sequence("one character more", FILLED, Step([ITEMS], cookie="sessionid={jar}a")),
]

EVERY = [
    *singles(),
    *LIFE,
    *DICTIONARY,
    *TEST_COOKIES,
    *expiries(),
    *forgeries(),
    *COOKIE_HEADERS,
]

# What shows every form of Set-Cookie: enough where only the cookie's attributes change.
COOKIES = [
    sequence("set and read", FILLED, [ITEMS, KEY]),
    sequence("set, then changed", FILLED, [put("a", 2)], [ITEMS]),
    sequence("nothing", []),
    sequence("flush", FILLED, [op("flush")], [ITEMS]),
    sequence("flush then set", FILLED, [op("flush"), put("x", 1)], [ITEMS]),
    sequence("cycle_key", FILLED, [op("cycle_key")], [ITEMS]),
    sequence("expiry of 300", [put("a", 1), op("set_expiry", value=300), *SEEN], [ITEMS]),
    sequence("browser close", [put("a", 1), op("set_expiry", value=0), *SEEN], [put("a", 2)], [ITEMS]),
    sequence("no expiry of its own", [put("a", 1), op("set_expiry", value=None), *SEEN], [ITEMS]),
    sequence("a failing response", [put("a", 1), op("respond", status=500)]),
    sequence("a forged cookie of the default name", Step([ITEMS], cookie=f"sessionid={UNKNOWN}")),
    sequence("a forged cookie of another name", Step([ITEMS], cookie=f"visitor={UNKNOWN}")),
]
