"""Rows of JSON whose values are not of their types, dealt with as the settings say."""

from __future__ import annotations

import json
import re
from typing import Any

from flow_singer.errors import RecordError
from flow_singer.reading.textrows import Misfits
from flow_singer.singer.linenumbers import each_line, runs_of
from flow_singer.singer.schema import Kind, StreamSchema
from flow_singer.tabular.literals import NumberText, dump
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder

_PROPERTY = re.compile(r", property '(.*?)' does not fit its SCHEMA: ", re.DOTALL)


def mended(part: Part, schema: StreamSchema, misfits: Misfits) -> Part:
    """The rows of a part: texts that stand for numbers as these, what else does not fit null, or its row left out.

    Args:
        part: RECORD lines, some of which do not fit.
        schema: of their stream.
        misfits: says what becomes of them, and counts.

    Raises:
        RecordError: a row does not fit, and nothing was said to become of it; or it is no object at all.
    """
    decoder = RecordDecoder(schema)
    lines, numbers = [], []
    for number, line in zip(each_line(part.lines), part.data.split(b"\n"), strict=False):
        kept = _mended_line(line, number, decoder, misfits)
        if kept is not None:
            lines.append(kept)
            numbers.append(number)
    return Part(b"".join(one + b"\n" for one in lines), runs_of(numbers))


def _mended_line(line: bytes, number: int, decoder: RecordDecoder, misfits: Misfits) -> bytes | None:
    while True:
        try:
            decoder.decode([Part(line + b"\n", [(number, 1)])])
            return line
        except RecordError as error:
            found = _PROPERTY.search(error.message)
            message: dict[str, Any] = json.loads(line, parse_float=NumberText, parse_int=NumberText)
            if found is None or message["record"].get(found[1]) is None:
                raise
            name = found[1]
            value = _from_text(message["record"][name], decoder.schema.properties[name].kind)
            if value is None:
                if misfits.on_error == "error":
                    raise
                if misfits.on_error == "skip":
                    misfits.skipped += 1
                    return None
                misfits.nulled[name] = misfits.nulled.get(name, 0) + 1
            message["record"][name] = value
            line = dump(message).encode("ascii")


def _from_text(value: Any, kind: Kind) -> NumberText | bool | None:
    """The number or boolean that a text stands for: Table Schema reads `"1565"` as an integer; None: for none."""
    if type(value) is not str:
        return None
    text = value.strip()
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower())
    if kind in ("integer", "number", "decimal") and re.fullmatch(
        _NUMBER if kind != "integer" else r"-?(0|[1-9]\d*)", text
    ):
        return NumberText(text)
    return None


_NUMBER = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"
