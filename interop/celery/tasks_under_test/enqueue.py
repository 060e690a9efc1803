"""`python -m tasks_under_test.enqueue NAME --count N [--queue Q]`: sends tasks without arguments as fast as Celery can."""

import argparse
import time

from . import app


def main():
    arguments = argparse.ArgumentParser(prog="enqueue")
    arguments.add_argument("name")
    arguments.add_argument("--count", type=int, required=True)
    arguments.add_argument("--queue", default=app.conf.task_default_queue)
    given = arguments.parse_args()
    task = app.tasks.get(given.name) or app.signature(given.name)
    start = time.perf_counter()
    with app.producer_or_acquire() as producer:
        for _ in range(given.count):
            task.apply_async(queue=given.queue, producer=producer)
    print(f"{given.count} tasks in {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
