"""Lines, runs and marks."""

from __future__ import annotations

import itertools
import json
from bisect import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pushed import record, schema, state

from flow_singer.errors import MessageError
from flow_singer.singer import linebegins
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.marks import Header, MessageWriter, Trailer, add_mark, check_complete, split_mark
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.wholelines import LineSplitter
from flow_singer.tabular import parts

MESSAGES = (
    schema("a", {})
    + record("a", {"x": 1})
    + record("b", {})
    + record("a", {"t": "\u2028\u0085"})
    + state({"n": 1})
)


BEGIN = b'{"a'


def read(data: bytes, *cuts: int, wanted: tuple[str, ...] = ("a",), **options: object) -> list[Run]:
    reader = MessageReader(wanted, **options)  # type: ignore[arg-type]
    places = [0, *sorted(cuts), len(data)]
    runs = [run for a, b in itertools.pairwise(places) for run in reader.push(data[a:b])]
    return [*runs, *reader.finish()]


@given(st.lists(st.integers(0, len(MESSAGES)), max_size=6))
def test_blocks_may_end_anywhere(cuts: list[int]) -> None:
    runs = read(MESSAGES, *cuts)
    assert b"".join(run.data for run in runs) == MESSAGES
    assert [n for run in runs for n in each_line(run.lines)] == [1, 2, 3, 4, 5]
    assert all(run.stream == "a" for run in runs if run.type == "SCHEMA")


@given(st.lists(st.binary(max_size=5), max_size=10))
def test_splitter_loses_no_byte(blocks: list[bytes]) -> None:
    splitter = LineSplitter()
    whole = [splitter.push(block) for block in blocks]
    assert all(part == b"" or part.endswith(b"\n") for part in whole)
    assert b"".join(whole) + splitter.rest() == b"".join(blocks)


def test_records_of_other_streams_bear_no_name() -> None:
    assert [(run.type, run.stream, run.count) for run in read(MESSAGES)] == [
        ("SCHEMA", "a", 1),
        ("RECORD", "a", 1),
        ("RECORD", None, 1),
        ("RECORD", "a", 1),
        ("STATE", None, 1),
    ]


def test_blank_lines_are_skipped_but_counted() -> None:
    runs = read(b"\n" + state(1) + b"  \t\n\r\n" + state(2))
    assert [run.first_line for run in runs] == [2, 5]


def test_one_byte_order_mark_at_the_start_is_taken_off() -> None:
    assert read(b"\xef\xbb\xbf" + state(1))[0].data == state(1)
    with pytest.raises(MessageError, match="Line 2"):
        read(state(1) + b"\xef\xbb\xbf" + state(1))


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"3",
        b"[]",
        b"null",
        b"{}",
        b'{"type":1}',
        b'{"type":"RECORD","record":{}}',
        b'{"type":"SCHEMA","schema":{}}',
        b'{"a":1} {"b":2}',
        b"\xff\xfe",
        b'{"type":"STATE"} x',
    ],
)
def test_a_line_that_is_no_message_is_named(bad: bytes) -> None:
    with pytest.raises(MessageError, match="Line 2 is not a Singer message"):
        read(state(1) + bad + b"\n" + state(2))


def test_two_messages_on_one_line_are_refused() -> None:
    with pytest.raises(MessageError, match="Line 1"):
        read(state(1)[:-1] + state(2))


@pytest.mark.parametrize("blank", [b"\n", b" \t\r\n"])
@pytest.mark.parametrize("first", [record("a", {"id": 1}), schema("a", {}), b"{}\n"])
def test_two_messages_on_one_line_are_refused_also_beside_a_blank_line(first: bytes, blank: bytes) -> None:
    seen: list[tuple[int, bytes]] = []
    double = first[:-1] + state(1)
    assert read(blank + double, reject=lambda n, line, error: seen.append((n, line))) == []
    assert read(state(1) + blank + double, reject=lambda n, line, error: seen.append((n, line)))[0].count == 1
    assert seen == [(2, double[:-1]), (3, double[:-1])]


