"""Writes fixtures.json: reset tokens, session hashes and base 36 and 64, as Django makes them.

Needs django:

    python fixtures.py
"""

import datetime
import json
import os
import pathlib
import time
import types

import django
from django.conf import settings

KEYS = ["secret", "ключ"]
USERS = [
    {"id": 1, "password": "pbkdf2_sha256$3$salt$hash", "last_login": None, "email": ""},
    {"id": 42, "password": "", "last_login": "2026-03-29T01:30:00.123456+00:00", "email": "jane@example.com"},
    {"id": "9f1c", "password": "!unusable", "last_login": "2026-10-25T00:30:59.999999+00:00", "email": None},
    {"id": 7, "password": "md5$é$x", "last_login": "1999-12-31T23:59:59+00:00", "email": "한국@example.com"},
]
NOW = [
    "2026-11-26T08:59:00+00:00",
    "2026-07-01T23:59:59.999999+00:00",
    "2026-10-25T01:30:00+00:00",
    "2069-01-01T00:00:00+00:00",
]

settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"])
django.setup()

from django.contrib.auth.base_user import AbstractBaseUser  # noqa: E402
from django.contrib.auth.tokens import PasswordResetTokenGenerator  # noqa: E402
from django.utils.http import int_to_base36, urlsafe_base64_encode  # noqa: E402


def as_loaded(user, use_tz):
    """The user as Django loads it from a database."""
    last_login = user["last_login"] and datetime.datetime.fromisoformat(user["last_login"])
    if last_login and not use_tz:
        last_login = last_login.astimezone().replace(tzinfo=None)
    return types.SimpleNamespace(
        pk=user["id"], password=user["password"], last_login=last_login, email=user["email"],
        get_email_field_name=lambda: "email",
    )


def tokens():
    for zone in ["UTC", "Asia/Seoul", "Europe/Berlin"]:
        # What Django does with TIME_ZONE (django/conf/__init__.py).
        os.environ["TZ"] = zone
        time.tzset()
        for use_tz in [True, False]:
            for key in KEYS:
                for user in USERS:
                    for now in NOW:
                        generator = PasswordResetTokenGenerator()
                        generator.secret = key
                        local = datetime.datetime.fromisoformat(now).astimezone().replace(tzinfo=None)
                        generator._now = lambda local=local: local
                        yield {
                            "zone": zone, "use_tz": use_tz, "key": key, "now": now,
                            "user": {**user, "id": str(user["id"])},
                            "made": generator.make_token(as_loaded(user, use_tz)),
                        }


def session_hash(password, key):
    return AbstractBaseUser._get_session_auth_hash(types.SimpleNamespace(password=password), secret=key)


numbers = [0, 9, 10, 35, 36, 123456789, 2**63, 2**64 - 1]
texts = ["", "1", "42", "한국", "\0\xff?>~", "9f1c-ab"]
fixtures = {
    "reset": list(tokens()),
    "session_hashes": [
        {"password": user["password"], "key": key, "hash": session_hash(user["password"], key)}
        for user in USERS
        for key in KEYS
    ],
    "base36": [[str(number), int_to_base36(number)] for number in numbers],
    "base64": [[text, urlsafe_base64_encode(text.encode())] for text in texts],
}
path = pathlib.Path(__file__).with_name("fixtures.json")
path.write_text(json.dumps(fixtures, indent=1) + "\n")
