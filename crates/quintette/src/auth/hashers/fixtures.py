"""Writes fixtures_5_2.json or fixtures_4_2.json: hashes that Django makes, and what it says of others.

Needs django, argon2-cffi and bcrypt below version 5 (which refuses passwords that Django documents as cut):

    python fixtures.py
"""

import json
import pathlib

import argon2
import bcrypt
import django
from django.conf import settings

settings.configure()
django.setup()

from django.contrib.auth import hashers  # noqa: E402

PASSWORDS = [
    "",
    " ",
    "lètmein",
    "한국어 비밀번호 🔑",
    "a\0b",
    "\0",
    "x" * 71,
    "x" * 72,
    "x" * 73,
    "é" * 40,
    "ééé" * 24 + "\0tail",
    "$!%s",
    "long " * 200,
]
SALT = "seasaltseasaltseasalt2"
BCRYPT_SALT = "$2b$04$abcdefghijklmnopqrstuu"

# Each hasher, cheap and as it is.
CHEAP = {
    "PBKDF2PasswordHasher": {"iterations": 3},
    "PBKDF2SHA1PasswordHasher": {"iterations": 3},
    "Argon2PasswordHasher": {"time_cost": 1, "memory_cost": 64, "parallelism": 2},
    "BCryptSHA256PasswordHasher": {"rounds": 4},
    "BCryptPasswordHasher": {"rounds": 4},
    "ScryptPasswordHasher": {"work_factor": 16, "block_size": 2, "parallelism": 3},
    "MD5PasswordHasher": {},
}


def made(name, password, parameters, salt):
    hasher = type(name, (getattr(hashers, name),), parameters)()
    if name.startswith("BCrypt"):
        salt = f"$2b${hasher.rounds:02}{BCRYPT_SALT[6:]}"
    own = {key: getattr(hasher, key) for key in CHEAP[name]}
    encoded = hasher.encode(password, salt.encode() if name.startswith("BCrypt") else salt)
    return {"hasher": name, "parameters": own, "password": password, "salt": salt, "encoded": encoded}


def argon2_hash(variety, version, salt=SALT, length=32):
    types = {"id": argon2.low_level.Type.ID, "i": argon2.low_level.Type.I, "d": argon2.low_level.Type.D}
    encoded = argon2.low_level.hash_secret(
        b"password", salt.encode(), 1, 64, 2, length, types[variety], version
    )
    return "argon2" + encoded.decode()


def questions():
    """Hashes to judge: (the hasher's name, the hash). The password is always "password"."""
    for variety in ["id", "i", "d"]:
        for version in [16, 19]:
            yield "Argon2PasswordHasher", argon2_hash(variety, version)
    yield "Argon2PasswordHasher", argon2_hash("id", 19, "saltsalt")
    yield "Argon2PasswordHasher", argon2_hash("id", 19, length=16)
    good = argon2_hash("id", 19)
    yield "Argon2PasswordHasher", argon2_hash("i", 16).replace("$v=16", "")
    for old, new in [
        ("m=64", "m=064"), ("m=64", "m=+64"), ("m=64,t=1", "t=1,m=64"), ("v=19", "v=18"), ("argon2id", "argon2x"),
        ("p=2", "p=0"), ("p=2", "p=9"), ("t=1", "t=0"), (",p=2", ""), ("$m", "$$m"), (good[-1], ""),
    ]:
        yield "Argon2PasswordHasher", good.replace(old, new)
    yield "Argon2PasswordHasher", good + "$"
    yield "Argon2PasswordHasher", "argon2$"

    good = hashers.PBKDF2PasswordHasher().encode("password", SALT, 3)
    yield "PBKDF2PasswordHasher", good
    yield "PBKDF2PasswordHasher", hashers.PBKDF2PasswordHasher().encode("password", "short", 1000)
    yield "PBKDF2PasswordHasher", hashers.PBKDF2PasswordHasher().encode("password", "é" * 22, 1000)
    for old, new in [
        ("$3$", "$03$"), ("$3$", "$+3$"), ("$3$", "$ 3$"), ("$3$", "$-3$"), ("$3$", "$three$"), ("$3$", "$$"),
        (SALT, ""), ("=", ""), ("=", "=$"), ("pbkdf2_sha256$", "pbkdf2_sha256$$"),
    ]:
        yield "PBKDF2PasswordHasher", good.replace(old, new)
    yield "PBKDF2PasswordHasher", "pbkdf2_sha256$"
    yield "PBKDF2PasswordHasher", "pbkdf2_sha256$3"

    for name in ["BCryptPasswordHasher", "BCryptSHA256PasswordHasher"]:
        hasher = getattr(hashers, name)()
        good = hasher.encode("password", BCRYPT_SALT.encode())
        yield name, good
        for version in ["2a", "2x", "2y"]:
            yield name, hasher.encode("password", BCRYPT_SALT.replace("2b", version).encode())
        for old, new in [
            ("$04$", "$4$"), ("$04$", "$004$"), ("$04$", "$+4$"), ("$04$", "$03$"), ("$04$", "$32$"), ("$2b", "$2"),
            ("qrstuu", "qrstuv"), (good[-30:], ""), (good[-40:], ""), (good[-1], good[-1] + "$"), ("$$", "$"),
        ]:
            yield name, good.replace(old, new)

    hasher = hashers.ScryptPasswordHasher()
    good = hasher.encode("password", SALT, 16, 2, 3)
    yield "ScryptPasswordHasher", good
    yield "ScryptPasswordHasher", hasher.encode("password", "short")
    for old, new in [
        ("$16$", "$016$"), ("$16$", "$15$"), ("$16$", "$1$"), ("$16$", "$-16$"), ("$2$3$", "$3$2$"), ("$2$", "$"),
        (SALT, ""), ("=", "=$"), ("scrypt$", "scrypt$$"),
    ]:
        yield "ScryptPasswordHasher", good.replace(old, new)

    good = hashers.MD5PasswordHasher().encode("password", SALT)
    yield "MD5PasswordHasher", good
    yield "MD5PasswordHasher", hashers.MD5PasswordHasher().encode("password", "short")
    for old, new in [(SALT, ""), ("$sea", "$$sea"), (good[-1], ""), (good[-1], good[-1].upper() + "$")]:
        yield "MD5PasswordHasher", good.replace(old, new)


def answered(question, *arguments):
    try:
        return question(*arguments)
    except Exception as error:
        return type(error).__name__


def judged(name, encoded):
    hasher = getattr(hashers, name)()
    return {
        "hasher": name,
        "encoded": encoded,
        "verify": answered(hasher.verify, "password", encoded),
        "must_update": answered(hasher.must_update, encoded),
    }


version = "_".join(map(str, django.VERSION[:2]))
fixtures = {
    "cheap": [made(name, password, CHEAP[name], SALT) for name in CHEAP for password in PASSWORDS],
    "default": [made(name, "lètmein", {}, SALT) for name in CHEAP],
    "judged": [judged(name, encoded) for name, encoded in questions()],
}
path = pathlib.Path(__file__).with_name(f"fixtures_{version}.json")
path.write_text(json.dumps(fixtures, indent=1) + "\n")
