"""Chains, groups and chords whose tasks run in Python and in Rust in turn, sent from either."""

import uuid

import pytest

from celerys import PROBE, Outcome, chain, chord, group, task

# RPC has no chords: results go to one client, and nobody counts them.
WITH_CHORDS = ("redis", "amqp+redis", "sqlite", "django-db")


def outcome(client, described, **options):
    return client.outcome(client.canvas(described), **options)


@pytest.fixture(params=["to-rust", "to-python"])
def one(request, rust, python):
    """One of the two workers."""
    return rust if request.param == "to-rust" else python


@pytest.fixture
def other(one, rust, python):
    return python if one is rust else rust


def add(*args, on, **options):
    """`py.add` is known to Python alone: it runs nowhere else."""
    return task("probe.add" if on.version == PROBE else "py.add", *args, on=on, **options)


def mul(*args, on, **options):
    return task("probe.mul" if on.version == PROBE else "py.mul", *args, on=on, **options)


def tsum(on, **options):
    return task("probe.tsum" if on.version == PROBE else "py.tsum", on=on, **options)


def fail(*args, on, **options):
    return task("probe.fail" if on.version == PROBE else "py.fail", *args, on=on, **options)


class TestChains:
    def test_each_step_gets_the_result_of_the_one_before(self, client, one, other):
        described = chain(add(1, 2, on=one), mul(10, on=other), add(5, on=one))
        assert outcome(client, described).value == 35

    def test_a_long_chain_goes_to_and_fro(self, client, rust, python):
        steps = [add(1, on=(rust, python)[number % 2]) for number in range(11)]
        described = chain(add(0, 0, on=python), *steps)
        assert outcome(client, described).value == 11

    def test_an_immutable_step_gets_nothing(self, client, one, other):
        described = chain(add(1, 2, on=one), mul(4, 5, on=other, immutable=True), add(1, on=one))
        assert outcome(client, described).value == 21

    def test_a_step_has_arguments_by_name_too(self, client, one, other):
        described = chain(add(1, 2, on=one), mul(on=other, kwargs={"y": 7}))
        assert outcome(client, described).value == 21

    def test_a_chain_ends_where_a_step_fails(self, client, one, other):
        described = chain(add(1, 2, on=one), fail("no", on=other, immutable=True), add(1, on=one))
        assert outcome(client, described) == Outcome.failed("FAILURE", "ValueError", ["no"])

    @pytest.mark.places(*WITH_CHORDS)
    def test_the_errback_of_a_step_is_called_with_the_id_of_what_failed(self, client, one, other):
        id, errback = str(uuid.uuid4()), str(uuid.uuid4())
        failing = fail("no", on=other, immutable=True, task_id=id, link_error=[fail(on=one, task_id=errback)])
        client.canvas(chain(add(1, 2, on=one), failing, add(1, on=one)))
        assert client.outcome(errback) == Outcome.failed("FAILURE", "ValueError", [id])

    def test_a_chain_in_a_chain_is_one_chain(self, client, one, other):
        described = chain(chain(add(1, 2, on=one), mul(2, on=other)), chain(add(1, on=other), mul(3, on=one)))
        assert outcome(client, described).value == 21

    def test_a_step_may_wait(self, client, one, other):
        described = chain(add(1, 2, on=one), add(3, on=other, countdown=0.3), add(4, on=one))
        assert outcome(client, described).value == 10

    def test_a_step_that_is_tried_again_keeps_what_comes_after(self, client, one, other):
        flaky = task("probe.flaky", 2, on=one)
        assert outcome(client, chain(flaky, mul(10, on=other))).value == 20


class TestGroups:
    def test_results_are_in_the_order_of_the_tasks(self, client, rust, python):
        parts = [mul(number, 10, on=(rust, python)[number % 2]) for number in range(8)]
        assert outcome(client, group(*parts)).value == [number * 10 for number in range(8)]

    def test_a_group_of_one_is_a_list_of_one(self, client, one):
        assert outcome(client, group(add(1, 2, on=one))).value == [3]

    def test_a_group_in_a_group_is_one_group(self, client, one, other):
        described = group(add(1, 1, on=one), group(add(2, 2, on=other), add(3, 3, on=one)))
        assert outcome(client, described).value == [2, 4, 6]

    def test_the_parts_of_a_group_may_be_chains(self, client, one, other):
        chains = [chain(add(number, 1, on=one), mul(10, on=other)) for number in range(3)]
        assert outcome(client, group(*chains)).value == [10, 20, 30]