def test_an_excerpt_is_short_and_safe() -> None:
    with pytest.raises(MessageError) as caught:
        read(b"\x1b[31m" + b"x" * 10_000 + b"\n")
    assert len(caught.value.message) < 400
    assert "\x1b" not in caught.value.message


def test_rejected_lines_are_counted() -> None:
    seen: list[tuple[int, bytes]] = []
    runs = read(state(1) + b"junk\n" + state(2), reject=lambda n, line, error: seen.append((n, line)))
    assert seen == [(2, b"junk")]
    assert [run.first_line for run in runs] == [1, 3]


LINES = [
    b'{"type":"STATE","value":{"a":1.10}}',
    b'{ "value" : {"_flow": {"v": 1}} , "type" : "STATE" } ',
    b'{"type":"STATE","value":",\\"_flow\\":{}}"}',
]


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize(
    "mark",
    [
        Header("r", tap="t", resumed=("s",), full_refresh=True),
        Trailer("r", ok=False, code=3, lines=7, records={"s": 2}, reason='it "broke"'),
    ],
)
def test_a_mark_comes_off_and_leaves_the_line(text: bytes, mark: Header | Trailer) -> None:
    marked = add_mark(text, mark)
    assert json.loads(marked)["value"] == json.loads(text)["value"]
    line, found = split_mark(marked)
    assert found == mark
    assert line.replace(b" ", b"") == text.replace(b" ", b"")


def test_a_mark_is_found_behind_a_mapper_that_reorders_keys() -> None:
    marked = json.loads(add_mark(LINES[0], Header("r")))
    line, found = split_mark(json.dumps({"_flow": marked["_flow"], **marked}).encode())
    assert found == Header("r")
    assert "_flow" not in json.loads(line)


@pytest.mark.parametrize("text", LINES)
def test_a_line_without_a_mark_is_left_alone(text: bytes) -> None:
    assert split_mark(text) == (text, None)


def test_a_writer_frames_its_messages() -> None:
    out: list[bytes] = []
    writer = MessageWriter(lambda data: out.append(bytes(data)), Header("r"))
    writer.schema(schema("a", {})[:-1])
    writer.stream_records("a", record("a", {}) * 2, 2)
    writer.state(state(1)[:-1])
    writer.finish(ok=True)
    lines = b"".join(out).splitlines()
    assert split_mark(lines[0]) == (schema("a", {})[:-1], Header("r"))
    assert split_mark(lines[-1]) == (state(1)[:-1], Trailer("r", ok=True, lines=4, records={"a": 2}))
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("header", "trailer", "said"),
    [
        (None, None, None),
        (Header("r"), Trailer("r", ok=True, lines=3, records={"a": 1}), None),
        (Header("r"), None, "no end"),
        (Header("r"), Trailer("r", ok=False, code=69), "exit code 69"),
        (Header("r"), Trailer("r", ok=True, lines=4), "4 lines were sent, 3 arrived"),
        (Header("r"), Trailer("r", ok=True, lines=3, records={"a": 2}), "not those that were sent"),
    ],
)
def test_completeness(header: Header | None, trailer: Trailer | None, said: str | None) -> None:
    found = check_complete(header, trailer, 3, {"a": 1})
    assert found is None if said is None else said in str(found)


PLAIN = [record("a", {"id": 1, "t": 'x"y\\'}), record("a", {"id": 2}), record("a", {})]
OTHER = [
    schema("a", {}),
    state({"a": 1}),
    record("b", {"id": 1}),
    b'{"type":"RECORD","stream":"a","record":{"id":3}}\n',
    b'{"stream": "a", "type": "RECORD", "record": {"id": 3}}\n',
    b'{"type": "RECORD", "stream": "ab", "record": {"id": 3}}\n',
    b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 1}\n',
    b"\n",
]


