"""Session data and cookies made outside any server: well signed, of any content and any age."""

import json
import time
from unittest import mock

from django.conf import settings
from django.core import signing

from servers import SECRET_KEY

settings.configure(SECRET_KEY=SECRET_KEY, USE_TZ=True)

STORED = "django.contrib.sessions.SessionStore"
COOKIE = "django.contrib.sessions.backends.signed_cookies"


def signed(payload, *, salt=STORED, key=SECRET_KEY, compress=False, age=0):
    """`payload` as signing.dumps would give it `age` seconds ago: bytes as they are, anything else as JSON."""

    class AsItIs:
        def dumps(self, value):
            return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode("latin-1")

    with mock.patch("time.time", return_value=time.time() - age):
        return signing.dumps(payload, key=key, salt=salt, serializer=AsItIs, compress=compress)


def unsigned(text, *, salt=STORED, key=SECRET_KEY):
    """What stands in signed session data; raises where the signature is wrong."""
    return signing.loads(text, key=key, salt=salt, fallback_keys=[])
