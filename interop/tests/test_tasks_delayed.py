"""Native delayed delivery: a task whose time has not come waits in RabbitMQ, whoever sent it and whoever runs it."""

import secrets
import time

import pytest
from kombu import Connection

import celerys
import services
from celerys import Outcome, Pair

COUNTDOWN = 3


class DelayedPlace(celerys.Place):
    """The default queue is a quorum queue behind a topic exchange, as Celery wants it for this."""

    def urls(self):
        return super().urls() | {
            "CELERY_TASK_DEFAULT_QUEUE": f"delayed-{secrets.token_hex(3)}",
            "CELERY_TASK_DEFAULT_QUEUE_TYPE": "quorum",
            "CELERY_TASK_DEFAULT_EXCHANGE_TYPE": "topic",
        }


@pytest.fixture(params=celerys.pairs(), ids="-to-".join)
def pair(request, tmp_path):
    client, worker = request.param
    place = DelayedPlace("amqp+rpc", tmp_path)
    try:
        place.workers[worker] = place.start_worker(worker, place.settings["CELERY_TASK_DEFAULT_QUEUE"])
        yield Pair(place.client(client), place.workers[worker])
    finally:
        place.close()


def waiting():
    """How many messages wait in the levels of so few seconds."""
    with Connection(services.url("rabbitmq")) as connection, connection.channel() as channel:
        return sum(channel.queue_declare(f"celery_delayed_{level}", passive=True).message_count for level in (0, 1))


def test_a_task_with_a_countdown_waits_in_the_broker(pair):
    # Whoever comes first declares the queues, and the worker binds its own behind them.
    assert pair.run("probe.add", 1, 2) == Outcome("SUCCESS", 3)
    before = waiting()
    sent = time.monotonic()
    task = pair.send("probe.add", 3, 4, countdown=COUNTDOWN)
    celerys.until(lambda: waiting() > before, "it waits in the broker", place=pair.place)
    assert pair.outcome(task) == Outcome("SUCCESS", 7)
    # Whole seconds are counted, and the first of them has begun.
    assert time.monotonic() - sent > COUNTDOWN - 1.5
