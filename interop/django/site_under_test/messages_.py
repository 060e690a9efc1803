"""`/messages/*`: django.contrib.messages over HTTP."""

from django.contrib import messages
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from .requests_in_json import Refused, body_of, refusing

FIELDS = {"level": int, "message": str, "extra_tags": str}


def check(message):
    if not isinstance(message, dict):
        raise Refused("a message is no JSON object")
    for name, kind in FIELDS.items():
        if name not in message and name != "extra_tags":
            raise Refused(f"{name} is missing")
        if name in message and (not isinstance(message[name], kind) or isinstance(message[name], bool)):
            raise Refused(f"{name} is of the wrong type")


@csrf_exempt
@require_POST
@refusing
def add(request):
    added = body_of(request, list)
    for message in added:
        check(message)
    for message in added:
        messages.add_message(request, message["level"], message["message"], extra_tags=message.get("extra_tags", ""))
    return JsonResponse({})


@require_GET
def show(request):
    shown = [
        {"level": message.level, "level_tag": message.level_tag, "tags": message.tags, "message": message.message}
        for message in messages.get_messages(request)
    ]
    return JsonResponse({"messages": shown})


@require_GET
def ignore(request):
    return JsonResponse({})


urlpatterns = [path("messages/add", add), path("messages/list", show), path("messages/ignore", ignore)]
