"""Signatures and canvases from the JSON that describes them (contract.md, `POST /tasks/canvas`), so that any client can be asked for them."""

import celery

from . import app


class Unknown(ValueError):
    """What is described is nothing that the contract knows."""


def send(described):
    # As its own options, Celery 5.5 forgets those of a map.
    options = described.get("options", {})
    return signature(described | {"options": {}}).apply_async(**linked(options))


def signature(described):
    """`{"name", "args"?, "kwargs"?, "options"?, "immutable"?}`, or a canvas of such: `{"kind", "tasks", "body"?, "options"?}`."""
    if not isinstance(described, dict):
        raise Unknown("a task is no JSON object")
    if "kind" in described:
        return canvas(described).set(**linked(described.get("options", {})))
    if not isinstance(described.get("name"), str):
        raise Unknown("name is missing")
    return app.signature(
        described["name"],
        args=described.get("args", []),
        kwargs=described.get("kwargs", {}),
        options=linked(described.get("options", {})),
        immutable=described.get("immutable", False),
    )


def linked(options):
    """`link` and `link_error` are lists of signatures, described too."""
    links = {name: [signature(link) for link in options[name]] for name in ("link", "link_error") if name in options}
    return options | links


def canvas(described):
    tasks = described.get("tasks")
    if not isinstance(tasks, list):
        raise Unknown("tasks is missing")
    tasks = [signature(task) for task in tasks]
    match described["kind"]:
        case "chain":
            return celery.chain(*tasks, app=app)
        case "group":
            return celery.group(tasks, app=app)
        case "chord":
            return celery.chord(tasks, signature(described.get("body")), app=app)
        case "map":
            return celery.xmap(*tasks, described["items"], app=app)
        case "starmap":
            return celery.xstarmap(*tasks, described["items"], app=app)
        case "chunks":
            return celery.chunks(*tasks, described["items"], described["size"], app=app).group()
        case other:
            raise Unknown(f"unknown kind {other!r}")
