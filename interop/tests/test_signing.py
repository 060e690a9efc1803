"""django.core.signing over HTTP: what either signs, the other reads, or refuses for the same reason."""

import json

import pytest

from forging import signed
from servers import SECRET_KEY, django_versions
from values import VALUES
from visitor import send

SALTS = ["django.core.signing", "", "a:salt", "소금 🧂"]
ROTATING = {"SECRET_KEY": "the-key-that-came-later-is-long", "SECRET_KEY_FALLBACKS": [SECRET_KEY]}


@pytest.fixture(scope="module")
def settings(shared_store):
    return shared_store("db/sqlite").settings


@pytest.fixture(scope="module", params=django_versions())
def sides(request, settings, django, probe):
    return django(request.param, **settings), probe(**settings)


@pytest.fixture(params=["django_signs", "probe_signs"])
def signer_and_reader(request, sides):
    return sides if request.param == "django_signs" else sides[::-1]


def dumps(server, value, salt="salt", compress=False):
    answer = send(server, "POST", "/signing/dumps", body={"obj": value, "salt": salt, "compress": compress})
    assert answer.status == 200, answer
    return read(answer)["value"]


def loads(server, text, salt="salt", **more):
    answer = send(server, "POST", "/signing/loads", body={"value": text, "salt": salt, **more})
    return answer.status, read(answer)


def read(answer):

    return json.loads(answer.text)


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_signed_and_read(signer_and_reader, name, compress):
    signer, reader = signer_and_reader
    value = {"v": VALUES[name]}
    status, body = loads(reader, dumps(signer, value, compress=compress))
    assert status == 200
    assert repr(body["obj"]) == repr(value)


@pytest.mark.parametrize("salt", SALTS)
def test_the_salt_must_be_the_same(signer_and_reader, salt):
    signer, reader = signer_and_reader
    text = dumps(signer, [1, 2], salt)
    assert loads(reader, text, salt) == (200, {"obj": [1, 2]})
    assert loads(reader, text, salt + "x") == (400, {"error": "BadSignature"})


@pytest.mark.parametrize("value", ["a" * 500, {"a": 1}, "", [0] * 1000])
def test_compression_is_used_where_it_pays_and_only_there(sides, value):
    django, probe = (dumps(side, value, compress=True) for side in sides)
    assert django.startswith(".") == probe.startswith(".")
    if not django.startswith("."):
        assert django.split(":")[0] == probe.split(":")[0]


@pytest.mark.parametrize("name", VALUES)
def test_the_payload_is_the_same_to_the_byte(sides, name):
    django, probe = (dumps(side, [VALUES[name]]) for side in sides)
    assert django.split(":")[0] == probe.split(":")[0]


@pytest.mark.parametrize("age", [0, 5, 99, 101, 10_000])
def test_the_maximal_age_counts_in_seconds(sides, age):
    text = signed({"a": 1}, salt="salt", age=age)
    expected = (200, {"obj": {"a": 1}}) if age < 100 else (400, {"error": "SignatureExpired"})
    for side in sides:
        assert loads(side, text, max_age=100) == expected
        assert loads(side, text) == (200, {"obj": {"a": 1}})


def test_a_signature_from_the_future_is_read(sides):
    text = signed({"a": 1}, salt="salt", age=-500)
    for side in sides:
        assert loads(side, text, max_age=100) == (200, {"obj": {"a": 1}})


def test_a_changed_character_anywhere_is_a_bad_signature(sides):
    text = dumps(sides[0], {"a": 1})
    for place in range(len(text)):
        changed = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        statuses = [loads(side, changed) for side in sides]
        assert statuses == [(400, {"error": "BadSignature"})] * 2, changed


@pytest.mark.parametrize("text", ["", ":", "::", ":::", "abc", "a:b:c", ".:.:.", "한:글:값", "a" * 10_000, "\x00", "eyJ9:1tXyZA:"])
def test_what_is_no_signed_value_is_a_bad_signature(sides, text):
    for side in sides:
        assert loads(side, text) == (400, {"error": "BadSignature"})


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"nul", b"[1"])
def test_well_signed_rubbish_is_a_bad_signature(sides, payload):
    for side in sides:
        assert loads(side, signed(payload, salt="salt")) == (400, {"error": "BadSignature"})


@pytest.mark.parametrize("version", django_versions())
def test_fallback_keys_read_and_the_new_key_signs(version, settings, django, probe):
    old = django(version, **settings), probe(**settings)
    new = django(version, **settings, **ROTATING), probe(**settings, **ROTATING)
    for writer in old:
        for reader in new:
            assert loads(reader, dumps(writer, 1)) == (200, {"obj": 1})
    for writer in new:
        for reader in old:
            assert loads(reader, dumps(writer, 1)) == (400, {"error": "BadSignature"})


@pytest.mark.parametrize("path", ["/signing/dumps", "/signing/loads"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"salt": "s"}', b'{"obj": 1, "value": 1, "salt": 1, "compress": 1}'])
def test_a_request_that_is_not_of_the_contract_is_400(sides, path, body):
    for side in sides:
        assert send(side, "POST", path, body=body).status == 400
