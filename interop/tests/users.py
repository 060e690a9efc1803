"""Users: made and logged in over HTTP, changed behind the servers' backs."""

import itertools

from browser import Browser
from databases import DATABASES

HASHERS = "django.contrib.auth.hashers"
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
ALLOW_ALL_BACKEND = "django.contrib.auth.backends.AllowAllUsersModelBackend"

# What a password costs is for test_passwords.py.
QUICK = {"PASSWORD_HASHERS": [f"{HASHERS}.MD5PasswordHasher"]}

PASSWORD = "열려라 sesame & 100%"
ANONYMOUS = {
    "id": None,
    "username": None,
    "is_authenticated": False,
    "is_staff": False,
    "is_superuser": False,
    "permissions": [],
}

NUMBERS = itertools.count()


def make(server, *, password=PASSWORD, superuser=False):
    """The name of a new user."""
    name = f"visitor{next(NUMBERS)}"
    form = {"username": name, "password": password} | ({"superuser": "true"} if superuser else {})
    answer = answer_of(server, "/auth/make", form)
    assert answer.status == 200, answer
    return name


def set_password(server, name, password):
    answer = answer_of(server, "/auth/set-password", {"username": name, "password": password})
    assert answer.status == 200, answer


def answer_of(server, path, form):
    return Browser().post(server, path, form)


def log_in(browser, server, name, password=PASSWORD):
    return browser.post(server, "/auth/login", {"username": name, "password": password})


def who(browser, server):
    """What the server knows of the visitor; the anonymous is ANONYMOUS."""
    return browser.get(server, "/auth/user").json


def database_of(store):
    """The database that holds the users, of a store that may keep its sessions elsewhere."""
    return store.database or DATABASES["sqlite"](store.directory)


class Users:
    """The tables of users, from outside."""

    def __init__(self, database):
        self.database = database

    def column(self, name, column):
        return self.database.sql(f"SELECT {column} FROM auth_user WHERE username = ?", name)[0][0]

    def change(self, name, column, value):
        self.database.sql(f"UPDATE auth_user SET {column} = ? WHERE username = ?", value, name)

    def delete(self, name):
        self.database.sql("DELETE FROM auth_user WHERE username = ?", name)

    def grant(self, name, *permissions):
        for permission in permissions:
            self.database.sql(
                "INSERT INTO auth_user_user_permissions (user_id, permission_id) "
                f"SELECT u.id, p.id FROM auth_user u, {PERMISSION} AND u.username = ?",
                *permission.split("."),
                name,
            )

    def grant_by_group(self, name, group, *permissions):
        self.database.sql("INSERT INTO auth_group (name) VALUES (?)", group)
        for permission in permissions:
            self.database.sql(
                "INSERT INTO auth_group_permissions (group_id, permission_id) "
                f"SELECT g.id, p.id FROM auth_group g, {PERMISSION} AND g.name = ?",
                *permission.split("."),
                group,
            )
        self.database.sql(
            "INSERT INTO auth_user_groups (user_id, group_id) "
            "SELECT u.id, g.id FROM auth_user u, auth_group g WHERE u.username = ? AND g.name = ?",
            name,
            group,
        )


PERMISSION = (
    "auth_permission p, django_content_type c WHERE p.content_type_id = c.id AND c.app_label = ? AND p.codename = ?"
)
