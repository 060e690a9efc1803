"""`POST /ops`: a sequence of operations on the request's session, each a call or two of Django's."""

import datetime
import time

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .requests_in_json import Refused, body_of, refusing


def anything(value):
    return True


def text(value):
    return isinstance(value, str)


def integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def duration(value):
    return integer(value) and value >= 0


def mapping(value):
    return isinstance(value, dict)


def response_status(value):
    return integer(value) and 200 <= value <= 599


def expiry(value):
    if value is None or integer(value):
        return True
    if not isinstance(value, dict) or len(value) != 1:
        return False
    if "in" in value:
        return integer(value["in"])
    try:
        datetime.datetime.fromisoformat(value["at"])
    except (KeyError, TypeError, ValueError):
        return False
    return True


def pop(session, operation):
    if "default" in operation:
        return session.pop(operation["key"], operation["default"])
    return session.pop(operation["key"])


def save(session, operation):
    try:
        session.save()
    except UpdateError as error:
        raise SessionInterrupted("deleted by another request") from error


def set_expiry(session, operation):
    value = operation["value"]
    if isinstance(value, dict):
        if "in" in value:
            value = datetime.timedelta(seconds=value["in"])
        else:
            value = datetime.datetime.fromisoformat(value["at"])
    session.set_expiry(value)


def increment(session, operation):
    session[operation["key"]] = value = session.get(operation["key"], 0) + operation["by"]
    return value


# Each operation: its required fields with what they must be, and what it does.
OPERATIONS = {
    "get": ({"key": text}, lambda s, op: s.get(op["key"], op.get("default"))),
    "set": ({"key": text, "value": anything}, lambda s, op: s.__setitem__(op["key"], op["value"])),
    "del": ({"key": text}, lambda s, op: s.__delitem__(op["key"])),
    "pop": ({"key": text}, pop),
    "setdefault": ({"key": text, "value": anything}, lambda s, op: s.setdefault(op["key"], op["value"])),
    "update": ({"values": mapping}, lambda s, op: s.update(op["values"])),
    "has": ({"key": text}, lambda s, op: op["key"] in s),
    "keys": ({}, lambda s, op: list(s.keys())),
    "values": ({}, lambda s, op: list(s.values())),
    "items": ({}, lambda s, op: [list(item) for item in s.items()]),
    "clear": ({}, lambda s, op: s.clear()),
    "flush": ({}, lambda s, op: s.flush()),
    "cycle_key": ({}, lambda s, op: s.cycle_key()),
    "save": ({}, save),
    "is_empty": ({}, lambda s, op: s.is_empty()),
    "key": ({}, lambda s, op: s.session_key),
    "accessed": ({}, lambda s, op: s.accessed),
    "modified": ({}, lambda s, op: s.modified),
    "set_expiry": ({"value": expiry}, set_expiry),
    "expiry_age": ({}, lambda s, op: s.get_expiry_age()),
    "expires_at_browser_close": ({}, lambda s, op: s.get_expire_at_browser_close()),
    "set_test_cookie": ({}, lambda s, op: s.set_test_cookie()),
    "test_cookie_worked": ({}, lambda s, op: s.test_cookie_worked()),
    "delete_test_cookie": ({}, lambda s, op: s.delete_test_cookie()),
    "incr": ({"key": text, "by": integer}, increment),
    "sleep": ({"ms": duration}, lambda s, op: time.sleep(op["ms"] / 1000)),
    "respond": ({"status": response_status}, lambda s, op: None),
}


def check(operation):
    if not isinstance(operation, dict):
        raise Refused("an operation is no JSON object")
    name = operation.get("op")
    if not isinstance(name, str) or name not in OPERATIONS:
        raise Refused(f"unknown operation {name!r}")
    fields, _ = OPERATIONS[name]
    for field, fits in fields.items():
        if field not in operation:
            raise Refused(f"{name}: {field} is missing")
        if not fits(operation[field]):
            raise Refused(f"{name}: {field} is of the wrong type")


def result_of(session, operation):
    _, run = OPERATIONS[operation["op"]]
    try:
        return {"ok": run(session, operation)}
    except KeyError:
        return {"error": "KeyError"}


@csrf_exempt
@require_POST
@refusing
def operate(request):
    operations = body_of(request, list)
    for operation in operations:
        check(operation)
    results = [result_of(request.session, operation) for operation in operations]
    status = next((op["status"] for op in reversed(operations) if op["op"] == "respond"), 200)
    return JsonResponse({"results": results}, status=status)


urlpatterns = [path("ops", operate)]
