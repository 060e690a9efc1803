"""Two servers take turns on one session, each changing what the other wrote."""

import pytest

from forging import COOKIE, unsigned
from servers import django_versions, newest_django
from stores import SIGNED, TURN_TAKING
from values import VALUES, exactly
from visitor import ITEMS, Visitor, op, put


@pytest.fixture(scope="module", params=TURN_TAKING)
def store(request, shared_store):
    return shared_store(request.param)


@pytest.fixture(scope="module", params=django_versions())
def sides(request, store, django, probe):
    """A Django and the probe over one store."""
    return django(request.param, **store.settings), probe(**store.settings)


def test_either_flushes_what_the_other_wrote(sides, store):
    for writer, other in (sides, sides[::-1]):
        visitor = Visitor()
        visitor.ops(writer, put("a", 1))
        old = visitor.value
        visitor.ops(other, op("flush"))
        assert visitor.value is None
        if store.engine != "signed_cookies":
            assert Visitor(old).ops(writer, ITEMS).values == [[]]


def test_they_take_turns_on_one_session(sides, store):
    visitor = Visitor()
    for turn, (name, value) in enumerate(VALUES.items()):
        visitor.ops(sides[turn % 2], put(name, value))
    for side in sides:
        assert exactly(dict(visitor.ops(side, ITEMS).values[0])) == exactly(VALUES)


def test_counting_by_turns_loses_nothing(sides, store):
    visitor = Visitor()
    for turn in range(20):
        assert visitor.ops(sides[turn % 2], op("incr", key="n", by=1)).values == [turn + 1]


def test_the_key_is_cycled_by_either(sides, store):
    visitor = Visitor()
    visitor.ops(sides[0], put("a", 1))
    for turn in range(4):
        old = visitor.value
        visitor.ops(sides[turn % 2], op("cycle_key"))
        if store.engine != "signed_cookies":
            assert visitor.value != old
            assert Visitor(old).ops(sides[(turn + 1) % 2], ITEMS).values == [[]]
    assert visitor.ops(sides[1], ITEMS).values == [[["a", 1]]]


def payload(store, visitor):
    """The session as it is stored."""
    if store.engine == "signed_cookies":
        return unsigned(visitor.value, salt=COOKIE)
    return unsigned(store.text(visitor.value))


@pytest.mark.parametrize("kind", [kind for kind in TURN_TAKING if kind in SIGNED])
def test_what_a_request_does_not_touch_keeps_its_value_to_the_digit(kind, shared_store, django, probe):
    store = shared_store(kind)
    django, probe = django(newest_django(), **store.settings), probe(**store.settings)
    visitor = Visitor()
    visitor.ops(django, put("floats", [1e16, 1e-7, 0.1]), put("text", "한/\u2028\x7f"), put("a", 1))
    before = payload(store, visitor)
    visitor.ops(probe, put("a", 2))
    assert exactly(payload(store, visitor)) == exactly(before | {"a": 2})
