"""What either side hashed, the other knows; and a stored hash that is out of date is made anew at the next login."""

from datetime import datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.tokens import PasswordResetTokenGenerator

from browser import Browser
from servers import SECRET_KEY, django_versions, newest_django
from users import HASHERS, PASSWORD, QUICK, Users, log_in, make, set_password, who

CLASSES = {
    "pbkdf2_sha256": "PBKDF2PasswordHasher",
    "pbkdf2_sha1": "PBKDF2SHA1PasswordHasher",
    "argon2": "Argon2PasswordHasher",
    "bcrypt_sha256": "BCryptSHA256PasswordHasher",
    "bcrypt": "BCryptPasswordHasher",
    "scrypt": "ScryptPasswordHasher",
    "md5": "MD5PasswordHasher",
}
DOTTED = [f"{HASHERS}.{name}" for name in CLASSES.values()]
EVERY_HASHER = {"PASSWORD_HASHERS": DOTTED}
# What is hashed to take the time of a right answer then costs little.
CHEAPEST_FIRST = {"PASSWORD_HASHERS": DOTTED[::-1]}

PASSWORDS = {
    "plain": "correct horse battery staple",
    "unicode": "비밀번호 пароль 🐎",
    "not normalized": "café cafe\u0301",
    "with spaces around": "  spaces  ",
    "with delimiters": "a$b$c:d%e&f=g+h",
}


@pytest.fixture
def store(shared_store):
    return shared_store("db/sqlite")


@pytest.fixture
def sides(both_ways, store):
    return both_ways(newest_django(), **store.settings, **CHEAPEST_FIRST)


@pytest.fixture
def users(store):
    return Users(store.database)


def hashed(server, password, algorithm):
    answer = Browser().post(server, "/auth/hash", {"password": password, "algorithm": algorithm})
    assert answer.status == 200, answer
    return answer.json["encoded"]


def valid(server, password, encoded):
    answer = Browser().post(server, "/auth/check", {"password": password, "encoded": encoded})
    assert answer.status == 200, (encoded, answer)
    return answer.json["valid"]


class TestHashes:
    @pytest.mark.parametrize("algorithm", CLASSES)
    def test_what_one_hashed_the_other_knows(self, sides, algorithm):
        one, other = sides
        encoded = hashed(one, PASSWORDS["unicode"], algorithm)
        assert valid(other, PASSWORDS["unicode"], encoded)
        assert not valid(other, PASSWORDS["unicode"] + " ", encoded)

    @pytest.mark.parametrize("algorithm", CLASSES)
    @pytest.mark.skipif("4.2" not in django_versions(), reason="for a Django with other costs")
    def test_an_older_django_is_understood(self, algorithm, both_ways, store):
        one, other = both_ways("4.2", **store.settings, **CHEAPEST_FIRST)
        assert valid(other, PASSWORD, hashed(one, PASSWORD, algorithm))

    @pytest.mark.parametrize("algorithm", CLASSES)
    def test_the_costs_and_the_form_are_the_same(self, sides, algorithm):
        encoded = [hashed(server, "password", algorithm) for server in sides]
        assert encoded[0] != encoded[1]
        assert form(encoded[0]) == form(encoded[1]), encoded

    @pytest.mark.parametrize("name", PASSWORDS)
    @pytest.mark.parametrize("algorithm", ["argon2", "bcrypt", "bcrypt_sha256", "md5", "scrypt"])
    def test_every_password_arrives_as_it_is(self, sides, name, algorithm):
        one, other = sides
        encoded = hashed(one, PASSWORDS[name], algorithm)
        assert valid(other, PASSWORDS[name], encoded), encoded
        assert not valid(other, PASSWORDS[name].strip() + "x", encoded)

    @pytest.mark.parametrize("password", ["", "x" * 4_096, "é" * 72], ids=["empty", "4096 long", "72 letters of two bytes"])
    # bcrypt itself ends at 72 bytes, where its implementations differ.
    @pytest.mark.parametrize("algorithm", ["pbkdf2_sha1", "argon2", "bcrypt_sha256", "md5", "scrypt"])
    def test_passwords_of_any_length(self, sides, algorithm, password):
        one, other = sides
        encoded = hashed(one, password, algorithm)
        assert valid(other, password, encoded)
        assert not valid(other, password + "y", encoded)

    @pytest.mark.parametrize("password", ["x" * 72, "é" * 36], ids=["72 letters", "36 letters of two bytes"])
    def test_bcrypt_takes_72_bytes(self, sides, password):
        one, other = sides
        encoded = hashed(one, password, "bcrypt")
        assert valid(other, password, encoded)
        assert not valid(other, password[:-1] + "y", encoded)

    def test_an_algorithm_that_is_not_in_use_is_unknown(self, both_ways, store):
        sides = both_ways(newest_django(), **store.settings, **QUICK)
        encoded = hashers.make_password("password", salt="salt", hasher="pbkdf2_sha256")
        assert [valid(server, "password", encoded) for server in sides] == [False, False]
        answers = [Browser().post(s, "/auth/hash", {"password": "password", "algorithm": "argon2"}) for s in sides]
        assert [answer.status for answer in answers] == [400, 400], answers