@pytest.mark.places(*WITH_CHORDS)
class TestChords:
    def test_the_body_gets_the_results_of_both_languages(self, client, rust, python, one):
        parts = [mul(number, 10, on=(rust, python)[number % 2]) for number in range(6)]
        assert outcome(client, chord(*parts, body=tsum(one))).value == 150

    def test_results_come_to_the_body_in_the_order_of_the_parts(self, client, rust, python, one):
        parts = [add(number, 0, on=(rust, python)[number % 2]) for number in range(30)]
        body = task("probe.echo", on=one)
        assert outcome(client, chord(*parts, body=body)).value == [[[*range(30)]], {}]

    def test_the_parts_may_be_all_of_one_language_and_the_body_of_the_other(self, client, one, other):
        parts = [add(number, 1, on=one) for number in range(4)]
        assert outcome(client, chord(*parts, body=tsum(other))).value == 10

    def test_a_chord_of_one_part_calls_its_body(self, client, one, other):
        assert outcome(client, chord(add(1, 2, on=one), body=tsum(other))).value == 3

    def test_the_body_has_arguments_of_its_own(self, client, one, other):
        described = chord(add(1, 2, on=one), add(3, 4, on=other), body=task("probe.echo", "mine", on=one, kwargs={"k": 1}))
        assert outcome(client, described).value == [[[3, 7], "mine"], {"k": 1}]

    def test_the_body_may_be_a_chain(self, client, one, other):
        described = chord(add(1, 2, on=one), add(3, 4, on=other), body=chain(tsum(one), mul(10, on=other), on=one))
        assert outcome(client, described).value == 100

    def test_the_parts_may_be_chains(self, client, one, other):
        parts = chain(add(1, 2, on=one), mul(10, on=other)), chain(add(3, 4, on=other), mul(10, on=one))
        assert outcome(client, chord(*parts, body=tsum(one))).value == 100

    def test_a_chord_may_be_part_of_another(self, client, one, other):
        inner = chord(add(1, 1, on=one), add(2, 2, on=other), body=tsum(one))
        assert outcome(client, chord(inner, add(10, 10, on=other), body=tsum(other))).value == 26

    def test_a_group_in_a_chain_is_waited_for(self, client, one, other):
        described = chain(add(1, 2, on=one), group(mul(10, on=one), mul(100, on=other)), tsum(other), add(1, on=one))
        assert outcome(client, described).value == 331

    def test_groups_follow_each_other(self, client, one, other):
        both = [mul(2, on=one), mul(3, on=other)]
        described = chain(add(1, 1, on=one), group(*both), tsum(other), group(*both), tsum(one))
        assert outcome(client, described).value == 50

    def test_a_part_that_is_tried_again_is_counted_once(self, client, one, other):
        parts = task("probe.flaky", 1, on=one), task("probe.flaky", 2, on=other), add(1, 1, on=one)
        assert outcome(client, chord(*parts, body=tsum(other))).value == 5

    def test_the_body_fails_where_a_part_fails(self, place, client, one, other):
        id = str(uuid.uuid4())
        parts = add(1, 2, on=other), fail("no", on=one), add(3, 4, on=one)
        # Who sent it in Python is told of the part that failed.
        assert outcome(client, chord(*parts, body=tsum(other, task_id=id))).state == "FAILURE"
        body = place.client(PROBE).outcome(id)
        assert (body.state, body.value[0]) == ("FAILURE", "ChordError")
        assert "ValueError" in body.value[1][0]

    def test_the_errback_of_the_body_is_called_where_a_part_fails(self, client, one, other):
        id, errback = str(uuid.uuid4()), str(uuid.uuid4())
        body = tsum(other, task_id=id, link_error=[fail(on=one, task_id=errback)])
        client.canvas(chord(fail("no", on=one), add(1, 2, on=other), body=body))
        assert client.outcome(errback) == Outcome.failed("FAILURE", "ValueError", [id])

    def test_two_chords_at_once_keep_their_parts_apart(self, client, one, other):
        ids = [
            client.canvas(chord(*[add(part, base, on=(one, other)[part % 2]) for part in range(5)], body=tsum(one)))
            for base in range(0, 1000, 100)
        ]
        assert [client.outcome(id).value for id in ids] == [10 + 5 * base for base in range(0, 1000, 100)]


class TestManyItems:
    def test_a_map_is_one_task_for_all_items(self, client, one):
        described = {"kind": "map", "tasks": [tsum(one)], "items": [[1, 2], [3, 4]], "options": {"queue": one.queue}}
        assert outcome(client, described).value == [3, 7]

    def test_a_starmap_spreads_each_item(self, client, one):
        described = {"kind": "starmap", "tasks": [add(on=one)], "items": [[1, 2], [3, 4]], "options": {"queue": one.queue}}
        assert outcome(client, described).value == [3, 7]

    def test_chunks_are_a_group_of_starmaps(self, client, one):
        items = [[number, number] for number in range(5)]
        described = {"kind": "chunks", "tasks": [add(on=one)], "items": items, "size": 2, "options": {"queue": one.queue}}
        assert outcome(client, described).value == [[0, 2], [4, 6], [8]]
