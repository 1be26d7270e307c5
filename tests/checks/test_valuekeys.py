"""Keys are equal where the values are, and nowhere else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flow_singer.checks.valuekeys import keys_of_values
from flow_singer.singer.schema import read_property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT

ANY = read_property("c", {})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1.0", True),
        ("1e2", "100", True),
        ("1", '"1"', False),
        ("0.10", "1e-1", True),
        ("-0", "0", True),
        ("9007199254740993", "9007199254740992", False),
        ("18446744073709551616", "18446744073709551617", False),
        ('{"a":1,"b":[2]}', '{ "b": [2.0], "a": 1 }', True),
        ('{"a":1}', '{"a":"1"}', False),
        ('{"a":null}', "{}", False),
        ("[1,2]", "[2,1]", False),
        ('"\\u0061"', '"a"', True),
        ('"true"', "true", False),
        ("1e999999999999999999999", "1e999999999999999999999", True),
    ],
)
def test_values_of_any_type(one: str, other: str, same: bool) -> None:
    keys = keys_of_values([(ANY, Column(pa.array([one, other], TEXT), as_json=True))])
    assert ((keys.high[0], keys.low[0]) == (keys.high[1], keys.low[1])) is same


def test_integers_of_either_carrier_are_the_same() -> None:
    whole = read_property("c", {"type": "integer"})
    numbers = [0, -1, 2**63 - 1, -(2**63)]
    plain = keys_of_values([(whole, Column(pa.array(numbers, pa.int64()), as_json=False))])
    texts = keys_of_values([(whole, Column(pa.array([f"{one}.0" for one in numbers], TEXT), as_json=True))])
    assert plain.high.tolist() == texts.high.tolist()
    assert plain.low.tolist() == texts.low.tolist()
    assert sorted(plain.high.tolist()) == plain.high[[3, 1, 0, 2]].tolist()


def test_two_columns_do_not_run_into_each_other() -> None:
    text = read_property("c", {"type": "string"})
    first = Column(pa.array(["a", "ab", "1:a"], TEXT), as_json=False)
    second = Column(pa.array(["bc", "c", ""], TEXT), as_json=False)
    keys = keys_of_values([(text, first), (text, second)])
    assert len({*zip(keys.high.tolist(), keys.low.tolist(), strict=True)}) == 3
