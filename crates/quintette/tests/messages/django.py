"""Writes django.json: what Django's own storages make of messages.

Needs django:

    python django.py > django.json
"""

import json
import random
import sys

# Run as a script, its own directory comes first: this file is not the package of the same name.
sys.path.pop(0)

import django
from django.conf import settings
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.cookie import CookieStorage, MessagePartSerializer
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeData, mark_safe

settings.configure(SECRET_KEY="a secret that is for tests alone", SECRET_KEY_FALLBACKS=[])
django.setup()

LISTS = {
    "one": [Message(20, "Your order was placed.", "")],
    "without tags": [Message(25, "done")],
    "tags": [Message(30, "careful", "tag1 tag2"), Message(40, "oops", "장바구니")],
    "another level": [Message(29, "custom"), Message(-3, "below"), Message(2**62, "above")],
    "safe": [Message(20, mark_safe("<b>Hello Django!</b>"), ""), Message(20, "<b>Hello Django!</b>", "")],
    "characters": [Message(20, "\\te,st;m\"e \u2019 é 한국어 \U0001f375 </script>\r\n\t\x00\x7f", "é")],
    "compressed": [Message(20, "all work and no play " * 40, "")] * 3,
}


def request():
    made = HttpRequest()
    made.session = {}
    return made


def plain(message):
    return {
        "level": message.level,
        "message": message.message,
        "extra_tags": message.extra_tags,
        "safe": isinstance(message.message, SafeData),
    }


def encoded(name, messages):
    cookie = CookieStorage(request())
    return {
        "name": name,
        "messages": [plain(message) for message in messages],
        "cookie": cookie._encode(messages),
        "parts": MessagePartSerializer().dumps(messages),
        "session": SessionStorage(request()).serialize_messages(messages),
    }


def text(length):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(random.choices(alphabet, k=length))


def stored(storage_class, lengths):
    """What is where after messages of these lengths were added."""
    made = request()
    storage = storage_class(made)
    for length in lengths:
        storage.add(20, text(length))
    messages = list(storage._queued_messages)
    response = HttpResponse()
    lost = storage.update(response)
    cookie = response.cookies["messages"].value
    in_cookie = CookieStorage(request())._decode(cookie)
    is_cut = in_cookie[-1] == CookieStorage.not_finished
    return {
        "messages": [message.message for message in messages],
        "cookie": cookie,
        "in_cookie": len(in_cookie) - is_cut,
        "is_cut": is_cut,
        "session": made.session.get("_messages"),
        "lost": len(lost),
    }


random.seed(42)
LENGTHS = [[389] * 5, [2800], [10] * 250, [2800, 10, 10], [10, 10, 2800], [10, 2800, 10], [600] * 4]
signer = CookieStorage(request()).signer
print(
    json.dumps(
        {
            "django": django.__version__,
            "encoded": [encoded(name, messages) for name, messages in LISTS.items()],
            "cookie": [stored(CookieStorage, lengths) for lengths in LENGTHS],
            "fallback": [stored(FallbackStorage, lengths) for lengths in LENGTHS],
            "unusual": {
                "no list": signer.sign_object({"a": 1}),
                "an empty list": signer.sign_object([]),
                "no messages": signer.sign_object(["test", ["__json_message"], ["__json_message", 0, "x", 1], None]),
                "no JSON": signer.sign("bm8"),
                "no base64": signer.sign("!!!"),
                "no zlib stream": signer.sign(".bm8"),
                "a lone surrogate": signer.sign_object([["__json_message", 0, 20, "a\ud800b"]]),
                "finished by nothing": signer.sign_object(["__messagesnotfinished__"]),
            },
        },
        indent=1,
    )
)
