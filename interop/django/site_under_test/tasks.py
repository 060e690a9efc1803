"""`/tasks/*`: tasks sent with Celery, their results, and canvases of them."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from .requests_in_json import Refused, body_of, refusing

# RPC answers the thread that sent a task, and each request here has a thread of its own.
CELERY = ThreadPoolExecutor(max_workers=1)

# A store knows a group by its tasks alone, and RPC tells each result once.
RESULTS = {}


@cache
def celery_side():
    # Not every Django of these tests has a Celery beside it.
    sys.path.append(str(Path(__file__).resolve().parents[2] / "celery"))
    from tasks_under_test import app, described

    return app, described


@csrf_exempt
@require_POST
@refusing
def send(request):
    body = body_of(request, dict)

    if not isinstance(body.get("name"), str):
        raise Refused("name is missing")

    def now():
        app, described = celery_side()
        options = described.linked(body.get("options", {}))
        return kept(app.send_task(body["name"], body.get("args", []), body.get("kwargs", {}), **options))

    return JsonResponse({"id": CELERY.submit(now).result()})


@csrf_exempt
@require_POST
@refusing
def send_canvas(request):
    body = body_of(request, dict)

    def now():
        _, described = celery_side()
        try:
            sent = described.send(body)
        except described.Unknown as problem:
            raise Refused(str(problem)) from None
        return kept(sent)

    return JsonResponse({"id": CELERY.submit(now).result()})


def kept(sent):
    RESULTS[sent.id] = sent
    return sent.id


@require_GET
def result(request, id):
    def now():
        app, _ = celery_side()
        return state_of(RESULTS.setdefault(id, app.AsyncResult(id)))

    state, value = CELERY.submit(now).result()
    return JsonResponse({"state": state, "result": value})


def state_of(sent):
    from celery.exceptions import TimeoutError as NotYet
    from celery.states import READY_STATES

    try:
        # Not a look at its state: once a group waits for results by RPC, they come to those who wait with it.
        value = sent.get(timeout=0.02, interval=0.01, propagate=False, disable_sync_subtasks=False)
    except NotYet:
        # It may have become ready since: then it is told next time, with its value.
        state = getattr(sent, "state", "PENDING")
        return "PENDING" if state in READY_STATES else state, None
    if isinstance(value, BaseException):
        kind = type(value)
        value = {"exc_type": kind.__name__, "exc_message": list(value.args), "exc_module": kind.__module__}
    return getattr(sent, "state", "SUCCESS"), value


urlpatterns = [
    path("tasks/send", send),
    path("tasks/canvas", send_canvas),
    path("tasks/result/<str:id>", result),
]
