"""A browser, reduced to its session cookie."""

import json
from http.cookies import SimpleCookie

import requests

TIMEOUT_SECONDS = 60


class Answer:
    """A response, with what the tests ask of it."""

    def __init__(self, response):
        self.status = response.status_code
        self.text = response.text
        self.headers = response.headers
        # requests joins several Set-Cookie headers into one.
        self.set_cookies = response.raw.headers.getlist("Set-Cookie")

    @property
    def json(self):
        assert self.status < 500, self
        return json.loads(self.text)

    @property
    def results(self):
        assert self.status < 400, f"{self.status}: {self.text}"
        return json.loads(self.text)["results"]

    @property
    def values(self):
        """Each result's value; an error stands as `KeyError`."""
        return [result.get("ok", result.get("error")) for result in self.results]

    def __repr__(self):
        return f"<{self.status} {self.text[:400]!r} {self.set_cookies}>"


def send(server, method, path, *, cookie=None, body=None, headers=None):
    """One request; `cookie` is the whole Cookie header."""
    sent = dict(headers or {})
    if cookie is not None:
        sent["Cookie"] = cookie.encode("utf-8") if isinstance(cookie, str) else cookie
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        sent.setdefault("Content-Type", "application/json")
    return Answer(
        requests.request(
            method,
            server.url + path,
            headers=sent,
            data=body.encode() if isinstance(body, str) else body,
            allow_redirects=False,
            timeout=TIMEOUT_SECONDS,
        )
    )


class Visitor:
    """Keeps the session cookie from answer to answer, whichever server gives it."""

    def __init__(self, value=None, name="sessionid"):
        self.value = value
        self.name = name

    @property
    def cookie(self):
        return None if self.value is None else f"{self.name}={self.value}"

    def request(self, server, method, path, **keywords):
        keywords.setdefault("cookie", self.cookie)
        answer = send(server, method, path, **keywords)
        for header in answer.set_cookies:
            morsel = SimpleCookie(header).get(self.name)
            if morsel is not None:
                deleted = morsel.value == "" or morsel["max-age"] == "0"
                self.value = None if deleted else morsel.value
        return answer

    def ops(self, server, *operations, **keywords):
        return self.request(server, "POST", "/ops", body=list(operations), **keywords)


def get(key, **more):
    return {"op": "get", "key": key, **more}


def put(key, value):
    return {"op": "set", "key": key, "value": value}


def op(name, **fields):
    return {"op": name, **fields}


ITEMS = {"op": "items"}