@given(
    st.lists(st.sampled_from(PLAIN) | st.sampled_from(PLAIN) | st.sampled_from(OTHER), max_size=90),
    st.lists(st.integers(0, 6_000), max_size=4),
)
def test_a_look_at_the_first_bytes_finds_the_same_lines(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(lines)
    found = []
    for decodes in (False, True):
        runs = read(data, *cuts, decodes=decodes)
        found.append(
            [
                (number, run.type, run.stream, line)
                for run in runs
                for number, line in zip(each_line(run.lines), run.texts, strict=True)
            ]
        )
        others = [run.first_line for run in runs if run.type != "RECORD"]
        for run in runs:  # none of them crosses a message of another type
            assert run.count == run.data.count(b"\n")
            assert len({bisect(others, number) for number in each_line(run.lines)}) == 1
        for stream in ("a", None):
            numbers = [one[0] for one in found[-1] if one[2] == stream]
            assert numbers == sorted(numbers)
    assert found[0] == sorted(found[1])


def test_records_of_interleaved_streams_come_together_between_two_other_messages() -> None:
    turn = record("a", {"id": 1}) + record("b", {"id": 1}) + record("c", {"id": 1})
    data = turn * 20 + state(1) + turn
    runs = read(data, wanted=("a", "c"), decodes=True)
    assert [(run.type, run.stream, run.count) for run in runs] == [
        *[("RECORD", "a", 20), ("RECORD", None, 20), ("RECORD", "c", 20), ("STATE", None, 1)],
        *[("RECORD", "a", 1), ("RECORD", None, 1), ("RECORD", "c", 1)],
    ]
    assert list(each_line(runs[2].lines)) == list(range(3, 61, 3))
    assert runs[2].texts == [record("c", {"id": 1})[:-1]] * 20
    assert [run.count for run in read(turn * 2, wanted=("a", "c"))] == [1] * 6


@given(
    st.lists(
        st.one_of(st.just(b""), st.binary(max_size=3).map(BEGIN.__add__), st.binary(max_size=9)), max_size=9
    ),
    st.integers(1, 9),
)
def test_lines_that_begin_otherwise_are_found_with_and_without_numpy(rests: list[bytes], most: int) -> None:
    lines = [BEGIN, *(rest.replace(b"\n", b"") for rest in rests)]
    data = b"".join(line + b"\n" for line in lines)
    places = itertools.accumulate((len(line) + 1 for line in lines), initial=0)
    expected = [
        (number, place)
        for number, (line, place) in enumerate(zip(lines, places, strict=False))
        if not line.startswith(BEGIN)
    ]
    for find in (linebegins.other_lines, parts.other_lines):
        assert find(data, BEGIN, most) == (len(lines), expected[:most])


def test_what_a_decoder_will_find_is_left_to_it() -> None:
    cut_short = b'{"type": "RECORD", "stream": "a", "record": {"id": 1\n'
    (run,) = read(record("a", {"id": 1}) + cut_short, decodes=True)
    assert run.data.endswith(cut_short)
    with pytest.raises(MessageError, match="Line 2"):
        read(record("a", {"id": 1}) + cut_short)


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize("bad", [b"{}", b'{"type":"RECORD","record":{}}', b'{"type":"SCHEMA","schema":{}}'])
def test_a_message_without_type_or_stream_is_rejected_like_any_bad_line(bad: bytes, decodes: bool) -> None:
    seen: list[tuple[int, bytes]] = []
    data = record("a", {"id": 1}) + bad + b"\n" + state(2)
    runs = read(data, decodes=decodes, reject=lambda n, line, error: seen.append((n, line)))
    assert seen == [(2, bad)]
    assert [(run.type, run.first_line) for run in runs] == [("RECORD", 1), ("STATE", 3)]


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize(
    "bad",
    [
        b'{"type":"RECORD","stream":"b","record":{"t":"\xff"}}',
        b'{"type":"STATE","value":"\xed\xa0\x80"}',
        b'{"type":"OTHER","x":"\xc3"}',
    ],
)
def test_a_message_that_only_passes_must_be_utf_8_too(bad: bytes, decodes: bool) -> None:
    seen: list[tuple[int, bytes]] = []
    data = record("b", {"t": "ä"}) + bad + b"\n" + state("ä")
    runs = read(data, decodes=decodes, reject=lambda n, line, error: seen.append((n, line)))
    assert [run.first_line for run in runs] == [1, 3]
    assert seen == [(2, bad)]
    with pytest.raises(MessageError, match=r"Line 2 is not a Singer message .*utf-8"):
        read(data, decodes=decodes)
