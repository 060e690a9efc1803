"""What Django's CsrfViewMiddleware makes of some 2,000 requests, for `beside_django.rs`: writes answers.json.

    python3 -m venv venv && venv/bin/pip install "Django==5.2.*" && venv/bin/python answers.py
"""

import itertools
import json
import logging
import pathlib
import random

import django
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.test import RequestFactory, override_settings

SECRET = "lcccccccX2kcccccccY2jcccccccssIC"
MASKED = "1bcdefghij2bcdefghij3bcdefghij4bcdefghij5bcdefghij6bcdefghijABCD"
TOKEN = "2JgchWvM1tpxT2lfz9aydoXW9yT1DN3NdLiejYxOOlzzV4nhBbYqmqZYbAV3V5Bf"
OTHER = "a" * 64

SETTINGS = [
    {"ALLOWED_HOSTS": ["www.example.com"]},
    {
        "ALLOWED_HOSTS": ["*"],
        "CSRF_TRUSTED_ORIGINS": ["https://other.org", "http://plain.org:8000", "https://*.example.net"],
    },
    {"ALLOWED_HOSTS": [".example.com"], "CSRF_COOKIE_DOMAIN": ".Example.com", "CSRF_COOKIE_NAME": "xsrf"},
    {
        "ALLOWED_HOSTS": ["www.example.com"],
        "USE_X_FORWARDED_HOST": True,
        "USE_X_FORWARDED_PORT": True,
        "CSRF_COOKIE_DOMAIN": "www.example.com",
        "CSRF_HEADER_NAME": "HTTP_X_2FA_TOKEN",
    },
    {"ALLOWED_HOSTS": [], "DEBUG": True, "DATA_UPLOAD_MAX_MEMORY_SIZE": 200},
]

METHODS = ["POST"] * 8 + ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "get"]
HOSTS = ["www.example.com"] * 4 + [
    "www.example.com:8443",
    "WWW.example.com.",
    "evil.org",
    "localhost:8000",
    "[::1]",
    "@malformed",
    "www.example.com:x",
]
ORIGINS = [None] * 6 + [
    "http://www.example.com",
    "https://www.example.com",
    "https://www.example.com:8443",
    "http://localhost:8000",
    "http://WWW.example.com.",
    "null",
    "",
    "https://other.org",
    "https://other.org/",
    "http://plain.org:8000",
    "https://a.example.net",
    "https://example.net",
    "https://u@a.example.net",
    "http://a.example.net",
    "https://A.example.net",
    "HTTPS://a.example.net",
    "https://a.example.net:8443",
    "https://evil.org#.example.net",
    "https://[",
    "https://caf\xe9.org",
]
REFERERS = [None] + [
    "https://www.example.com/page?a=b#c",
    "https://www.example.com",
    "HTTPS://www.example.com?#",
    "https://www.example.com:443/",
    "https://www.example.com:8443/",
    "https://sub.example.com/",
    "https://example.com:8443/",
    "https://other.org/x",
    "https://plain.org:8000/",
    "https://a.example.net/",
    "https://aexample.net/",
    "https://www.example.com@evil.org/",
    "https://evil.org/<script>",
    "https://[::1]/",
    "https://[::1",
    "http://www.example.com/",
    "http://http://www.example.com/",
    "//www.example.com/",
    "https:///www.example.com/",
    "https:www.example.com",
    "about:blank",
    "",
    "caf\xe9",
]
COOKIES = [SECRET] * 8 + [MASKED] * 2 + [None, "", "short", "*" * 32, "*" * 64, "x" * 65, OTHER, f'"{SECRET}"', SECRET + "; xsrf=" + MASKED]
HEADERS = [None] * 4 + [TOKEN, SECRET, MASKED, OTHER, "", "short", "*" * 64, "caf\xe9" * 8, "caf\xe9" * 4]
VIEWS = ["plain", "plain", "token", "rotate"]

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="x y"'


def part(value, disposition='form-data; name="csrfmiddlewaretoken"', more=""):
    return f"--x y\r\nContent-Disposition: {disposition}\r\n{more}\r\n{value}\r\n"


