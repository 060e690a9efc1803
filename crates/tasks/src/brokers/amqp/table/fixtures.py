"""Writes fixtures.json: headers, and the bytes that py-amqp makes of them. Needs py-amqp 5:

    python fixtures.py
"""
import datetime
import decimal
import io
import json
from pathlib import Path

from amqp.serialization import _write_table, loads

# Both ways. Names in order, as a sorted map writes them.
BOTH = [
    {},
    {"a": None, "b": True, "c": False},
    {"a": 0, "b": -1, "c": 2**31 - 1, "d": -(2**31) + 1},
    {"a": 1.5, "b": -0.0, "c": 1e300, "d": 0.1},
    {"a": "", "b": "text", "é": "ünï \U0001f600"},
    {"timelimit": [None, 5.5], "z": []},
    {"stamps": {}, "t": {"a": {"b": [1, [2, {"c": None}]]}}},
    {
        "argsrepr": "(2, 3)", "eta": "2030-01-01T00:00:00+00:00", "expires": None, "group": None, "group_index": None,
        "id": "6f0e9a2e-9f0c-4d5d-8f0c-2d2f6f0e9a2e", "ignore_result": False, "kwargsrepr": "{}", "lang": "py",
        "origin": "gen1@host", "parent_id": None, "replaced_task_nesting": 0, "retries": 0, "shadow": None,
        "stamped_headers": None, "stamps": {}, "task": "shop.add", "timelimit": [None, None],
    },
]

# py-amqp writes 'L' before long integers, lapin 'l'; both read both.
LONG = [{"a": 2**31, "b": -(2**31), "c": 2**63 - 1, "d": -(2**63)}]

# What Python can write, and JSON cannot say.
READ = [
    ({"d": decimal.Decimal("3.14"), "n": decimal.Decimal("-0.5")}, {"d": 3.14, "n": -0.5}),
    ({"t": datetime.datetime(2023, 11, 14, 22, 13, 20)}, {"t": "2023-11-14T22:13:20"}),
    ({"b": b"bytes"}, {"b": "bytes"}),
]


def table(headers):
    out = io.BytesIO()
    _write_table(headers, out.write, [])
    return out.getvalue()


def entry(headers, read=None):
    data = table(headers)
    if read is None:
        assert loads("F", data, 0)[0] == [headers]
    return {"headers": headers if read is None else read, "bytes": data.hex()}


if __name__ == "__main__":
    fixtures = {
        "both": [entry(headers) for headers in BOTH],
        "long": [entry(headers) for headers in LONG],
        "read": [entry(headers, read) for headers, read in READ],
    }
    text = json.dumps(fixtures, indent=1, ensure_ascii=False)
    Path(__file__).with_name("fixtures.json").write_text(text + "\n")