def form(encoded):
    """An encoded password without salt and digest."""
    algorithm, _, rest = encoded.partition("$")
    if algorithm.startswith("bcrypt"):
        _, version, cost, digest = rest.split("$")
        return algorithm, version, cost, len(digest)
    parts = rest.split("$")
    # Argon2 carries its parameters in two parts, scrypt in three; salt and digest come last but for scrypt.
    if algorithm == "scrypt":
        cost, salt, block, parallel, digest = parts
        return algorithm, cost, block, parallel, len(salt), len(digest)
    return algorithm, parts[:-2], len(parts[-2]), len(parts[-1])


RIGHT = {
    "pbkdf2_sha256": "pbkdf2_sha256$1000$salt$YywoEuRtRgQQK6dhjp1tfS+BKPYma0oDJk0qBGC33LM=",
    "md5": "md5$salt$67a1e09bb1f83f5007dc119c14d663aa",
}
MALFORMED = [
    "",
    "!",
    "!unusable",
    "$",
    "$$$$",
    "password",
    "md5",
    "md5$",
    "md5$$",
    "md5$$5f4dcc3b5aa765d61d8327deb882cf99",
    "md5$salt",
    "md5$salt$",
    "md5$salt$short",
    "md5$salt$" + "한" * 32,
    "md5$salt$67a1e09bb1f83f5007dc119c14d663aa$more",
    "pbkdf2_sha256",
    "pbkdf2_sha256$",
    "pbkdf2_sha256$1000",
    "pbkdf2_sha256$1000$salt",
    "pbkdf2_sha256$$salt$AAAA",
    "pbkdf2_sha256$0$salt$AAAA",
    "pbkdf2_sha256$-1$salt$AAAA",
    "pbkdf2_sha256$many$salt$AAAA",
    "pbkdf2_sha256$1e3$salt$AAAA",
    "pbkdf2_sha256$99999999999999999999$salt$AAAA",
    "pbkdf2_sha256$1000$salt$!!!!",
    "pbkdf2_sha1$1000$salt$",
    "argon2$",
    "argon2$argon2id",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ",
    "argon2$argon2id$v=19$m=1,t=0,p=0$c2FsdA$AAAA",
    "argon2$argon2id$v=19$m=99999999999,t=1,p=1$c2FsdHNhbHQ$AAAA",
    "argon2$argon2x$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA",
    "argon2$argon2id$v=99$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA",
    "bcrypt$",
    "bcrypt$$2b$12$",
    "bcrypt$$2b$99$nO0GjW7VZGNTyBGxCKPzjeWR0NLNh.2KPdaGvBbWMfqTTKVcsfHeK",
    "bcrypt$$2b$xx$nO0GjW7VZGNTyBGxCKPzjeWR0NLNh.2KPdaGvBbWMfqTTKVcsfHeK",
    "bcrypt_sha256$$2b$04$short",
    "scrypt$",
    "scrypt$16384$salt$8$1",
    "scrypt$16384$salt$8$1$",
    "scrypt$0$salt$8$1$AAAA",
    "scrypt$3$salt$8$1$AAAA",
    "scrypt$many$salt$8$1$AAAA",
    "md5$sa\x00lt$67a1e09bb1f83f5007dc119c14d663aa",
    "PBKDF2_SHA256$1000$salt$AAAA",
    " md5$salt$67a1e09bb1f83f5007dc119c14d663aa",
    "bcrypt_sha256",
    "unsalted_md5$$5f4dcc3b5aa765d61d8327deb882cf99",
    "x" * 100_000,
    "$" * 100_000,
]


class TestMalformedHashes:
    def test_the_right_ones_are_right(self, sides):
        for encoded in RIGHT.values():
            assert [valid(server, "password", encoded) for server in sides] == [True, True], encoded

    def test_the_malformed_fit_no_password(self, sides):
        for encoded in MALFORMED:
            for password in ("password", ""):
                assert [valid(server, password, encoded) for server in sides] == [False, False], encoded

    def test_nobody_logs_in_with_them(self, sides, users):
        name = make(sides[0])
        for encoded in ("!", "", "md5$salt", "pbkdf2_sha256$many$salt$AAAA"):
            users.change(name, "password", encoded[:128])
            # Django lets the error of a hasher through.
            answers = [log_in(Browser(), server, name) for server in sides]
            assert not {200, 302} & {answer.status for answer in answers}, answers


