"""Writes fixtures.json: what Celery 5.7 sends first for some canvases, on a broker in memory.

Run it with a Python that has Celery 5.7 installed:

    python fixtures.py > fixtures.json
"""

import base64
import json
import sys

from celery import Celery, chain, chord, group
from celery.backends.base import BaseBackend
from celery.canvas import chunks, xmap, xstarmap
from kombu.utils.json import dumps


class Unlocking(BaseBackend):
    """Keeps nothing, and has chords counted by celery.chord_unlock."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Counting(Unlocking):
    """Counts chords by itself, as Redis does."""

    sizes = {}

    def set_chord_size(self, group_id, size):
        self.sizes[group_id] = size

    def apply_chord(self, header_result_args, body, **kwargs):
        pass


class Memory:
    """Sends a canvas and returns the messages."""

    def __init__(self, backend):
        self.app = Celery("shop", broker="memory://", set_as_current=True)
        self.app.conf.task_create_missing_queues = True
        self.app.backend_cls = backend
        self.app._local.backend = backend(self.app)
        self.app._backend_cache = self.app._local.backend
        self.sent = []
        app = self.app

        for name, parameters in {"add": "x, y", "mul": "x, y", "tsum": "numbers", "echo": "*args, **kwargs"}.items():
            scope = {"__name__": "shop"}
            exec(f"def {name}({parameters}): pass", scope)
            app.task(name=f"shop.{name}", shared=False)(scope[name])
        app.finalize()
        send = app.amqp.send_task_message
        sent = self.sent

        class Producer:
            """Keeps what would be published."""

            def publish(self, body, exchange, routing_key, declare, headers, **properties):
                sent.append({
                    "headers": headers,
                    "body": body,
                    "exchange": exchange,
                    "routing_key": routing_key,
                    "queue": declare[0].name,
                    "priority": properties.get("priority"),
                    "correlation_id": properties["correlation_id"],
                    "reply_to": properties["reply_to"],
                })

        def record(producer, *args, **kwargs):
            return send(Producer(), *args, **kwargs)

        app.amqp.__dict__["send_task_message"] = record

    def __getattr__(self, name):
        return self.app.tasks[f"shop.{name}"]


def canvases(m):
    add, mul, tsum, echo = m.add, m.mul, m.tsum, m.echo
    immutable = add.si(7, 8)
    linked = add.s(1, 2)
    linked.link(mul.s(3))
    linked.link(echo.si("linked"))
    linked.link_error(echo.s("failed"))
    chained = chain(add.s(1, 2), mul.s(3))
    chained.link(echo.s())
    chained.link_error(echo.s("errback"))
    grouped = group(add.s(1, 1), add.s(2, 2))
    grouped.link(echo.s("first"))
    grouped.link_error(echo.s("each"))
    chorded = chord([add.s(1, 1), add.s(2, 2)], tsum.s())
    chorded.link(echo.s("after"))
    chorded.link_error(echo.s("chord failed"))
    stamped = add.s(1, 2)
    stamped.stamp(shop="south")
    return {
        "task": add.s(2, 3),
        "task_kwargs": echo.s(1, [2.5, None], name="\u00e9", deep={"a": [True]}),
        "options": add.s(2, 3).set(
            queue="slow", priority=7, shadow="plus", time_limit=5.5, soft_time_limit=4, ignore_result=True,
            headers={"tenant": "a"}, task_id="given", root_id="root", parent_id="parent", group_id="g", group_index=3,
        ),
        "eta": add.s(2, 3).set(eta="2030-01-31T08:30:00+00:00", expires="2031-01-31T08:30:00+00:00"),
        "exchange": add.s(2, 3).set(exchange="x", routing_key="k"),
        "key_alone": add.s(2, 3).set(queue="slow", routing_key="k"),
        "topic": add.s(2, 3).set(exchange="x", exchange_type="topic", routing_key="a.b"),
        "stamped": stamped,
        "link": linked,
        "chain": chain(add.s(1, 2), mul.s(3), immutable, tsum.s()),
        "chain_of_one": chain([add.s(1, 2)]),
        "chain_linked": chained,
        "chain_in_chain": chain(add.s(1, 2), chain(mul.s(3), mul.s(4)), echo.s()),
        "chain_options": chain(add.s(1, 2), mul.s(3)).set(queue="slow", priority=3, countdown=0),
        "group": group(add.s(1, 1), mul.s(2, 2), immutable),
        "group_of_one": group(add.s(1, 1)),
        "group_empty": group(),
        "group_linked": grouped,
        "group_of_chains": group(chain(add.s(1, 1), mul.s(2)), add.s(5, 5), chain(add.s(1, 1), mul.s(2), mul.s(3))),
        "group_options": group(add.s(1, 1), add.s(2, 2)).set(queue="slow"),
        "chord": chord([add.s(1, 1), add.s(2, 2), immutable], tsum.s()),
        "chord_linked": chorded,
        "chord_empty": chord([], tsum.s()),
        "chord_immutable": chord([add.s(1, 1), add.s(2, 2)], echo.si("done")),
        "chord_options": chord([add.s(1, 1), add.s(2, 2)], tsum.s().set(queue="slow", priority=5)),
        "chord_of_chains": chord([chain(add.s(1, 1), mul.s(2)), add.s(2, 2)], tsum.s()),
        "chord_body_chain": chord([add.s(1, 1), add.s(2, 2)], chain(tsum.s(), mul.s(3), echo.s())),
        "chord_body_group": chord([add.s(1, 1), add.s(2, 2)], group(echo.s(1), echo.s(2))),
        "chord_in_chord": chord([chord([add.s(1, 1), add.s(2, 2)], tsum.s()), add.s(3, 3)], tsum.s()),
        "group_then_task": group(add.s(1, 1), add.s(2, 2)) | tsum.s(),
        "task_group_task": chain(add.s(1, 2), group(add.s(1), mul.s(2)), tsum.s()),
        "task_group_task_task": chain(add.s(1, 2), group(add.s(1), mul.s(2)), tsum.s(), mul.s(2), echo.s()),
        "task_group": chain(add.s(1, 2), group(add.s(1), mul.s(2))),
        "two_chords": chain(add.s(1, 2), group(add.s(1), mul.s(2)), tsum.s(), group(add.s(1), mul.s(3)), tsum.s()),
        "group_group": chain(group(add.s(1, 1), add.s(2, 2)), group(echo.s(1), echo.s(2)), tsum.s()),
        "chord_then_group": chord([add.s(1, 1), add.s(2, 2)], tsum.s()) | group(echo.s(1), echo.s(2)),
        "chain_empty_group": chain(add.s(1, 2), group(), mul.s(3)),
        "chain_group_of_one": chain(add.s(1, 2), group(mul.s(3)), tsum.s()),
        "map": xmap(add.s(), [1, 2, 3]),
        "starmap": xstarmap(add.s(), [[1, 2], [3, 4]]),
        "chunks": chunks(add.s(), [[1, 1], [2, 2], [3, 3]], 2),
        "map_in_chain": chain(add.s(1, 2), xmap(add.s(), [1, 2]), tsum.s()),
    }


def result(value):
    return None if value is None else value.as_tuple()


def main():
    out = {}
    for kind, backend in {"counting": Counting, "unlocking": Unlocking}.items():
        for name in canvases(Memory(backend)):
            m = Memory(backend)
            Counting.sizes = {}
            canvas = canvases(m)[name]
            written = json.loads(dumps(canvas if not hasattr(canvas, "group") or canvas.task != "celery.chunks" else canvas.group()))
            tree = result(canvas.apply_async())
            if kind == "unlocking" and not any(s["headers"]["task"] == "celery.chord_unlock" for s in m.sent):
                continue
            entry = {"signature": written, "sent": m.sent, "result": tree}
            if kind == "counting":
                entry["sizes"] = Counting.sizes
            out[f"{name}/{kind}"] = json.loads(dumps(entry))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in out.items())
    sys.stdout.write("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
