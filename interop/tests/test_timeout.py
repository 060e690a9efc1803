"""The inactivity timeout, side by side with django-session-timeout."""

import time

import pytest

from comparable import Masking
from servers import django_versions
from stores import engine_of
from visitor import ITEMS, Visitor, get, op, put

STARTED = "_session_init_timestamp_"
LONG_AGO = 1_000_000_000.5

VARIANTS = {
    "absolute": {"SESSION_EXPIRE_SECONDS": 3_600},
    "after inactivity": {
        "SESSION_EXPIRE_SECONDS": 3_600,
        "SESSION_EXPIRE_AFTER_LAST_ACTIVITY": True,
        "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD": 60,
    },
    "with a redirect": {"SESSION_EXPIRE_SECONDS": 3_600, "SESSION_TIMEOUT_REDIRECT": "/bye/?why=idle"},
    "with a login page": {"SESSION_EXPIRE_SECONDS": 3_600, "LOGIN_URL": "/enter/?lang=ko"},
    "saved every request": {"SESSION_EXPIRE_SECONDS": 3_600, "SESSION_SAVE_EVERY_REQUEST": True},
}


def ago(seconds):
    return time.time() - seconds


# Each request: its operations, or a path to GET. A time in the past stands for waiting.
CONVERSATIONS = {
    "no session": [[], [get("a")], "/bench/none"],
    "a new session": [[put("a", 1)], [ITEMS], [ITEMS], []],
    "an untouched session": [[put("a", 1)], [], "/bench/none", [ITEMS]],
    "a session that timed out": [[put("a", 1), put(STARTED, LONG_AGO)], [ITEMS], [ITEMS]],
    "timed out on another path": [[put("a", 1), put(STARTED, LONG_AGO)], "/bench/read?x=1&y=%20", [ITEMS]],
    "timed out before a write": [[put("a", 1), put(STARTED, LONG_AGO)], [put("a", 2)], [ITEMS]],
    "an integer as the time": [[put("a", 1), put(STARTED, 1_000_000_000)], [ITEMS]],
    "a time of the future": [[put("a", 1), put(STARTED, 99_999_999_999.5)], [ITEMS]],
    "flushed": [[put("a", 1)], [op("flush")], [ITEMS]],
    "a key cycled": [[put("a", 1)], [op("cycle_key")], [ITEMS]],
    "cleared": [[put("a", 1)], [ITEMS], [op("clear")], [ITEMS]],
    "a failing response": [[put("a", 1)], [op("respond", status=500)], [ITEMS]],
}

def converse(server, engine, requests):
    masking = Masking(engine)
    visitor = Visitor()
    answers = []
    for request in requests:
        if isinstance(request, str):
            answers.append(masking.answer(visitor.request(server, "GET", request)))
        else:
            answers.append(masking.answer(visitor.ops(server, *request), request))
    return answers


@pytest.mark.parametrize("kind", ["db/sqlite", "signed_cookies", "cached_db/postgres+redis", "cache/memcached"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("version", django_versions())
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_answers_are_the_same(name, version, variant, kind, own_store, django, probe):
    settings = VARIANTS[variant]
    one = django(version, **own_store(kind, "django" + version).settings, **settings)
    other = probe(**own_store(kind, "probe").settings, **settings)
    requests = CONVERSATIONS[name]
    assert converse(other, engine_of(kind), requests) == converse(one, engine_of(kind), requests)


@pytest.mark.parametrize("variant", VARIANTS)
def test_activity_moves_the_time_where_the_setting_says_so(variant, own_store, django, probe):
    settings = VARIANTS[variant]
    one = django(django_versions()[0], **own_store("db/sqlite", "django").settings, **settings)
    other = probe(**own_store("db/sqlite", "probe").settings, **settings)
    # Beyond the grace period, well before the end.
    requests = [[put("a", 1), put(STARTED, ago(600))], [ITEMS, op("modified")], [ITEMS]]
    assert converse(other, "db", requests) == converse(one, "db", requests)


@pytest.mark.parametrize("probe_first", [False, True], ids=["django_first", "probe_first"])
@pytest.mark.parametrize("version", django_versions())
def test_a_session_started_by_one_times_out_at_the_other(version, probe_first, new_store, django, probe):
    settings = new_store("db/sqlite").settings | VARIANTS["absolute"]
    sides = [django(version, **settings), probe(**settings)]
    first, second = sides[::-1] if probe_first else sides
    visitor = Visitor()
    visitor.ops(first, put("a", 1))
    started = visitor.ops(first, get(STARTED)).values[0]
    assert isinstance(started, float)
    assert visitor.ops(second, get(STARTED)).values == [started]
    visitor.ops(first, put(STARTED, LONG_AGO))
    assert visitor.ops(second, ITEMS).status == 302
    assert visitor.value is None
