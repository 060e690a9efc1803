"""Tasks over every broker and store of results, from Python to Rust and from Rust to Python, with each of Celery's options."""

import datetime
import decimal
import time
import uuid

import pytest

from celerys import Outcome, task, until

VALUES = {
    "nothing": None,
    "text": "소금 🧂 \x00 \\u0000 <&> '\"",
    "whole numbers": [0, -1, 2**31, 2**53 + 1, 2**70, -(2**63)],
    "fractions": [0.1, -0.0, 1e300, 5e-324, 1.0],
    "truth": [True, False],
    "nested": {"a": [{"b": [[], {}, [None]]}], "": {"z": 1, "a": 2}},
    "long": "x" * 300_000,
    "many": list(range(5_000)),
}

# What JSON cannot hold and kombu writes in a way of its own.
PYTHON_VALUES = {
    "datetime": datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=datetime.UTC),
    "date": datetime.date(2026, 2, 28),
    "time": datetime.time(1, 2, 3),
    "decimal": decimal.Decimal("19.90"),
    "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "bytes": b"caf\xc3\xa9",
    "any bytes": bytes(range(256)),
}

ACCEPTING = ("redis", "amqp+redis")


class TestArgumentsAndResults:
    @pytest.mark.parametrize("name", VALUES)
    def test_a_value_comes_back_as_it_went(self, pair, name):
        value = VALUES[name]
        outcome = pair.run("probe.echo", value, kwargs={"k": value})
        assert outcome.state == "SUCCESS"
        assert repr(outcome.value) == repr([[value], {"k": value}])

    @pytest.mark.parametrize("name", PYTHON_VALUES)
    @pytest.mark.to_the_probe
    def test_a_value_of_pythons_comes_back_as_it_went(self, pair, name):
        assert pair.run("probe.echo", PYTHON_VALUES[name]).value == [[PYTHON_VALUES[name]], {}]

    def test_arguments_are_passed_by_place_and_by_name(self, pair):
        assert pair.run("probe.add", 2, 3).value == 5
        assert pair.run("probe.add", 2, kwargs={"y": 3}).value == 5
        assert pair.run("probe.mul", kwargs={"y": 3, "x": 2.5}).value == 7.5
        assert pair.run("probe.tsum", [1, 2, 3]).value == 6

    def test_a_task_that_returns_nothing_returns_none(self, pair):
        assert pair.run("probe.noop") == Outcome("SUCCESS", None)

    def test_the_id_may_be_the_callers(self, pair):
        id = f"order-{uuid.uuid4()}"
        assert pair.send("probe.add", 1, 1, task_id=id) == id
        assert pair.outcome(id).value == 2

    def test_a_result_is_pending_before_there_is_one(self, pair):
        assert pair.client.state(str(uuid.uuid4())) == "PENDING"


class TestFailures:
    def test_an_exception_is_of_the_class_that_was_raised(self, pair):
        outcome = pair.run("probe.fail", "no such order: 소금")
        assert outcome == Outcome.failed("FAILURE", "ValueError", ["no such order: 소금"])
        assert pair.run("probe.add", 1, 1).value == 2

    @pytest.mark.parametrize(
        "args, kwargs",
        [([1], {}), ([1, 2, 3], {}), ([1, 2], {"z": 3}), ([1, 2], {"x": 1}), ([], {})],
        ids=["too few", "too many", "an unknown name", "a name twice", "none"],
    )
    def test_arguments_that_do_not_fit_are_a_type_error(self, pair, args, kwargs):
        outcome = pair.run("probe.add", *args, kwargs=kwargs)
        assert (outcome.state, outcome.value[0]) == ("FAILURE", "TypeError")

    def test_an_argument_of_another_type_is_a_type_error(self, pair):
        outcome = pair.run("probe.tsum", 5)
        assert (outcome.state, outcome.value[0]) == ("FAILURE", "TypeError")

    def test_a_task_that_nobody_knows_is_not_registered(self, pair):
        outcome = pair.run("probe.unheard_of", 1)
        assert outcome == Outcome.failed("FAILURE", "NotRegistered", ["probe.unheard_of"])


class TestRetries:
    def test_a_task_that_fails_twice_succeeds_with_its_third_try(self, pair):
        assert pair.run("probe.flaky", 2).value == 2

    def test_a_task_is_tried_again_three_times_and_then_fails_with_its_reason(self, pair):
        outcome = pair.run("probe.flaky", 9)
        assert outcome == Outcome.failed("FAILURE", "ConnectionError", ["not yet"])


