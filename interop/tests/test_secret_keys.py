"""Keys that rotate, keys that differ, and data that was tampered with or has expired."""

import pytest

from forging import COOKIE, STORED, signed
from servers import SECRET_KEY, django_versions
from stores import SIGNED
from visitor import ITEMS, Visitor, get, put

NEW_KEY = "another-secret-key-that-came-after-the-first"
NEW = {"SECRET_KEY": NEW_KEY}
ROTATING = NEW | {"SECRET_KEY_FALLBACKS": ["one-more-key-that-never-was", SECRET_KEY]}


@pytest.fixture(scope="module", params=SIGNED)
def store(request, shared_store):
    return shared_store(request.param)


@pytest.fixture(params=django_versions())
def version(request):
    return request.param


@pytest.fixture(params=["django_first", "probe_first"])
def start(request, version, django, probe):
    """`start(0, …)` is the first of the two servers, `start(1, …)` the other."""

    def of(side, **settings):
        if (side == 0) == (request.param == "django_first"):
            return django(version, **settings)
        return probe(**settings)

    return of


def test_a_session_of_the_old_key_is_read_while_the_keys_rotate(start, store):
    visitor = Visitor()
    visitor.ops(start(0, **store.settings), put("a", "값"))
    store.evict(visitor.value)
    assert visitor.ops(start(1, **store.settings, **ROTATING), ITEMS).values == [[["a", "값"]]]


def test_a_session_saved_while_the_keys_rotate_needs_the_new_key_only(start, store):
    visitor = Visitor()
    visitor.ops(start(0, **store.settings), put("a", 1))
    store.evict(visitor.value)
    visitor.ops(start(1, **store.settings, **ROTATING), put("b", 2))
    store.evict(visitor.value)
    assert visitor.ops(start(0, **store.settings, **NEW), ITEMS).values == [[["a", 1], ["b", 2]]]


def test_a_session_of_another_key_is_empty(start, store):
    visitor = Visitor()
    visitor.ops(start(0, **store.settings), put("a", 1))
    store.evict(visitor.value)
    assert visitor.ops(start(1, **store.settings, **NEW), ITEMS).values == [[]]


def tampered(text):
    """`text` with each of its parts changed, by what was changed."""
    payload, time, signature = text.rsplit(":", 2)
    other = {part: ("B" if part[2] == "A" else "A").join([part[:2], part[3:]]) for part in (payload, time, signature)}
    return {
        "payload": f"{other[payload]}:{time}:{signature}",
        "time": f"{payload}:{other[time]}:{signature}",
        "signature": f"{payload}:{time}:{other[signature]}",
        "no signature": f"{payload}:{time}",
        "an empty signature": f"{payload}:{time}:",
        "no time": f"{payload}:{signature}",
        "cut off": text[:-1],
        "cut in half": text[: len(text) // 2],
        "one more character": text + "A",
        "said to be compressed": "." + text,
        "padded": f"{payload}:{time}:{signature}=",
        "a line break at the end": text + "\n",
        "empty": "",
        "JSON": '{"a": 1}',
    }


PARTS = sorted(tampered("payload:time:signature"))


@pytest.fixture(params=["probe", *django_versions()])
def server(request, store, django, probe):
    """The probe, and each Django, which must all say the same."""
    return probe(**store.settings) if request.param == "probe" else django(request.param, **store.settings)


@pytest.mark.parametrize("part", PARTS)
def test_a_session_that_was_tampered_with_is_empty(server, store, part):
    salt = COOKIE if store.engine == "signed_cookies" else STORED
    text = tampered(signed({"a": 1, "text": "long enough" * 3}, salt=salt))[part]
    if store.engine == "signed_cookies":
        # No header holds a line break; quoted, a cookie does.
        assert Visitor('"' + text.replace("\n", "\\012") + '"').ops(server, get("a")).values == [None]
        return
    key = "tampered" + str(PARTS.index(part))
    store.put(key, text)
    before = store.keys()
    assert Visitor(key).ops(server, get("a")).values == [None]
    assert store.keys() == before


def test_what_was_signed_for_another_purpose_is_empty(server, store):
    if store.engine == "signed_cookies":
        visitor = Visitor(signed({"a": 1}, salt=STORED))
    else:
        visitor = Visitor("anotherpurpose")
        store.put(visitor.value, signed({"a": 1}, salt=COOKIE))
    assert visitor.ops(server, get("a")).values == [None]


def test_an_expired_session_is_empty(server, store):
    if store.engine == "signed_cookies":
        assert Visitor(signed({"a": 1}, salt=COOKIE, age=1_209_500)).ops(server, get("a")).values == [1]
        visitor = Visitor(signed({"a": 1}, salt=COOKIE, age=1_209_700))
    else:
        visitor = Visitor("expired0session")
        store.put(visitor.value, signed({"a": 1}))
        store.expire(visitor.value)
    assert visitor.ops(server, get("a")).values == [None]
