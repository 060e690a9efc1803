"""An answer, with what may differ between two servers taken out: new keys get labels, times their distance from now."""

import json
import re
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from django.core import signing

import forging

KEY = re.compile(r"[a-z0-9]{32}")
SECRET = re.compile(r"[a-zA-Z0-9]{32}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+\d\d:\d\d)?")
NEAR_SECONDS = 10


class Masking:
    """One conversation with one server: the same key always gets the same label."""

    def __init__(self, engine, *, approximate=False, moment=None, csrf_cookie="csrftoken"):
        self.engine = engine
        self.csrf_cookie = csrf_cookie
        self.approximate = approximate
        self.moment = moment and datetime.fromisoformat(moment).timestamp()
        self.labels = {}

    def sent(self, value):
        """A value that this side was sent; it stands as it is, so that adopting it is seen."""
        self.labels.setdefault(value, value)

    def key(self, value):
        if value is None or value in self.labels:
            return self.labels.get(value)
        if self.engine == "signed_cookies":
            try:
                # The timestamp is the one thing that two right answers may differ in.
                return "signed " + self.strict(forging.unsigned(value, salt=forging.COOKIE))
            except signing.BadSignature:
                return value
        if KEY.fullmatch(value):
            self.labels[value] = f"key {len(self.labels)}"
        return self.labels.get(value, value)

    def secret(self, value):
        """A secret against cross-site requests, which each side draws for itself."""
        if value not in self.labels and SECRET.fullmatch(value):
            self.labels[value] = f"secret {len(self.labels)}"
        return self.labels.get(value, value)

    def seconds(self, number):
        if self.moment and abs(time.time() + number - self.moment) < NEAR_SECONDS:
            return "until the moment"
        return round(number / 20) * 20 if self.approximate else number

    def time(self, text):
        if not self.approximate:
            return text
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return f"{re.sub('[0-9]', '0', text)} in {self.seconds(moment.timestamp() - time.time())} s"

    def strict(self, value):
        """JSON text in which 5 is not 5.0, order counts, and times that may differ are masked."""
        return json.dumps(self.masked(value), ensure_ascii=False)

    def masked(self, value):
        if isinstance(value, dict):
            return {name: self.masked(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.masked(part) for part in value]
        if isinstance(value, str) and ISO.fullmatch(value):
            return self.time(value)
        if isinstance(value, float) and abs(value - time.time()) < 60:
            return "now, as a float"
        return value

    def set_cookie(self, header):
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        max_age = next((int(a.partition("=")[2]) for a in attributes if a.lower().startswith("max-age=")), None)
        shown = []
        for attribute in attributes:
            kind, _, text = attribute.partition("=")
            if kind.lower() == "max-age":
                attribute = f"{kind}={self.seconds(max_age)}"
            elif kind.lower() == "expires" and not text.startswith("Thu, 01 Jan 1970"):
                ahead = parsedate_to_datetime(text).timestamp() - time.time()
                agrees = max_age is not None and abs(ahead - max_age) < NEAR_SECONDS
                attribute = f"{kind}={'now + max-age' if agrees else text}"
            shown.append(attribute)
        mask = self.secret if name == self.csrf_cookie else self.key
        return "; ".join([f"{name}={value and mask(value.strip(chr(34)))}", *shown])

    def results(self, results, operations):
        shown = []
        for result, operation in zip(results, operations, strict=True):
            if "ok" in result and operation["op"] == "key":
                result = {"ok": self.key(result["ok"])}
            elif "ok" in result and operation["op"] == "expiry_age":
                result = {"ok": self.seconds(result["ok"])}
            shown.append(self.strict(result))
        return shown

    def answer(self, answer, operations=None):
        """The answer as a dictionary that can be compared."""
        try:
            body = json.loads(answer.text)
        except ValueError:
            body = answer.text
        if isinstance(body, dict) and "results" in body and operations is not None:
            body = self.results(body["results"], operations)
        elif answer.status >= 400 and operations is not None:
            # Error pages are each framework's own.
            body = "refused"
        return {
            "status": answer.status,
            "body": body,
            "Set-Cookie": [self.set_cookie(header) for header in answer.set_cookies],
            "Vary": answer.headers.get("Vary"),
            "Location": answer.headers.get("Location"),
        }
