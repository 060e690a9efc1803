"""A client of whatever Celery runs it: each line of its input is a request in JSON, each line of its output the answer.

`{"call": name, "serial": number, …}` is answered `{"ok": value, "serial": number}` or `{"error": text, …}`. Values are kombu's JSON, so dates and bytes pass.
"""

import sys
import traceback

from celery.exceptions import TimeoutError as NotYet
from celery.result import GroupResult
from kombu.utils.json import dumps, loads

from . import app, described

POLL_SECONDS = 0.02
RESULTS = {}


def send(name, args=(), kwargs=None, options=None):
    """By its name alone, as a service does that has not the task's code."""
    return keep(app.send_task(name, args, kwargs, **described.linked(options or {})))["id"]


def canvas(described_as):
    return keep(described.send(described_as))


def keep(result):
    """Its id, those of its parents, and those of its children, if it is a group."""
    RESULTS[result.id] = result
    told = {"id": result.id, "parent": None, "children": None}
    if isinstance(result, GroupResult):
        told["children"] = [keep(child) for child in result.results]
    if getattr(result, "parent", None) is not None:
        told["parent"] = keep(result.parent)
    return told


def result_of(id):
    return RESULTS.get(id) or app.AsyncResult(id)


def get(id, timeout=20):
    """What `.get()` returns or raises."""
    try:
        value = result_of(id).get(timeout=timeout, interval=POLL_SECONDS, disable_sync_subtasks=False)
    except NotYet:
        raise
    except Exception as error:
        kind = type(error)
        return {"raised": kind.__name__, "module": kind.__module__, "args": list(error.args), "text": str(error)}
    return {"value": value}


def state(id):
    return result_of(id).state


def meta(id):
    """What the backend has, but for exceptions and children, which it has rebuilt."""
    meta = app.backend.get_task_meta(id)
    return {name: value for name, value in meta.items() if name != "children" and not isinstance(value, Exception)}


def children(id):
    return [keep(child) for child in result_of(id).children or []]


def forget(id):
    result_of(id).forget()


def inspect(command, destination=None, timeout=3.0, arguments=None):
    inspector = app.control.inspect(destination=destination, timeout=timeout)
    return getattr(inspector, command)(**(arguments or {}))


def control(command, destination=None, timeout=3.0, arguments=None, reply=True):
    return app.control.broadcast(
        command, arguments=arguments or {}, destination=destination, reply=reply, timeout=timeout, limit=len(destination or ()) or None
    )


def revoke(id, **options):
    app.control.revoke(id, **options)


CALLS = {call.__name__: call for call in (send, canvas, get, state, meta, children, forget, inspect, control, revoke)}


def main():
    answers = sys.stdout
    # Nothing that prints may come between.
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = loads(line)
        serial = request.pop("serial")
        try:
            answer = {"ok": CALLS[request.pop("call")](**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(dumps(answer | {"serial": serial}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
