"""Celery's side of `benches/tasks`: the task, and a publisher that is timed without its start."""

import os
import sys

from celery import Celery

app = Celery("benches", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ.get("CELERY_RESULT_BACKEND"))
# As Quintette publishes, and as fast as Celery consumes.
app.conf.broker_transport_options = {"confirm_publish": True} if app.conf.broker_url.startswith("amqp") else {}
app.conf.worker_prefetch_multiplier = int(os.environ.get("PREFETCH_MULTIPLIER", "4"))
app.conf.broker_connection_retry_on_startup = True


@app.task(name="benches.noop")
def noop():
    pass


def enqueue(count):
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(count):
        noop.delay()
    print("done", flush=True)


if __name__ == "__main__":
    enqueue(int(sys.argv[1]))
