"""A browser: it keeps every cookie, sends forms, and follows no redirect."""

from urllib.parse import urlencode

from visitor import send

FORM = "application/x-www-form-urlencoded"


class Browser:
    """Cookies go wherever a request goes, so that two servers are one site to it."""

    def __init__(self, **cookies):
        self.cookies = cookies

    @property
    def cookie(self):
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None

    @property
    def session(self):
        return self.cookies.get("sessionid")

    def copy(self):
        """A thief's browser."""
        return Browser(**self.cookies)

    def request(self, server, method, path, *, form=None, headers=None, body=None):
        headers = dict(headers or {})
        if form is not None:
            headers.setdefault("Content-Type", FORM)
            body = urlencode(form)
        answer = send(server, method, path, cookie=self.cookie, body=body, headers=headers)
        for header in answer.set_cookies:
            pair, *attributes = header.split(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in (attribute.strip().lower() for attribute in attributes):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def get(self, server, path, **more):
        return self.request(server, "GET", path, **more)

    def post(self, server, path, form=None, **more):
        return self.request(server, "POST", path, form=form, **more)

    def ops(self, server, *operations):
        return self.post(server, "/ops", body=list(operations))
