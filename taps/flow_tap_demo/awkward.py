"""Values of the setting `hard`: legal in Singer and JSON, and known to break readers and writers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


_TEXT: Final = [
    "",
    " ",
    "  around  ",
    "null",
    "None",
    "NaN",
    "N/A",
    "true",
    "007",
    "1e5",
    "-0",
    "2020-01-01",
    "=1+1",
    "\\N",
    '"',
    '""',
    "'",
    "\\",
    "\\n",
    'a,"b";c|d\te',
    "line\nfeed",
    "lone\rreturn",
    "\r\n",
    "next\u0085line\u2028separators\u2029",
    "\ufeffbyte order mark",
    "\u202eright to left",
    "e\u0301 is not \u00e9",
    "👩\u200d👩\u200d👧\u200d👦 \U0001d4b3 𠮷 \U000e0041 \U000f0000 \U0010fffd",
    "\x1b[31m\x7f\x01",
    '{"json": [1, "in text"]}',
    "%d %s {} ${HOME}",
]

_VALUES: Final[dict[str, list[Any]]] = {
    "text": _TEXT,
    # Longer than the 131 072 characters that Python's csv module reads by default.
    "long_text": [*_TEXT, "long " * 28_000],
    "integer": [
        0,
        -1,
        2**31,
        2**53 - 1,
        2**53,
        2**53 + 1,
        -(2**53) - 1,
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64,
        2**70 + 1,
        -(2**63),
        -(2**63) - 1,
        10**37 + 1,
    ],
    "float": [0.1, 0.1 + 0.2, -0.0, 0.0, 1e-7, 5e-324, 1e22, 1.7976931348623157e308, -123456789.12345679],
    "money": [
        Decimal(text)
        for text in (
            "0.07",
            "0.00",
            "1.10",
            "-0.01",
            "12.3",
            "12",
            "1E+2",
            "99999999999999.99",
            "9" * 34 + ".99",
        )
    ],
    "decimal_text": ["12.30", "0.1000", "-0.01", "0", "-0", "1E-10", "1E5", "9" * 34 + ".9999"],
    "date_time": [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.999999Z",
        "2016-02-29T12:00:00+00:00",
        "2018-03-25T02:30:00+14:00",
        "2018-10-28T02:30:00-12:00",
        "2017-06-01T12:00:00.1Z",
        "2017-06-01T12:00:00.123456789Z",
        "2017-06-01T12:00:00.000000Z",
    ],
    "date": ["0001-01-01", "9999-12-31", "1582-10-10", "1969-12-31", "2016-02-29"],
    "object": [
        {},
        {"": 1, "a.b": 2, "with space": 3, "ключ": 4, '"': 5, "A": 6, "a": 7},
        {"mixed": [1, "1", 1.5, True, None, [], {}, [[]], {"x": None}]},
        {"big": 2**64 + 1, "small": 5e-324, "negative zero": -0.0, "decimal": Decimal("1.10")},
        _nested(60),
        {"keys": {f"k{number}": number for number in range(300)}},
    ],
}


def values(kind: str, hard: bool) -> list[Any]:
    """The awkward values of a kind; none if `hard` is off."""
    return _VALUES[kind] if hard else []