class TestUpgrades:
    """A login is when the password is known, and the hash can be made anew."""

    OLD = {
        "another algorithm": hashers.PBKDF2SHA1PasswordHasher().encode(PASSWORD, "a" * 22),
        "fewer iterations": hashers.PBKDF2PasswordHasher().encode(PASSWORD, "a" * 22, 1_000),
        "a short salt": hashers.PBKDF2PasswordHasher().encode(PASSWORD, "short"),
    }

    @pytest.fixture
    def sides(self, both_ways, store):
        return both_ways(newest_django(), **store.settings, **EVERY_HASHER)

    @pytest.mark.parametrize("old", OLD)
    def test_an_outdated_hash_is_made_anew_at_login(self, sides, users, old):
        one, other = sides
        name = make(one)
        forms = []
        for server in sides:
            users.change(name, "password", self.OLD[old])
            assert log_in(Browser(), server, name, "wrong").status == 403
            assert users.column(name, "password") == self.OLD[old]
            browser = Browser()
            assert log_in(browser, server, name).status == 200
            stored = users.column(name, "password")
            forms.append(form(stored))
            assert stored != self.OLD[old]
            assert who(browser, one)["username"] == who(browser, other)["username"] == name
        assert forms[0] == forms[1]
        assert forms[0][0] == "pbkdf2_sha256"

    def test_a_hash_of_today_is_left_alone(self, sides, users):
        name = make(sides[0])
        stored = users.column(name, "password")
        for server in sides:
            assert log_in(Browser(), server, name).status == 200
            assert users.column(name, "password") == stored

    def test_it_ends_the_users_other_sessions_as_a_new_password_does(self, both_ways, store, users):
        one, other = both_ways(newest_django(), **store.settings, **QUICK)
        # For these two, MD5 is no longer the first choice.
        choices = {"PASSWORD_HASHERS": [f"{HASHERS}.{CLASSES['scrypt']}", *QUICK["PASSWORD_HASHERS"]]}
        _, upgrading = both_ways(newest_django(), **store.settings, **choices)
        name = make(one)
        before, after = Browser(), Browser()
        log_in(before, one, name)
        log_in(after, upgrading, name)
        assert users.column(name, "password").startswith("scrypt$")
        assert who(after, upgrading)["username"] == name
        assert who(before, upgrading)["username"] is None


class Tokens(PasswordResetTokenGenerator):
    """Reset tokens made outside of any server, by the clock of the site."""

    def __init__(self, zone="UTC"):
        super().__init__()
        self.zone = zone

    def _now(self):
        return datetime.now(ZoneInfo(self.zone)).replace(tzinfo=None)

    def of(self, users, name, *, age, key=SECRET_KEY):
        pk, password, email = users.database.sql("SELECT id, password, email FROM auth_user WHERE username = ?", name)[0]
        user = SimpleNamespace(pk=pk, password=password, email=email, last_login=None, get_email_field_name=lambda: "email")
        return self._make_token_with_timestamp(user, self._num_seconds(self._now()) - age, key)


def reset_token(server, name):
    answer = Browser().get(server, f"/auth/reset-token?username={name}")
    assert answer.status == 200, answer
    return answer.json["token"]


def fits(server, name, token):
    answer = Browser().request(server, "GET", f"/auth/check-reset-token?username={name}&token={token}")
    assert answer.status == 200, answer
    return answer.json["valid"]


