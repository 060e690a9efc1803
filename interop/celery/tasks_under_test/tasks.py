"""The tasks of the contract, as `probe.…`; and once more as `py.…`, which the probe knows nothing of."""

import time

from . import app


def add(x, y):
    return x + y


def mul(x, y):
    return x * y


def tsum(numbers):
    return sum(numbers)


def echo(*args, **kwargs):
    return [args, kwargs]


def fail(message):
    raise ValueError(message)


def flaky(self, times):
    if self.request.retries < times:
        # Not 0: another process could have run the retry before this one stores RETRY, over its result.
        raise self.retry(exc=ConnectionError("not yet"), countdown=0.1)
    return self.request.retries


def sleep(seconds):
    time.sleep(seconds)


def noop():
    pass


def request(self):
    """What a task knows of its message."""
    known = "id", "retries", "eta", "expires", "timelimit", "root_id", "parent_id", "group", "shadow", "correlation_id"
    return {name: getattr(self.request, name) for name in known} | {
        "delivery_info": self.request.delivery_info,
        "headers": self.request.headers,
    }


for function in (add, mul, tsum, echo, fail, sleep, noop):
    for module in ("probe", "py"):
        app.task(function, name=f"{module}.{function.__name__}", shared=False)

for module in ("probe", "py"):
    app.task(flaky, name=f"{module}.flaky", bind=True, shared=False)

app.task(request, name="py.request", bind=True, shared=False)
