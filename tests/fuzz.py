"""Looks for input that Flow loses, changes or stumbles over: `python tests/fuzz.py --minutes 60 --seed N`.

Four targets in turn, each with inputs that Hypothesis draws and, where one fails, makes as small as it can:

- reader: each line of mutated bytes, cut anywhere, is in a run, rejected, or blank.
- schema: any JSON Schema is read, widened and described, or refused with a message.
- transform: each record comes out of functions that change nothing as it was, or is rejected.
- package: each record is in the package as it was, or is rejected.

Not part of the tests: those ask for the same of a few hundred inputs. Exit code 1 where anything failed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from packages import FORMATS, check, write
from pushed import functions_of, push, state
from strategies import DEFINITIONS, NAMES, PROPERTIES, Typed, record_line, typed_streams

from flow_singer.errors import DataError, MessageError, RecordError, TransformError
from flow_singer.singer.fields import field_of
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.messages import MessageReader
from flow_singer.singer.schema import StreamSchema, widen, with_null, without_null
from flow_singer.tabular import recorddecoder

ROUND_EXAMPLES = 200
recorddecoder.is_worth_it = lambda read, unread: True  # type: ignore[assignment]
COUNTS: Counter[str] = Counter()
TARGETS: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {}
FORMS = {
    "batch": "def s(df):\n    return df\n",
    "rows": "def s(row):\n    return row\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    return df\n",
}
FUNCTIONS = {
    form: functions_of(code, Path(tempfile.mkdtemp(prefix="flow-fuzz-"))) for form, code in FORMS.items()
}


def target(*drawn: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a function called with what these strategies draw; what it raises is a failure."""

    def register(check: Callable[..., None]) -> Callable[..., None]:
        TARGETS[check.__name__] = check, drawn
        return check

    return register


# ---------------------------------------------------------------------------------------------- mutations

_SCRAPS = [
    *(b"", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" "),
    *(b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"1e-400"),
    *(
        b"1E23",
        b"-0",
        b"0.10",
        b"18446744073709551616",
        b'"\\ud800"',
        b'"\\u0000"',
        b'"x":',
        b'"id":1,',
        b"{}",
    ),
    *(b'"type":"STATE",', b'"stream":"t",', b'"record":{},', b'"record":null,', b'"a\\"b":1,', b"[" * 1200),
]
Mutation = tuple[int, int, int, bytes]
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 2000), st.integers(0, 12), st.sampled_from(_SCRAPS)),
    max_size=3,
)
CUTS = st.lists(st.integers(0, 4000), max_size=4)


def mutated(lines: list[bytes], mutations: list[Mutation]) -> list[bytes]:
    """The lines with bytes replaced: (which line, where, how many, by what)."""
    lines = list(lines)
    for which, where, count, scrap in mutations:
        if lines and (one := lines[which % len(lines)]):
            start = where % len(one)
            lines[which % len(lines)] = one[:start] + scrap + one[start + count :]
    return lines


def blocks_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