class TestWhen:
    def test_a_countdown_is_waited_for(self, pair):
        start = time.monotonic()
        assert pair.run("probe.add", 1, 2, countdown=0.5).value == 3
        assert time.monotonic() - start >= 0.5

    def test_an_eta_is_waited_for_in_its_own_time_zone(self, pair):
        start = time.time()
        eta = datetime.datetime.fromtimestamp(start + 0.5, datetime.timezone(datetime.timedelta(hours=9)))
        assert pair.run("probe.add", 1, 2, eta=eta.isoformat()).value == 3
        assert time.time() >= start + 0.5

    def test_a_task_runs_at_once_whose_eta_has_passed(self, pair):
        assert pair.run("probe.add", 1, 2, eta="2020-01-01T00:00:00+00:00").value == 3

    def test_tasks_that_are_held_keep_no_other_back(self, pair):
        held = [pair.send("probe.noop", countdown=60) for _ in range(20)]
        assert pair.run("probe.add", 1, 2).value == 3
        assert pair.client.state(held[0]) == "PENDING"

    def test_a_task_runs_that_expires_later(self, pair):
        assert pair.run("probe.add", 1, 2, expires=60).value == 3

    def test_a_task_that_expires_before_it_is_due_is_revoked(self, pair):
        outcome = pair.run("probe.add", 1, 2, countdown=0.6, expires=0.2)
        assert outcome == Outcome.failed("REVOKED", "TaskRevokedError", ["expired"])

    # RabbitMQ drops what has expired before it reaches a worker.
    @pytest.mark.places("redis", "sqlite", "django-db")
    def test_a_task_that_has_expired_is_revoked(self, pair):
        outcome = pair.run("probe.add", 1, 2, expires="2020-01-01T00:00:00+00:00")
        assert outcome == Outcome.failed("REVOKED", "TaskRevokedError", ["expired"])


@pytest.mark.places("redis", "amqp+rpc")
class TestTimeLimits:
    def test_a_task_is_told_to_end_by_the_soft_limit(self, pair):
        outcome = pair.run("probe.sleep", 60, soft_time_limit=1)
        assert (outcome.state, outcome.value[0]) == ("FAILURE", "SoftTimeLimitExceeded")

    def test_a_task_is_ended_by_the_hard_limit_and_the_worker_goes_on(self, pair):
        outcome = pair.run("probe.sleep", 60, time_limit=1)
        assert (outcome.state, outcome.value[0]) == ("FAILURE", "TimeLimitExceeded")
        assert pair.run("probe.add", 1, 2).value == 3

    def test_limits_are_fractions_of_a_second_too(self, pair):
        assert pair.run("probe.add", 1, 2, time_limit=30.5, soft_time_limit=20.25).value == 3


# Over RPC, the result of a link goes to the worker that called it.
@pytest.mark.places("redis", "amqp+redis", "sqlite", "django-db")
class TestLinks:
    def test_a_link_gets_the_result_as_its_first_argument(self, pair):
        id = str(uuid.uuid4())
        pair.send("probe.add", 1, 2, link=[task("probe.mul", 10, on=pair.worker, task_id=id)])
        assert pair.outcome(id).value == 30

    def test_each_of_several_links_is_called(self, pair):
        ids = [str(uuid.uuid4()) for _ in range(3)]
        links = [task("probe.add", index, on=pair.worker, task_id=id) for index, id in enumerate(ids)]
        pair.send("probe.add", 1, 2, link=links)
        assert [pair.outcome(id).value for id in ids] == [3, 4, 5]

    def test_an_immutable_link_gets_nothing(self, pair):
        id = str(uuid.uuid4())
        pair.send("probe.add", 1, 2, link=[task("probe.mul", 4, 5, on=pair.worker, task_id=id, immutable=True)])
        assert pair.outcome(id).value == 20

    def test_an_errback_that_takes_one_argument_gets_the_id(self, pair):
        id, errback = str(uuid.uuid4()), str(uuid.uuid4())
        link = task("probe.fail", on=pair.worker, task_id=errback)
        pair.send("probe.fail", "no", task_id=id, link_error=[link])
        assert pair.outcome(errback) == Outcome.failed("FAILURE", "ValueError", [id])
        assert pair.outcome(id) == Outcome.failed("FAILURE", "ValueError", ["no"])

    def test_a_task_that_succeeds_calls_no_errback(self, pair):
        errback = str(uuid.uuid4())
        link = task("probe.fail", on=pair.worker, task_id=errback)
        assert pair.run("probe.add", 1, 2, link_error=[link]).value == 3
        assert pair.run("probe.add", 1, 2).value == 3
        assert pair.client.state(errback) == "PENDING"

    def test_what_is_ignored_is_not_kept_but_its_link_is_called(self, pair):
        id = str(uuid.uuid4())
        link = task("probe.mul", 10, on=pair.worker, task_id=id)
        ignored = pair.send("probe.add", 1, 2, ignore_result=True, link=[link])
        assert pair.outcome(id).value == 30
        # Celery 5.5 stores that it has begun.
        assert pair.client.state(ignored) in ("PENDING", "STARTED")


