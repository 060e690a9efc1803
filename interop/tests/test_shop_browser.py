"""The shop in a real Chromium: what its visitors see, and which cookies they have when."""

import itertools
import re
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servers import REFERENCE
from shops import Nginx, Shop

if not REFERENCE:
    from browsers import Browser

pytestmark = pytest.mark.skipif(REFERENCE, reason="the shop is a Rust program")

PASSWORD = "correct horse"
ANOTHER = "battery staple"
HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"
NAMES = (f"mei{number}" for number in itertools.count())

HTTPS = {
    "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    "CLIENT_ADDRESS_HEADER": "HTTP_X_FORWARDED_FOR",
    "SESSION_COOKIE_SECURE": "true",
    "CSRF_COOKIE_SECURE": "true",
}


def open_shop(directory, **settings):
    # A machine that does other things as well is no store that is down. What passwords are hashed with is not seen here.
    always = {"SHOP_DATA": str(directory / "data"), "SESSION_STORE_TIMEOUT": "20", "PASSWORD_HASHERS": [HASHER]}
    settings = always | settings
    return Shop("shop", settings, directory).wait_until_listening()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    opened = open_shop(tmp_path_factory.mktemp("shop"))
    yield opened
    opened.stop()


@pytest.fixture
def device(tmp_path):
    """`device(url)`: a browser with nothing in it."""
    made = []

    def new(url):
        made.append(Browser(url, tmp_path / f"profile-{len(made)}"))
        return made[-1]

    yield new
    for browser in made:
        browser.close()


@pytest.fixture
def browser(device, shop):
    return device(shop.url)


def sign_up(browser, name, path="/signup"):
    browser.visit(path)
    browser.fill(username=name, email=f"{name}@example.com", password1=PASSWORD, password2=PASSWORD)
    browser.press("Sign up")


def log_in(browser, name, password=PASSWORD, remember=False):
    browser.visit("/login")
    browser.fill(username=name, password=password)
    if remember:
        browser.tick("remember")
    browser.press("Log in")


def is_logged_in(browser):
    browser.visit("/account")
    return browser.path == "/account"


def add(browser, product):
    browser.visit(f"/products/{product}")
    browser.press("Add to cart")


def test_who_only_looks_around_has_no_cookie_at_all(browser):
    for path in ["/", "/cart", "/session", "/no/such/page", "/"]:
        browser.visit(path)
        assert browser.cookies == {}, path
    # A page with a form needs one for its token, and no session.
    browser.visit("/products/sencha")
    assert list(browser.cookies) == ["csrftoken"]
    assert browser.cookies["csrftoken"]["sameSite"] == "Lax"