END = "--x y--\r\n"
FORMS = [
    (None, ""),
    (URLENCODED, ""),
    (URLENCODED, f"a=b&csrfmiddlewaretoken={TOKEN}"),
    (URLENCODED, f"csrfmiddlewaretoken={SECRET}&a=b"),
    (f"{URLENCODED}; charset=utf-8", f"csrfmiddlewaretoken={TOKEN}"),
    ("Application/X-WWW-Form-URLEncoded", f"csrfmiddlewaretoken={TOKEN}"),
    (URLENCODED, f"csrfmiddlewaretoken={OTHER}"),
    (URLENCODED, "csrfmiddlewaretoken=short"),
    (URLENCODED, f"csrfmiddlewaretoken={'%2A' * 64}"),
    (URLENCODED, f"csrfmiddlewaretoken={'%C3%A9' * 64}"),
    (URLENCODED, f"csrfmiddlewaretoken={'%FF' * 32}"),
    (URLENCODED, "csrfmiddlewaretoken="),
    (URLENCODED, "csrfmiddlewaretoken"),
    (URLENCODED, f"csrf%6Diddlewaretoken=%32{TOKEN[1:]}"),
    (URLENCODED, f"csrfmiddlewaretoken={OTHER}&csrfmiddlewaretoken={TOKEN}"),
    (URLENCODED, f"csrfmiddlewaretoken={TOKEN}&csrfmiddlewaretoken={OTHER}"),
    (URLENCODED, f"csrfmiddlewaretoken={TOKEN}&csrfmiddlewaretoken="),
    (URLENCODED, f"a=b;csrfmiddlewaretoken={TOKEN}"),
    (URLENCODED, f"csrfmiddlewaretoken=+{TOKEN}"),
    (URLENCODED, f"csrfmiddlewaretoken={TOKEN}&a={'b' * 200}"),
    ("application/json", json.dumps({"csrfmiddlewaretoken": TOKEN})),
    ("text/plain", f"csrfmiddlewaretoken={TOKEN}"),
    (MULTIPART, part(TOKEN) + END),
    (MULTIPART, part("b", 'form-data; name="a"') + part(TOKEN) + END),
    (MULTIPART, part("b", 'form-data; name="a"; filename="f"') + part(TOKEN) + END),
    (MULTIPART, part(TOKEN, 'form-data; name="csrfmiddlewaretoken"; filename="f"') + END),
    (MULTIPART, part(TOKEN, 'form-data; name="csrfmiddlewaretoken"; filename=""') + END),
    (MULTIPART, part(TOKEN, "form-data; name=csrfmiddlewaretoken") + END),
    (MULTIPART, part(TOKEN, more="Content-Type: text/plain\r\n") + END),
    (MULTIPART, "preamble\r\n" + part(TOKEN) + END),
    (MULTIPART, part(OTHER) + part(TOKEN) + END),
    (MULTIPART, part(OTHER) + END),
    (MULTIPART, part("") + END),
    (MULTIPART, part("b", 'form-data; name="a"') + END),
    (MULTIPART, END),
    (MULTIPART.replace("x y", "other"), part(TOKEN) + END),
    ("multipart/form-data", part(TOKEN) + END),
    ("multipart/form-data; boundary=", part(TOKEN) + END),
    ("Multipart/Form-Data; charset=utf-8; boundary=x", part(TOKEN).replace("x y", "x") + "--x--"),
    ("multipart/mixed; boundary=x", part(TOKEN).replace("x y", "x") + "--x--"),
]


VALUES = {
    "method": METHODS,
    "secure": [False, False, True],
    "host": HOSTS,
    "origin": ORIGINS,
    "referer": REFERERS,
    "forwarded_host": [None, None, "www.example.com", "evil.org"],
    "forwarded_port": [None, None, "443", "8443"],
    "cookie": COOKIES,
    "header": HEADERS,
    "form": FORMS,
    "view": VIEWS,
}
#: The request that gets through; every value by its place in the list above.
PLAIN = {key: 0 for key in VALUES} | {"form": 2}
SECURE = 2
TOKEN_VIEW = 2