class TestResetTokens:
    @pytest.fixture
    def settings(self, store):
        return store.settings | QUICK | {"TIME_ZONE": "UTC"}

    @pytest.fixture
    def sides(self, both_ways, settings):
        return both_ways(newest_django(), **settings)

    @pytest.mark.parametrize("version", django_versions())
    def test_what_one_made_the_other_takes(self, version, both_ways, settings, users):
        one, other = both_ways(version, **settings)
        name = make(one)
        for last_login in (None, "2024-02-29 12:34:56"):
            users.change(name, "last_login", last_login)
            token = reset_token(one, name)
            assert fits(other, name, token), token
            # With a time of a login in it, which the token binds.
            log_in(Browser(), other, name)
            assert not fits(one, name, token)

    def test_it_is_of_one_user(self, sides):
        one, other = sides
        first, second = make(one), make(one)
        token = reset_token(one, first)
        assert not fits(other, second, token)
        assert not fits(other, "nobody", token)

    def test_a_new_password_uses_it_up(self, sides):
        one, other = sides
        name = make(one)
        token = reset_token(one, name)
        # The same password again: it is stored with another salt.
        set_password(other, name, PASSWORD)
        assert [fits(server, name, token) for server in sides] == [False, False]

    @pytest.mark.parametrize("column", ["email", "last_login"])
    def test_another_address_or_login_ends_it(self, sides, users, column):
        one, other = sides
        name = make(one)
        token = reset_token(one, name)
        users.change(name, column, "2001-01-01 00:00:00" if column == "last_login" else "someone@example.com")
        assert [fits(server, name, token) for server in sides] == [False, False]
        token = reset_token(one, name)
        assert [fits(server, name, token) for server in sides] == [True, True]

    def test_the_fraction_of_a_second_of_the_login_does_not_count(self, sides, users):
        one, other = sides
        name = make(one)
        users.change(name, "last_login", "2024-02-29 12:34:56.789012")
        token = reset_token(one, name)
        users.change(name, "last_login", "2024-02-29 12:34:56")
        assert [fits(server, name, token) for server in sides] == [True, True]

    @pytest.mark.parametrize("zone", ["UTC", "Asia/Seoul"])
    @pytest.mark.parametrize("timeout", [None, 60])
    def test_it_expires(self, both_ways, settings, users, timeout, zone):
        given = {"TIME_ZONE": zone} | ({} if timeout is None else {"PASSWORD_RESET_TIMEOUT": timeout})
        sides = both_ways(newest_django(), **settings | given)
        name = make(sides[0])
        seconds = timeout or 259_200
        for age, expected in ((0, True), (seconds - 30, True), (seconds + 30, False), (seconds * 10, False)):
            token = Tokens(zone).of(users, name, age=age)
            assert [fits(server, name, token) for server in sides] == [expected, expected], age

    @pytest.mark.parametrize("clock", [("Asia/Seoul", True), ("Asia/Seoul", False), ("America/New_York", False)])
    def test_it_counts_by_the_clock_of_the_site(self, both_ways, settings, clock):
        zone, aware = clock
        one, other = both_ways(newest_django(), **settings | {"TIME_ZONE": zone, "USE_TZ": aware, "PASSWORD_RESET_TIMEOUT": 60})
        name = make(one)
        # The time of the login, which a token binds, is stored as the settings say.
        log_in(Browser(), other, name)
        assert fits(other, name, reset_token(one, name))
        # A token begins with the time, which the two may read a moment apart.
        times = [int(reset_token(server, name).partition("-")[0], 36) for server in (one, other)]
        assert abs(times[0] - times[1]) < 10

    def test_a_token_of_an_old_key_is_taken_while_the_keys_rotate(self, both_ways, settings):
        old, _ = both_ways(newest_django(), **settings)
        new_key = {"SECRET_KEY": "a-new-secret-key-that-came-after-the-first"}
        _, rotating = both_ways(newest_django(), **settings, **new_key, SECRET_KEY_FALLBACKS=["never-was-one", SECRET_KEY])
        _, new = both_ways(newest_django(), **settings, **new_key)
        name = make(old)
        token = reset_token(old, name)
        assert (fits(rotating, name, token), fits(new, name, token)) == (True, False)
        assert fits(new, name, reset_token(rotating, name))

    def test_rubbish_is_no_token(self, sides, users):
        name = make(sides[0])
        right = Tokens().of(users, name, age=5)
        time36, _, digest = right.partition("-")
        for token in (
            "",
            "-",
            "--",
            time36,
            f"{time36}-",
            f"-{digest}",
            f"{time36}-{digest}x",
            f"{time36}-{digest[:-1]}",
            f"{time36}-{digest.upper()}",
            f"{time36.upper()}-{digest}",
            f"0{time36}-{digest}",
            f"{time36}x-{digest}",
            f"{time36}-{digest}-",
            f"%20{right}",
            f"{right}%20",
            f"{right}%00",
            f"zzzzzzzzzzzzzzzzzzzz-{digest}",
            f"!!!!-{digest}",
            f"-1-{digest}",
            "%ED%95%9C-%ED%95%9C",
            "0-" + "0" * 32,
            "x" * 5_000,
        ):
            assert [fits(server, name, token) for server in sides] == [False, False], token
        assert [fits(server, name, right) for server in sides] == [True, True]

    def test_a_token_of_the_future_is_taken_alike(self, sides, users):
        name = make(sides[0])
        token = Tokens().of(users, name, age=-1_000)
        taken = [fits(server, name, token) for server in sides]
        assert taken[0] == taken[1]