def test_from_the_cart_by_a_sign_up_to_the_order(browser):
    name = next(NAMES)
    add(browser, "sencha")
    assert browser.path == "/cart"
    assert browser.messages == ["In your cart: 1 × Morning Sencha."]
    cookie = browser.cookies["sessionid"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"], cookie["path"]) == (True, "Lax", False, "/")
    # Shown once.
    assert "messages" not in browser.cookies
    browser.visit("/cart")
    assert browser.messages == []

    as_stranger = browser.cookies
    browser.press("Check out")
    browser.press("sign up")
    browser.fill(username=name, email="no address", password1="12345", password2="123456")
    browser.press("Sign up")
    assert browser.title == "Please check: Sign up"
    assert "This password is too short. It must contain at least 8 characters." in browser.text
    assert "This is not the same password." in browser.text
    browser.fill(email=f"{name}@example.com", password1=PASSWORD, password2=PASSWORD)
    browser.press("Sign up")
    # Back where the visitor came from, as somebody else, with the cart of before.
    assert (browser.path, browser.messages) == ("/checkout", [f"Welcome to Five Leaves, {name}."])
    assert "1 × Morning Sencha" in browser.text
    for cookie in ["sessionid", "csrftoken"]:
        assert browser.cookies[cookie]["value"] != as_stranger[cookie]["value"], f"{cookie} was not changed by the login"

    browser.fill(name="Mei Lin", address="1 Tea Lane\n04524 Seoul")
    browser.press("Place the order")
    order = browser.path
    assert order.startswith("/orders/FL-")
    assert browser.messages == ["Your order is placed."]
    assert "Thank you, Mei Lin." in browser.text
    assert f"to {name}@example.com." in browser.text
    browser.visit("/account")
    assert order.removeprefix("/orders/") in browser.text
    browser.visit("/cart")
    assert browser.title == "Your cart" and "Your cart is empty" in browser.text


def test_a_session_of_before_the_login_is_worth_nothing_after(device, shop):
    name = next(NAMES)
    visitor, thief = device(shop.url), device(shop.url)
    add(visitor, "cups")
    planted = visitor.cookies["sessionid"]
    thief.visit("/")
    thief.driver.add_cookie({"name": "sessionid", "value": planted["value"], "path": "/"})
    thief.visit("/cart")
    assert "Two Cups" in thief.text
    sign_up(visitor, name)
    assert is_logged_in(visitor)
    assert not is_logged_in(thief)
    visitor.visit("/cart")
    assert "Two Cups" in visitor.text


def test_only_who_ticks_the_box_is_remembered(device, shop):
    name = next(NAMES)
    sign_up(device(shop.url), name)
    passing, staying = device(shop.url), device(shop.url)
    log_in(passing, name)
    # Until the browser closes.
    assert "expiry" not in passing.cookies["sessionid"]
    log_in(staying, name, remember=True)
    days = (staying.cookies["sessionid"]["expiry"] - time.time()) / (24 * 60 * 60)
    assert 29 < days < 31


def test_a_logout_in_one_tab_logs_out_the_other(browser):
    sign_up(browser, next(NAMES))
    browser.new_tab()
    browser.visit("/account/devices")
    assert browser.title == "Your devices"
    browser.switch_to_tab(0)
    browser.press("Log out")
    assert (browser.path, browser.messages) == ("/", ["You are logged out."])
    assert browser.session is None
    browser.switch_to_tab(1)
    browser.visit("/account/devices")
    assert browser.path == "/login?next=/account/devices"


def test_another_device_is_listed_and_logged_out(device, shop):
    name = next(NAMES)
    here, elsewhere = device(shop.url), device(shop.url)
    sign_up(here, name)
    log_in(elsewhere, name)
    here.visit("/account/devices")
    assert here.text.count("Chrome on Linux") == 2
    assert here.text.count("This device") == 1
    assert here.text.count("Last used just now from 127.0.0.1") == 2
    here.press("Log out", within="main//ul[contains(@class, 'devices')]")
    assert here.messages == ["You are logged out there."]
    assert here.text.count("Chrome on Linux") == 1
    assert not is_logged_in(elsewhere)
    assert is_logged_in(here)

    log_in(elsewhere, name)
    here.visit("/account/devices")
    here.press("Log out everywhere else")
    assert here.messages == ["You are logged out on one other device."]
    assert not is_logged_in(elsewhere)
    assert is_logged_in(here)


def test_a_new_password_keeps_this_device_and_logs_out_the_others(device, shop):
    name = next(NAMES)
    here, elsewhere = device(shop.url), device(shop.url)
    sign_up(here, name)
    log_in(elsewhere, name)
    before = here.session
    here.visit("/account/password")
    here.fill(old_password=PASSWORD, password1=ANOTHER, password2=ANOTHER)
    here.press("Change the password")
    assert here.messages == ["Your password is changed. Wherever else you were logged in, you are not any more."]
    assert here.session != before
    assert is_logged_in(here)
    assert not is_logged_in(elsewhere)
    log_in(elsewhere, name)
    assert "You are not logged in." in elsewhere.text
    log_in(elsewhere, name, ANOTHER)
    assert is_logged_in(elsewhere)


def test_a_forgotten_password_is_replaced_by_the_link_in_the_mail(device, shop):
    name = next(NAMES)
    here, elsewhere = device(shop.url), device(shop.url)
    sign_up(elsewhere, name)
    here.visit("/login")
    here.press("Forgotten your password?")
    for email in ["nobody@example.com", f"{name}@example.com"]:
        here.visit("/password-reset")
        here.fill(email=email)
        here.press("Send the link")
        assert here.title == "Look at your mail"
    link = mailed_link(shop, f"{name}@example.com")
    assert "nobody@example.com" not in shop.log()
    here.visit(link)
    # The token is not in the address any more.
    assert here.path.endswith("/set-password")
    here.fill(password1=ANOTHER, password2=ANOTHER)
    here.press("Change the password")
    assert (here.path, here.messages) == ("/login", ["Your password is changed. Log in with the new one."])
    log_in(here, name, ANOTHER)
    assert is_logged_in(here)
    assert not is_logged_in(elsewhere)
    elsewhere.visit(link)
    assert "This link is used up" in elsewhere.text


def mailed_link(shop, address):
    end = time.monotonic() + 30
    pattern = re.compile(rf"^To: {re.escape(address)}$.*?^{re.escape(shop.url)}(/\S+)$", re.M | re.S)
    while time.monotonic() < end:
        if found := pattern.search(shop.log()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"no mail to {address}:\n{shop.log()}")


class Evil(BaseHTTPRequestHandler):
    """A page of another site, whose form sends itself to the shop."""

    def do_GET(self):
        page = f"<form method=post action='{self.server.target}'><input name=end value=others></form><script>document.forms[0].submit()</script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_form_on_another_site_does_nothing(browser, shop, host):
    """`localhost` is another site; another port is the same site and another origin, to which Lax cookies travel."""
    sign_up(browser, next(NAMES))
    other_site = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    other_site.target = f"{shop.url}/logout"
    threading.Thread(target=other_site.serve_forever, daemon=True).start()
    try:
        browser.driver.get(f"http://{host}:{other_site.server_port}/")
        end = time.monotonic() + 30
        while browser.driver.current_url != other_site.target and time.monotonic() < end:
            time.sleep(0.05)
        assert "That form is not ours" in browser.text
    finally:
        other_site.shutdown()
        other_site.server_close()
    assert is_logged_in(browser)


def test_a_page_of_before_the_login_in_another_tab_asks_to_be_reloaded(browser):
    """Its token carries the secret of before; a reload gives it the new one."""
    browser.visit("/products/cups")
    browser.new_tab()
    sign_up(browser, next(NAMES))
    browser.switch_to_tab(0)
    browser.press("Add to cart")
    assert "That form is not ours" in browser.text
    add(browser, "cups")
    assert browser.messages == ["In your cart: 1 × Two Cups."]


def test_too_many_wrong_passwords_are_answered_by_a_page_that_says_when(browser):
    name = next(NAMES)
    sign_up(browser, name)
    browser.press("Log out")
    for _ in range(5):
        log_in(browser, name, "wrong")
        assert "You are not logged in." in browser.text
    log_in(browser, name)
    assert browser.title == "Too many wrong passwords"
    assert "Try again in 5 minutes." in browser.text


def test_behind_https_every_cookie_is_secure(device, tmp_path):
    (tmp_path / "nginx").mkdir()
    shop = open_shop(tmp_path, **HTTPS)
    nginx = None
    try:
        nginx = Nginx([shop], tmp_path / "nginx", tls=True).wait_until_listening()
        browser = device(nginx.url)
        name = next(NAMES)
        add(browser, "peony")
        assert browser.messages == ["In your cart: 1 × White Peony."]
        sign_up(browser, name)
        assert is_logged_in(browser)
        cookies = browser.cookies
        assert sorted(cookies) == ["csrftoken", "sessionid"]
        for cookie in cookies.values():
            assert (cookie["secure"], cookie["sameSite"]) == (True, "Lax"), cookie
        assert cookies["sessionid"]["httpOnly"]
        browser.visit("/account/devices")
        assert "from 127.0.0.1" in browser.text
        # A link in a mail leads to where the visitor is, and not to where the shop listens.
        browser.visit("/password-reset")
        browser.fill(email=f"{name}@example.com")
        browser.press("Send the link")
        end = time.monotonic() + 30
        while f"{nginx.url}/password-reset/" not in shop.log():
            assert time.monotonic() < end, shop.log()
            time.sleep(0.05)
    finally:
        for server in filter(None, (nginx, shop)):
            server.stop()


def test_with_sessions_in_cookies_the_page_of_devices_says_that_it_cannot(device, tmp_path):
    shop = open_shop(tmp_path, SESSION_ENGINE="signed_cookies")
    try:
        browser = device(shop.url)
        add(browser, "teapot")
        sign_up(browser, next(NAMES))
        browser.visit("/account/devices")
        assert "it cannot say where you are logged in" in browser.text
        browser.visit("/cart")
        assert "Clay Teapot" in browser.text
        assert browser.cookies["sessionid"]["httpOnly"]
    finally:
        shop.stop()


def test_staff_imports_prices_and_sees_how_far_it_is(device, tmp_path):
    shop = open_shop(tmp_path)
    try:
        name = next(NAMES)
        browser = device(shop.url)
        sign_up(browser, name)
        with sqlite3.connect(tmp_path / "data" / "shop.sqlite3") as users:
            users.execute("UPDATE auth_user SET is_superuser = 1 WHERE username = ?", [name])
        browser.visit("/staff/prices")
        prices = [f"sencha,{number}.50" for number in range(120)]
        browser.fill(prices="\n".join([*prices, "matcha,5", "whisk,cheap"]))
        browser.press("Import")
        # The page loads itself again, without a script, until all is done.
        deadline = time.monotonic() + 60
        while browser.title != "Prices are imported":
            assert time.monotonic() < deadline, browser.text
            time.sleep(0.1)
        assert "122 of 122 lines done" in browser.text
        assert "there is no product “matcha”" in browser.text
        assert "Line 122" in browser.text
        browser.visit("/products/sencha")
        assert re.search(r"€\d+\.50", browser.text)
    finally:
        shop.stop()