class TestBodies:
    @pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma", "brotli", "zstd"])
    def test_a_compressed_body_is_read(self, pair, compression):
        text = "소금 " * 20_000
        assert pair.run("probe.echo", text, compression=compression).value == [[text], {}]

    @pytest.mark.parametrize("serializer", ["pickle", "yaml", "msgpack"])
    @pytest.mark.places(*ACCEPTING)
    def test_a_body_of_another_serializer_is_read_where_it_is_accepted(self, pair, serializer):
        value = {"a": [1, 2.5, None, "소금", True, 2**40], "b": {}}
        assert pair.run("probe.echo", value, serializer=serializer, kwargs={"k": value}).value == [[value], {"k": value}]


@pytest.mark.places("redis", "django-db")
class TestWhatIsKept:
    """With `result_extended`."""

    def test_a_result_tells_of_its_task(self, pair, reader):
        id = pair.send("probe.echo", 1, kwargs={"k": 2})
        pair.outcome(id)
        meta = reader.call("meta", id=id)
        assert (meta["status"], meta["result"], meta["task_id"]) == ("SUCCESS", [[1], {"k": 2}], id)
        assert meta["task_name" if pair.place.kind == "django-db" else "name"] == "probe.echo"
        assert meta["worker"] == pair.worker.node
        if pair.place.kind == "redis":
            assert (meta["args"], meta["kwargs"], meta["retries"], meta["queue"]) == ([1], {"k": 2}, 0, pair.worker.queue)

    def test_a_failure_has_a_traceback_and_the_moment_it_happened(self, pair, reader):
        id = pair.send("probe.fail", "no")
        pair.outcome(id)
        meta = reader.call("meta", id=id)
        assert "ValueError" in meta["traceback"]
        done = meta["date_done"]
        done = done if isinstance(done, datetime.datetime) else datetime.datetime.fromisoformat(done)
        done = done.replace(tzinfo=done.tzinfo or datetime.UTC)
        assert abs(done.timestamp() - time.time()) < 60

    def test_what_a_task_has_called_are_its_children(self, pair, reader):
        id, child = str(uuid.uuid4()), str(uuid.uuid4())
        pair.send("probe.add", 1, 2, task_id=id, link=[task("probe.mul", 10, on=pair.worker, task_id=child)])
        assert pair.outcome(child).value == 30
        children = until(lambda: reader.call("children", id=id), "the task has a child", place=pair.place)
        assert [told["id"] for told in children] == [child]

    @pytest.fixture
    def reader(self, place):
        """Who looks into the store: a Python that did not send the task."""
        return place.client("5.7")


@pytest.mark.places("redis", "amqp+redis")
class TestPriorities:
    def test_what_is_more_urgent_runs_first(self, place, pair):
        # On Redis a lower number is more urgent, on RabbitMQ a higher one.
        urgent, patient = (0, 9) if place.kind == "redis" else (9, 0)
        name = f"urgent-{pair.worker.version}-{pair.client.version}-{place.token}"
        first = [pair.client.send("probe.add", number, 0, queue=name, priority=patient) for number in range(5)]
        second = [pair.client.send("probe.add", number, 0, queue=name, priority=urgent) for number in range(5)]
        settings = {"CELERY_WORKER_PREFETCH_MULTIPLIER": 1}
        worker = place.start_worker(pair.worker.version, name, "--concurrency", "1", **settings)
        try:
            assert [pair.outcome(id).value for id in first + second] == [*range(5), *range(5)]
        finally:
            worker.stop()
        done = [place.client("5.7").call("meta", id=id)["date_done"] for id in first + second]
        assert max(done[5:]) < min(done[:5])
