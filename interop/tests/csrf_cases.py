"""Requests that change something, each with what a Django behind CsrfViewMiddleware says to it."""

from dataclasses import dataclass, field

from django.middleware.csrf import _mask_cipher_secret, _unmask_cipher_token

from browser import FORM

SECRET = "Quintette0Quintette1Quintette234"
ANOTHER = "anotherSecretanotherSecret012345"


def mask(secret):
    return _mask_cipher_secret(secret)


def unmask(token):
    return _unmask_cipher_token(token)


TOKEN = mask(SECRET)
BEHIND_PROXY = {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}
HTTPS = {"X-Forwarded-Proto": "https"}

SITES = {
    "plain": {},
    "behind a proxy": BEHIND_PROXY,
    "with trusted origins": BEHIND_PROXY
    | {
        "CSRF_TRUSTED_ORIGINS": [
            "https://dashboard.example.com",
            "https://ports.example.com:8443",
            "https://*.wild.example.org",
            "http://*.plain.example.org",
        ]
    },
    "of one host": BEHIND_PROXY
    | {"ALLOWED_HOSTS": ["www.example.com"], "CSRF_TRUSTED_ORIGINS": ["https://dashboard.example.com"]},
    "with a cookie domain": BEHIND_PROXY | {"CSRF_COOKIE_DOMAIN": ".example.com"},
    "with a cookie domain and a forwarded port": BEHIND_PROXY
    | {"CSRF_COOKIE_DOMAIN": ".example.com", "USE_X_FORWARDED_PORT": True},
    "with a forwarded host": BEHIND_PROXY | {"USE_X_FORWARDED_HOST": True},
    "with a header of its own": {"CSRF_HEADER_NAME": "HTTP_X_CSRFTOKEN_CUSTOMIZED"},
    "with a cookie of its own": {"CSRF_COOKIE_NAME": "xsrf"},
}


@dataclass
class Case:
    """A request to `/csrf/protected`, and the reason it is refused for; None where it passes."""

    name: str
    reason: str | None = None
    site: str = "plain"
    method: str = "POST"
    cookie: str | None = f"csrftoken={SECRET}"
    form: list | dict | None = None
    body: bytes | str | None = None
    headers: dict = field(default_factory=dict)


def with_form(name, reason=None, form=None, **more):
    return Case(name, reason, form=form or {"csrfmiddlewaretoken": TOKEN}, **more)


def with_header(name, reason=None, token=TOKEN, header="X-CSRFToken", headers=(), **more):
    return Case(name, reason, headers=dict(headers) | {header: token}, **more)


