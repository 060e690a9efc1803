"""Writes fixtures.json: what Django's validators say of passwords, and what Python takes for a digit and a letter.

Needs django:

    python fixtures.py
"""

import itertools
import json
import pathlib
import re
import sys

import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"])
django.setup()

from django.contrib.auth import password_validation as validation  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.exceptions import ValidationError  # noqa: E402

FIELDS = ["username", "first_name", "last_name", "email"]
USERS = [
    {},
    dict(username="testclient", first_name="Test", last_name="Client", email="testclient@example.com"),
    dict(username="jürgen_müller-42", first_name="Jürgen", last_name="MÜLLER", email="j.mueller+shop@exämple.de"),
    dict(username="김철수", first_name="철수", last_name="김", email="chulsoo.kim@example.kr"),
    dict(username="हिन्दी शब्द", first_name="ⓐⓑⓒ İstanbul", last_name="ΣΟΦΟΣ", email=""),
    dict(username=".dotted.", first_name="-", last_name="a" * 150, email="a" * 60 + "@" + "b" * 60),
]
PASSWORDS = [
    "", " ", "a", "testclient", "TESTCLIENT", "tEsTcLiEnT1", "client-test", "example.com", "testclientX" * 3, "nettilcets",
    "test" * 30, "jurgen", "jürgen", "JÜRGEN_MÜLLER", "müller-42", "mueller", "exämple", "jmueller", "shop",
    "김철수", "철수김", "chulsoo", "kim.chulsoo", "हिन्दी", "हनद", "शब्द", "istanbul", "i̇stanbul", "ⓐⓑⓒ", "ABC", "σοφος", "σοφοσ",
    "dotted", ".dotted.", "-", "--", "a" * 100, "a" * 1500, "b" * 60, "ab" * 60, "correct horse battery", "password",
    "12345678", "1234567", "٣٤٥٦٧٨٩٠", "²³¹²³¹²³", "①②③④⑤⑥⑦⑧", "½½½½½½½½", "ⅧⅧⅧⅧⅧⅧⅧⅧ", "一二三四五六七八", "1234567a", "from-my-list", " From-My-LIST\n",
]
VALIDATORS = [
    ["UserAttributeSimilarityValidator", {}],
    ["UserAttributeSimilarityValidator", {"user_attributes": ["first_name", "nothing", "email"], "max_similarity": 0.3}],
    ["UserAttributeSimilarityValidator", {"max_similarity": 1}],
    ["UserAttributeSimilarityValidator", {"max_similarity": 0.1}],
    ["MinimumLengthValidator", {}],
    ["MinimumLengthValidator", {"min_length": 1}],
    ["MinimumLengthValidator", {"min_length": 12}],
    ["NumericPasswordValidator", {}],
]
MODULE = "django.contrib.auth.password_validation."


def answer(validator, password, user):
    try:
        validator.validate(password, user)
    except ValidationError as error:
        return [error.code, *error.messages]
    return None


def judged(name, options):
    [validator] = validation.get_password_validators([{"NAME": MODULE + name, "OPTIONS": options}])
    answers = (
        [password, index, answer(validator, password, User(**attributes) if attributes else None)]
        for password in PASSWORDS
        for index, attributes in enumerate(USERS)
    )
    return {
        "name": MODULE + name,
        "options": options,
        "help_text": validator.get_help_text(),
        "refused": [refused for refused in answers if refused[2]],
    }


def ranges(matches):
    points = [point for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000 and matches(chr(point))]
    groups = itertools.groupby(enumerate(points), lambda pair: pair[1] - pair[0])
    return [[run[0][1], run[-1][1]] for run in (list(group) for _, group in groups)]


fixtures = {
    "users": [
        [[name, str(User._meta.get_field(name).verbose_name), user[name]] for name in FIELDS if name in user] for user in USERS
    ],
    "passwords": PASSWORDS,
    "validators": [judged(*validator) for validator in VALIDATORS],
    "digits": ranges(str.isdigit),
    "numbers_but_no_digits": ranges(lambda character: character.isnumeric() and not character.isdigit()),
    "words": ranges(re.compile(r"\w").fullmatch),
    "spaces": ranges(str.isspace),
}
path = pathlib.Path(__file__).with_name("fixtures.json")
path.write_text(json.dumps(fixtures, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
