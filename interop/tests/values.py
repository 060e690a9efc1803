"""Values that one side writes and the other must read."""

import json

# By name, so that a failing test says which.
VALUES = {
    "korean": "안녕하세요, 세션",
    "emoji": "🦀👨‍👩‍👧🇰🇷",
    "tenth": 0.1,
    "large_float": 1e16,
    "small_float": 1e-7,
    "whole_float": 5.0,
    "negative_zero": -0.0,
    "largest_float": 1.7976931348623157e308,
    "smallest_float": 5e-324,
    "big_integer": 2**70,
    "negative_big_integer": -(2**70),
    "sixty_four_bits": 2**64 - 1,
    "zero": 0,
    "negative": -1,
    "nested": {"a": [1, {"b": [[], {}, [None, [True, {"c": "끝"}]]]}]},
    "empty_list": [],
    "empty_object": {},
    "empty_string": "",
    "null": None,
    "true": True,
    "false": False,
    "quotes": "\"double\" 'single' `back`",
    "backslashes": "C:\\new\\table\\u0041 \\\\",
    "controls": "".join(map(chr, range(0x20))) + "\x7f\x80\x9f",
    "separators": "line\u2028paragraph\u2029bom\ufeff",
    "latin": "ÄÖÜß é ÿ",
    "markup": "<script>&amp;</script>",
    "top_of_unicode": "\U0010ffff\uffff\ufffe",
    "키": {"嵌套 🔑": "non-ASCII keys", "": "an empty key", "a b\n\"c\"": 1},
    "order": {"z": 1, "a": 2, "m": 3, "10": 4, "9": 5},
    "deep": [[[[[[[[[[[[[[[["bottom"]]]]]]]]]]]]]]]],
}


def exactly(value):
    """Text that tells 5 from 5.0, 0.0 from -0.0, and one order of keys from another."""
    return json.dumps(value)