def multipart(*parts, boundary="boundary"):
    """The body and its header; a part is its headers after the name, and its content."""
    body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n" for head, content in parts)
    return {"body": f"{body}--{boundary}--\r\n", "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


NO_COOKIE = "CSRF cookie not set."
NO_TOKEN = "CSRF token missing."
HEADER = "CSRF token from the 'X-Csrftoken' HTTP header"
FIELD = "CSRF token from POST"

TOKENS = [
    # Without any.
    Case("nothing at all", NO_COOKIE, cookie=None),
    with_form("no cookie", NO_COOKIE, cookie=None),
    with_header("no cookie, the token in a header", NO_COOKIE, cookie=None),
    with_form("an unrelated cookie", NO_COOKIE, cookie="csrftokens=1; a=b"),
    Case("no token", NO_TOKEN),
    Case("a body that is no form", NO_TOKEN, body="csrfmiddlewaretoken=" + TOKEN, headers={"Content-Type": "text/plain"}),
    Case("JSON", NO_TOKEN, body='{"csrfmiddlewaretoken": "' + TOKEN + '"}', headers={"Content-Type": "application/json"}),
    Case("a body of no type", NO_TOKEN, body=b"csrfmiddlewaretoken=" + TOKEN.encode()),
    with_form("a field of another name", NO_TOKEN, {"csrftoken": TOKEN}),
    with_form("a field in capitals", NO_TOKEN, {"CSRFMiddlewareToken": TOKEN}),
    # As it should be.
    with_form("a form"),
    with_form("a bare secret in a form", form={"csrfmiddlewaretoken": SECRET}),
    with_form("a form with more in it", form=[("a", "1"), ("csrfmiddlewaretoken", TOKEN), ("b", "한 글 & = +")]),
    with_form("the last of two fields counts", form=[("csrfmiddlewaretoken", "x"), ("csrfmiddlewaretoken", TOKEN)]),
    with_form(
        "the first of two fields does not",
        f"{FIELD} has incorrect length.",
        [("csrfmiddlewaretoken", TOKEN), ("csrfmiddlewaretoken", "x")],
    ),
    Case("a field whose name is quoted", body="a&&=&csrf%6diddlewaretoken=" + TOKEN, headers={"Content-Type": FORM}),
    Case("a type that only begins like a form's", NO_TOKEN, body="csrfmiddlewaretoken=" + TOKEN, headers={"Content-Type": FORM + "x"}),
    Case("a type with a charset", body="csrfmiddlewaretoken=" + TOKEN, headers={"Content-Type": FORM + "; charset=UTF-8"}),
    with_header("a header"),
    with_header("a bare secret in a header", token=SECRET),
    with_header("an empty field and a header", form={"csrfmiddlewaretoken": ""}),
    with_header("JSON and a header", body="{}", headers={"Content-Type": "application/json"}),
    with_form("a masked cookie", cookie=f"csrftoken={mask(SECRET)}"),
    with_header("a masked cookie and a bare secret", token=SECRET, cookie=f"csrftoken={mask(SECRET)}"),
    with_header("a cookie between others", cookie=f"a=1; csrftoken={SECRET}; b"),
    with_header("a quoted cookie", cookie=f'csrftoken="{SECRET}"'),
    with_header("the last of two cookies counts", cookie=f"csrftoken={ANOTHER}; csrftoken={SECRET}"),
    Case("multipart", **multipart(('name="csrfmiddlewaretoken"', TOKEN))),
    Case("multipart with a file", **multipart(('name="file"; filename="a.txt"', "한글\r\n--not\r\n"), ('name="csrfmiddlewaretoken"', TOKEN))),
    Case("multipart without it", NO_TOKEN, **multipart(('name="a"', TOKEN))),
    Case("multipart, as a file", NO_TOKEN, **multipart(('name="csrfmiddlewaretoken"; filename="t"', TOKEN))),
    Case("multipart, wrong", f"{FIELD} incorrect.", **multipart(('name="csrfmiddlewaretoken"', mask(ANOTHER)))),
    # Wrong tokens.
    with_form("a field too short", f"{FIELD} has incorrect length.", {"csrfmiddlewaretoken": "a" * 16}),
    with_form("a field too long", f"{FIELD} has incorrect length.", {"csrfmiddlewaretoken": TOKEN + "a"}),
    with_form("a field of 33", f"{FIELD} has incorrect length.", {"csrfmiddlewaretoken": SECRET + "a"}),
    with_form("a field of odd letters", f"{FIELD} has invalid characters.", {"csrfmiddlewaretoken": "*" * 64}),
    with_form("a field of Hangul", f"{FIELD} has invalid characters.", {"csrfmiddlewaretoken": "한" * 32}),
    with_form("a field with a line break", f"{FIELD} has invalid characters.", {"csrfmiddlewaretoken": TOKEN[:-1] + "\n"}),
    with_form("a field of another secret", f"{FIELD} incorrect.", {"csrfmiddlewaretoken": mask(ANOTHER)}),
    with_form("a bare field of another secret", f"{FIELD} incorrect.", {"csrfmiddlewaretoken": ANOTHER}),
    with_form("a secret in other capitals", f"{FIELD} incorrect.", {"csrfmiddlewaretoken": SECRET.swapcase()}),
    with_header("a header too short", f"{HEADER} has incorrect length.", "a" * 16),
    with_header("an empty header", f"{HEADER} has incorrect length.", ""),
    with_header("a header of odd letters", f"{HEADER} has invalid characters.", "*" * 64),
    with_header("a header of another secret", f"{HEADER} incorrect.", mask(ANOTHER)),
    with_header("a wrong field beside a right header", f"{FIELD} incorrect.", form={"csrfmiddlewaretoken": ANOTHER}),
    with_form("a right field beside a wrong header", headers={"X-CSRFToken": ANOTHER}),
    # Wrong cookies.
    with_form("an empty cookie", "CSRF cookie has incorrect length.", cookie="csrftoken="),
    with_form("a cookie too short", "CSRF cookie has incorrect length.", cookie="csrftoken=" + "a" * 16),
    with_form("a cookie too long", "CSRF cookie has incorrect length.", cookie="csrftoken=" + "a" * 5_000),
    with_form("a cookie of odd letters", "CSRF cookie has invalid characters.", cookie="csrftoken=" + "*" * 64),
    with_form("a cookie of another secret", f"{FIELD} incorrect.", cookie=f"csrftoken={ANOTHER}"),
    # Settings.
    with_header("a header of another name", site="with a header of its own", header="X-CSRFToken-Customized"),
    with_header("the usual header, which is not asked for", NO_TOKEN, site="with a header of its own"),
    with_header(
        "a wrong header of another name",
        "CSRF token from the 'X-Csrftoken-Customized' HTTP header has incorrect length.",
        "a" * 16,
        header="X-CSRFToken-Customized",
        site="with a header of its own",
    ),
    with_header("a cookie of another name", site="with a cookie of its own", cookie=f"xsrf={SECRET}"),
    with_header("the usual cookie, which is not asked for", NO_COOKIE, site="with a cookie of its own"),
]

METHODS = [
    *(Case(f"{method} asks for nothing", method=method, cookie=None) for method in ("GET", "HEAD", "OPTIONS", "TRACE")),
    *(Case(f"{method} from anywhere", method=method, headers={"Origin": "https://evil.example"}) for method in ("GET", "OPTIONS")),
    *(Case(f"{method} with a bad cookie", method=method, cookie="csrftoken=x") for method in ("GET", "OPTIONS")),
    *(Case(f"{method} with nothing", NO_COOKIE, method=method, cookie=None) for method in ("PUT", "PATCH", "DELETE", "PROPFIND")),
    *(Case(f"{method} without a token", NO_TOKEN, method=method) for method in ("PUT", "PATCH", "DELETE")),
    *(with_header(f"{method} with a header", method=method) for method in ("PUT", "PATCH", "DELETE", "PROPFIND")),
    *(with_form(f"{method} with a form, which is not read", NO_TOKEN, method=method) for method in ("PUT", "PATCH")),
]

GOOD_ORIGINS = {
    "plain": [
        ("example.com", "http://example.com"),
        ("example.com:8000", "http://example.com:8000"),
        ("[::1]:80", "http://[::1]:80"),
    ],
    "behind a proxy": [("example.com", "https://example.com")],
    "with trusted origins": [
        ("example.com", "https://example.com"),
        ("example.com", "https://dashboard.example.com"),
        ("example.com", "https://ports.example.com:8443"),
        ("example.com", "https://a.wild.example.org"),
        ("example.com", "https://a.b.wild.example.org"),
        ("example.com", "https://wild.example.org"),
        ("example.com", "http://a.plain.example.org"),
    ],
    "of one host": [("www.example.com", "https://www.example.com"), ("@malformed", "https://dashboard.example.com")],
}
BAD_ORIGINS = {
    "plain": [
        ("example.com", origin)
        for origin in (
            "https://example.com",
            "http://example.com:80",
            "http://example.com:8000",
            "http://example.com/",
            "http://example.com ,http://evil.example",
            "HTTP://EXAMPLE.COM",
            "http://www.example.com",
            "http://example.com.evil.example",
            "http://evil.example",
            "http://user@example.com",
            "example.com",
            "null",
            "https://[",
            "//",
            "<script>",
        )
    ],
    "behind a proxy": [("example.com", "http://example.com"), ("example.com:8000", "https://example.com")],
    "with trusted origins": [
        ("example.com", "http://dashboard.example.com"),
        ("example.com", "https://sub.dashboard.example.com"),
        ("example.com", "https://ports.example.com"),
        ("example.com", "http://a.wild.example.org"),
        ("example.com", "https://a.wild.example.org:8443"),
        ("example.com", "https://evilwild.example.org"),
        ("example.com", "https://a.wild.example.org.evil.example"),
        ("example.com", "https://A.WILD.EXAMPLE.ORG"),
        ("example.com", "https://a.plain.example.org"),
    ],
    "of one host": [("evil.example", "https://evil.example"), ("@malformed", "https://www.example.com")],
}
ORIGINS = [
    *(
        with_form(f"{origin} to {host} {site}", site=site, headers=HTTPS | {"Host": host, "Origin": origin})
        for site, pairs in GOOD_ORIGINS.items()
        for host, origin in pairs
    ),
    *(
        with_form(
            f"{origin} to {host} {site}, which is refused",
            f"Origin checking failed - {origin} does not match any trusted origins.",
            site=site,
            headers=HTTPS | {"Host": host, "Origin": origin},
        )
        for site, pairs in BAD_ORIGINS.items()
        for host, origin in pairs
    ),
    Case("a good origin without a token", NO_TOKEN, headers={"Host": "example.com", "Origin": "http://example.com"}),
    with_form(
        "a bad referer beside a good origin",
        site="behind a proxy",
        headers=HTTPS | {"Host": "example.com", "Origin": "https://example.com", "Referer": "http://evil.example/"},
    ),
    with_form(
        "a bad referer without encryption",
        site="behind a proxy",
        headers={"Host": "example.com", "Referer": "http://evil.example/"},
    ),
    with_form("no referer without encryption", site="behind a proxy", headers={"Host": "example.com", "X-Forwarded-Proto": "http"}),
]


def referer(text, host="example.com", site="behind a proxy", reason=None, **headers):
    sent = HTTPS | {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    if text is not None:
        sent["Referer"] = text
    extra = "".join(f", {name} {value}" for name, value in headers.items())
    shown = text if text is None or isinstance(text, str) else text.decode("latin-1")
    return with_form(f"from {shown} to {host} {site}{extra}", reason, site=site, headers=sent)


def unmatched(text, **more):
    return referer(text, reason=f"Referer checking failed - {text} does not match any trusted origins.", **more)


MALFORMED = "Referer checking failed - Referer is malformed."
INSECURE = "Referer checking failed - Referer is insecure while host is secure."

REFERERS = [
    referer(None, reason="Referer checking failed - no Referer."),
    *(
        referer(text, reason=MALFORMED)
        for text in (
            "",
            "rubbish",
            "ØBöIß".encode("latin-1"),
            "//example.com/",
            "/page",
            "https://",
            "https:///",
            "https:example.com",
            "https://[",
            "https:\\\\example.com\\",
        )
    ),
    *(referer(text, reason=INSECURE) for text in ("http://example.com/", "http://http://example.com/", "ftp://example.com/")),
    *(
        referer(text)
        for text in ("https://example.com", "https://example.com/", "https://example.com/page?a=1#b", "HTTPS://example.com/")
    ),
    referer("https://example.com:8443/page", host="example.com:8443"),
    *(
        unmatched(text)
        for text in (
            "https://evil.example/page",
            "https://www.example.com/",
            "https://example.com.evil.example/",
            "https://example.com@evil.example/",
            "https://user@example.com/",
            "https://example.com:443/",
            "https://EXAMPLE.COM/",
            "https://evil.example/<script>?a='b'",
        )
    ),
    *(
        referer(text, site="with trusted origins")
        for text in (
            "https://dashboard.example.com/page",
            "https://ports.example.com:8443/",
            "https://a.wild.example.org/",
            "https://wild.example.org/",
            # The scheme of a trusted origin counts for Origin only.
            "https://a.plain.example.org/",
        )
    ),
    *(
        unmatched(text, site="with trusted origins")
        for text in ("https://sub.dashboard.example.com/", "https://evilwild.example.org/", "https://ports.example.com/")
    ),
    referer("https://www.example.com/page", host="www.example.com", site="of one host"),
    referer("https://dashboard.example.com/page", host="@malformed", site="of one host"),
    unmatched("https://evil.example/", host="evil.example", site="of one host"),
    unmatched("https://www.example.com/", host="@malformed", site="of one host"),
    *(
        referer(text, host="www.example.com", site="with a cookie domain and a forwarded port", X_Forwarded_Port=port)
        for text, port in (
            ("https://sub.example.com/", "443"),
            ("https://example.com/", "80"),
            ("https://sub.example.com:4443/", "4443"),
        )
    ),
    *(
        unmatched(text, host="www.example.com", site="with a cookie domain and a forwarded port", X_Forwarded_Port=port)
        for text, port in (
            ("https://sub.example.com/", "4443"),
            ("https://sub.example.com:4443/", "443"),
            ("https://evilexample.com/", "443"),
        )
    ),
    # The port that the server listens on.
    referer("https://sub.example.com:{port}/page", host="www.example.com:{port}", site="with a cookie domain"),
    unmatched("https://sub.example.org/", host="www.example.com:{port}", site="with a cookie domain"),
    referer("https://www.example.com/", host="10.0.0.2", site="with a forwarded host", X_Forwarded_Host="www.example.com"),
    unmatched("https://evil.example/", host="evil.example", site="with a forwarded host", X_Forwarded_Host="www.example.com"),
]

EVERY = [*TOKENS, *METHODS, *ORIGINS, *REFERERS]