def numbered(data: bytes) -> dict[int, bytes]:
    """Lines that are not blank, by their number."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return {number: line for number, line in enumerate(lines, 1) if line.strip()}


# ------------------------------------------------------------------------------------------------- reader


@target(
    st.lists(
        typed_streams(most=3).map(lambda stream: b"".join([stream.head, *stream.lines]))
        | st.sampled_from([state({"a": 1}), record_line({"id": "1"}, stream="t"), b"\n", b"{}\n", b"log\n"]),
        max_size=4,
    ),
    MUTATIONS,
    CUTS,
    st.booleans(),
    st.booleans(),
)
def reader(
    parts: list[bytes], mutations: list[Mutation], cuts: list[int], decodes: bool, strict: bool
) -> None:
    data = b"".join(mutated(b"".join(parts).splitlines(keepends=True), mutations))
    rejected: list[tuple[int, bytes]] = []
    one = MessageReader(
        ("s",),
        decodes=decodes,
        reject=None if strict else lambda number, line, error: rejected.append((number, line)),
    )
    runs = []
    try:
        for block in blocks_of(data, cuts):
            runs += list(one.push(block))
        runs += list(one.finish())
    except DataError:
        assert strict, "raised, although there is a place for bad lines"
        COUNTS["reader: refused"] += 1
        return
    found = list(rejected)
    for run in runs:
        assert run.data.endswith(b"\n")
        assert run.count == len(run.texts)
        found += [both for both in zip(each_line(run.lines), run.texts, strict=True) if both[1].strip()]
    assert len(found) == len(dict(found)), "a line came twice"
    assert dict(found) == numbered(data)
    records = sum(run.count for run in runs if run.type == "RECORD")
    assert sum(one.records.values()) == records
    COUNTS["reader: lines"] += len(found)
    COUNTS["reader: rejected"] += len(rejected)


# ------------------------------------------------------------------------------------------------- schema

_WORDS = st.sampled_from(
    [
        *(
            "type",
            "format",
            "properties",
            "items",
            "required",
            "enum",
            "const",
            "anyOf",
            "oneOf",
            "allOf",
            "$ref",
        ),
        *(
            "multipleOf",
            "maximum",
            "minLength",
            "pattern",
            "title",
            "additionalProperties",
            "definitions",
            "a",
        ),
    ]
)
_LEAVES = st.sampled_from(
    [
        *("string", "integer", "number", "boolean", "null", "object", "array", "date", "date-time", "time"),
        *(
            "singer.decimal",
            "#",
            "#/properties/a",
            "#/definitions/a",
            "#/",
            "http://x/y",
            "a",
            "",
            "^(",
            "\ud800",
        ),
        *(None, True, False, 0, -1, 0.01, 1e-38, 10**38, 1e300, [], {}),
    ]
)
SCHEMAS = st.recursive(
    st.one_of(_LEAVES, st.sampled_from([one for one, _, _ in PROPERTIES.values()])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=10,
)
PROPERTY = st.dictionaries(_WORDS, SCHEMAS, max_size=4) | SCHEMAS
MESSAGES = st.builds(
    lambda properties, words: {
        "type": "object",
        "properties": properties,
        "definitions": DEFINITIONS,
        **words,
    },
    st.dictionaries(st.sampled_from(NAMES), PROPERTY, max_size=3),
    st.dictionaries(_WORDS, SCHEMAS, max_size=2),
)


@target(
    MESSAGES, PROPERTY, st.sampled_from([[], ["a"], ["nowhere"], "a", [1], None]), st.sampled_from(FORMATS)
)
def schema(root: dict[str, Any], other: Any, key: Any, form: str) -> None:
    message = {"type": "SCHEMA", "stream": "s", "schema": root, "key_properties": key}
    data = json.dumps(message).encode() + b"\n"
    try:
        one = StreamSchema(message)
    except MessageError:
        COUNTS["schema: refused"] += 1
        return
    for found in one.properties.values():
        json.dumps(field_of(found, required=False))
        with_null(found.json_schema, root)
        without_null(found.json_schema)
        if isinstance(other, dict):
            widen(found.json_schema, other, root)
            widen(other, found.json_schema, root)
    try:
        with tempfile.TemporaryDirectory(prefix="flow-fuzz-") as folder:
            write(Path(folder) / "p", [data], form)
    except DataError:  # no column at all
        COUNTS["schema: no package"] += 1
    for form_of_function, functions in FUNCTIONS.items():
        try:
            for line in push(functions, data + record_line({"a": "null"})).lines:
                json.loads(line)
        except DataError:
            COUNTS[f"schema: refused by {form_of_function}"] += 1
    COUNTS["schema: read"] += 1


# ---------------------------------------------------------------------------------------------- transform


def by_value(line: bytes) -> Any:
    """A message whose numbers are compared by value, and whose null and absent keys are one."""
    message = json.loads(line, parse_int=_Number, parse_float=_Number)
    if isinstance(message, dict) and isinstance(record := message.get("record"), dict):
        message["record"] = {key: value for key, value in record.items() if value is not None}
    return message


class _Number:
    """A JSON number by its value: `1E5` is `100000.0`; a number is never a text."""

    def __init__(self, text: str) -> None:
        digits, _, exponent = text.lower().partition("e")
        whole, _, fraction = digits.lstrip("-").partition(".")
        self.digits = (whole + fraction).lstrip("0").rstrip("0")
        zeros = len((whole + fraction).lstrip("0")) - len(self.digits)
        self.power = int(exponent or 0) - len(fraction) + zeros if self.digits else 0
        self.negative = text.startswith("-") and bool(self.digits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Number) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{'-' * self.negative}{self.digits}e{self.power}"


@target(
    typed_streams(),
    MUTATIONS,
    CUTS,
    st.integers(1, 7),
    st.sampled_from(sorted(FORMS)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def transform(
    stream: Typed,
    mutations: list[Mutation],
    cuts: list[int],
    size: int,
    form: str,
    undeclared: bool,
    beside: bool,
    some: bool,
) -> None:
    functions = FUNCTIONS[form]
    if some and form == "batch":
        functions = [replace(one, columns=tuple(sorted(stream.kinds)[:2])) for one in functions]
    lines = stream.lines
    if beside:
        lines = [line.removesuffix(b"}\n") + b',"time_extracted":"t"}\n' for line in lines]
    lines = mutated(lines, mutations)
    if undeclared:
        lines = [record_line({**row, "more": "[1.50]"}) for row in stream.rows[:1]] + lines
    data = stream.head + b"".join(lines)
    try:
        out = push(functions, blocks_of(data, cuts), batch_records=size, reject=True)
    except TransformError as error:
        if form != "rows" or "a column's name has a lone surrogate" not in error.message:
            raise  # else a column that no SCHEMA has, under a name that no SCHEMA can have
        COUNTS["transform: refused"] += 1
        return
    given_lines = numbered(data)
    rejected = {number: line for number, _, line, _ in out.rejects}
    assert len(rejected) == len(out.rejects), "a line was rejected twice"
    assert all(given_lines[number] == line for number, line in rejected.items()), (
        "not the line that was rejected"
    )
    expected = [by_value(line) for number, line in given_lines.items() if number not in rejected]
    found = [by_value(line) for line in out.lines]
    for stream_name in {one.get("stream") for one in [*expected, *found]} - {None}:
        records = [
            [m for m in each if m["type"] == "RECORD" and m.get("stream") == stream_name]
            for each in (expected, found)
        ]
        assert records[0] == records[1], (
            f"records of {stream_name!r}: {records[0]} went in, {records[1]} came out"
        )
    COUNTS["transform: records"] += len(stream.rows)
    COUNTS["transform: rejected"] += len(rejected)


# ------------------------------------------------------------------------------------------------ package


@target(
    typed_streams(),
    MUTATIONS,
    CUTS,
    st.integers(1, 7),
    st.sampled_from(FORMATS),
    st.sampled_from([None, "\\N"]),
)
def package(
    stream: Typed, mutations: list[Mutation], cuts: list[int], size: int, form: str, csv_null: str | None
) -> None:
    lines = mutated(stream.lines, mutations)
    data = stream.head + b"".join(lines)
    rejects: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="flow-fuzz-") as folder:
        path = Path(folder) / "p"
        try:
            write(path, blocks_of(data, cuts), form, batch=size, csv_null=csv_null, rejects=rejects)
        except RecordError:
            assert b"\\ud" in data, "refused, although there is a place for bad records"
            COUNTS["package: refused"] += 1
            return
        rejected = {one[0] for one in rejects}
        messages = [json.loads(line) for number, line in numbered(data).items() if number not in rejected]
        raw = [
            _texts(line) for number, line in numbered(data).items() if number not in rejected and number > 1
        ]
        if any(message["type"] != "RECORD" for message in messages[1:]):
            return
        new = dict.fromkeys(name for row in raw for name in row if name not in stream.kinds)
        kinds = {**stream.kinds, **dict.fromkeys(new, "json")}
        check(path, kinds, raw, written=False)
    COUNTS["package: records"] += len(raw)
    COUNTS["package: rejected"] += len(rejects)


def _texts(line: bytes) -> dict[str, str]:
    """The JSON text of each value of a record."""
    record = json.loads(line, parse_int=_Raw, parse_float=_Raw)["record"]
    return {name: _dump(value) for name, value in record.items()}


class _Raw(str):
    """A number as it is written."""


def _dump(value: Any) -> str:
    match value:
        case _Raw():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{_dump(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value)


# --------------------------------------------------------------------------------------------------- runs


def fuzz(minutes: float, first_seed: int, names: list[str]) -> int:
    """Run the targets in turn; return how many different failures there were."""
    end = time.monotonic() + minutes * 60
    failures: set[str] = set()
    rounds: Counter[str] = Counter()
    print(f"seed {first_seed}, {minutes:g} minutes, targets {', '.join(names)}", flush=True)
    for number in itertools.count(first_seed):
        for name in names:
            if time.monotonic() >= end:
                _tell(rounds, failures)
                return len(failures)
            rounds[name] += 1
            try:
                _round(*TARGETS[name], number)
            except Exception as exc:
                place = traceback.extract_tb(exc.__traceback__)[-1]
                told = f"{name}: {type(exc).__name__} at {Path(place.filename).name}:{place.lineno}"
                if told not in failures:
                    failures.add(told)
                    notes = "\n".join(getattr(exc, "__notes__", []))
                    print(f"\nFAILED with seed {number}: {told}\n{str(exc)[:2000]}\n{notes}", flush=True)
    raise AssertionError("itertools.count does not end")


def _round(check: Callable[..., None], drawn: tuple[Any, ...], number: int) -> None:
    options = settings(
        max_examples=ROUND_EXAMPLES,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(options(given(*drawn)(check)))()


def _tell(rounds: Counter[str], failures: set[str]) -> None:
    for name, count in rounds.items():
        print(f"{name}: {count} rounds of up to {ROUND_EXAMPLES} inputs")
    for what, count in sorted(COUNTS.items()):
        print(f"  {what}: {count}")
    print(f"{len(failures)} failures" + "".join(f"\n  {one}" for one in sorted(failures)))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    return 1 if fuzz(options.minutes, options.seed, options.target or list(TARGETS)) else 0


if __name__ == "__main__":
    sys.exit(main())