def requests():
    """Each value on its own, then many of them together: what differs from the plain request."""
    for origin, secure in itertools.product(range(len(ORIGINS)), (0, SECURE)):
        yield {"origin": origin, "secure": secure}
    for referer in range(len(REFERERS)):
        yield {"referer": referer, "secure": SECURE}
        yield {"referer": referer, "secure": SECURE, "host": HOSTS.index("www.example.com:8443")}
    for host in range(len(HOSTS)):
        yield {"host": host, "secure": SECURE, "referer": 1}
    for form in range(len(FORMS)):
        yield {"form": form}
        yield {"form": form, "header": HEADERS.index(TOKEN)}
    for cookie, view in itertools.product(range(len(COOKIES)), (0, TOKEN_VIEW)):
        yield {"cookie": cookie, "view": view}
    for header in range(len(HEADERS)):
        yield {"header": header, "form": 0}
    choose = random.Random(4).randrange
    for _ in range(200):
        yield {key: choose(len(values)) for key, values in VALUES.items()}


def failure(request, reason=""):
    return HttpResponse(reason, status=403)


def view_of(name):
    from django.middleware.csrf import get_token, rotate_token

    def view(request):
        if name == "rotate":
            rotate_token(request)
        return HttpResponse(get_token(request) if name == "token" else "ok")

    return view


def answer(places):
    """Status, reason, what the cookie is set to (`new` where it is no secret of the test), and `Vary`."""
    from django.middleware.csrf import CsrfViewMiddleware

    request = {key: VALUES[key][place] for key, place in (PLAIN | places).items()}
    content_type, body = request["form"]
    name = settings.CSRF_COOKIE_NAME
    extra = {"HTTP_HOST": request["host"]}
    _, _, port = request["host"].rpartition(":")
    if port.isdigit():
        extra["SERVER_PORT"] = port
    elif request["secure"]:
        extra["SERVER_PORT"] = "443"
    for key, header in {
        "origin": "HTTP_ORIGIN",
        "referer": "HTTP_REFERER",
        "forwarded_host": "HTTP_X_FORWARDED_HOST",
        "forwarded_port": "HTTP_X_FORWARDED_PORT",
        "header": settings.CSRF_HEADER_NAME,
    }.items():
        if request[key] is not None:
            extra[header] = request[key]
    if request["cookie"] is not None:
        extra["HTTP_COOKIE"] = f"{name}={request['cookie']}"
    sent = RequestFactory().generic(
        request["method"],
        "/page",
        body,
        content_type=content_type or "",
        secure=request["secure"],
        **extra,
    )
    sent.method = request["method"]
    view = view_of(request["view"])
    middleware = CsrfViewMiddleware(view)
    middleware.process_request(sent)
    reason = None
    try:
        response = middleware.process_view(sent, view, (), {})
        if response is not None:
            reason = response.content.decode()
        else:
            response = view(sent)
    except (SuspiciousOperation, MultiPartParserError):
        response = HttpResponse(status=400)
    response = middleware.process_response(sent, response)
    cookie = response.cookies.get(name)
    if cookie is not None:
        cookie = cookie.value if cookie.value in (SECRET, "a" * 32) else "new"
    return [response.status_code, reason, cookie, response.headers.get("Vary")]


def main():
    settings.configure(SECRET_KEY="x", CSRF_FAILURE_VIEW=f"{__name__}.failure")
    django.setup()
    cases = []
    for index, configured in enumerate(SETTINGS):
        with override_settings(**configured):
            for request in requests():
                changed = {key: place for key, place in request.items() if place != PLAIN[key]}
                cases.append([index, changed, *answer(request)])
    head = {"django": django.get_version(), "settings": SETTINGS, "plain": PLAIN, "values": VALUES}
    lines = ",\n".join(json.dumps(case) for case in cases)
    path = pathlib.Path(__file__).with_name("answers.json")
    path.write_text(f'{json.dumps(head)[:-1]},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    logging.disable()
    main()
