"""The page says what the report says, asks nobody for anything, and takes no name or value for markup."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flow_singer.looking.page import axis_ends, histogram_bars, page_html, sort_kind

PROFILE: dict[str, Any] = {
    "values": 3,
    "nulls": 1,
    "distinct": {"count": 3, "exact": False},
    "min": "1",
    "max": "30",
    "mean": 12.5,
    "quantiles": {"5": "1", "25": "1", "50": "7", "75": "30", "95": "30"},
    "quantiles_exact": True,
    "common": [{"value": "7", "count": 2}],
    "common_exact": True,
    "lengths": None,
    "histogram": {"low": "1", "high": "30", "counts": [2, 0, 1], "kind": "number"},
}


def report(names: list[str], rows: list[list[str | None]], **stream: Any) -> dict[str, Any]:
    fields = [
        {
            "name": name,
            "type": "integer",
            "nullable": True,
            "title": None,
            "description": None,
            "profile": PROFILE,
        }
        for name in names
    ]
    one = {"name": "s", "records": len(rows), "is_whole": True, "key": names[:1], "replication_key": None}
    one |= {"fields": fields, "head": {"rows": rows}, **stream}
    return {"title": "out/", "flow": "0", "created": "2026-01-01T00:00:00Z", "notes": [], "streams": [one]}


class _Page(HTMLParser):
    """Texts of the cells of the rows, tags, and all attributes, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str | None]] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self._in_rows = self._in_cell = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *one) for one in attrs]
        found = dict(attrs)
        kinds = str(found.get("class")).split()
        if tag == "table":
            self._in_rows = "rows" in kinds
        if tag == "tr" and self._in_rows:
            self.rows.append([])
        if tag in ("td", "th") and self._in_rows:
            self.rows[-1].append(None if "null" in kinds else "")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] = (self.rows[-1][-1] or "") + data

    def values(self, name: str) -> list[str]:
        """What an attribute says, wherever it stands."""
        return [str(value) for _, found, value in self.attributes if found == name]


TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "header",
    "h1",
    "h2",
    "h3",
    "p",
    "b",
    "span",
    "ul",
    "li",
    "nav",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
    "section",
    "div",
    "i",
    "details",
    "summary",
    "dl",
    "dt",
    "dd",
    "svg",
    "g",
    "rect",
    "line",
    "input",
    "label",
    "footer",
    "time",
    "script",
    "button",
}

HOSTILE = st.text(max_size=12) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "javascript:alert(1)",
        "-->",
        "]]></style><style>*{display:none}",
        "\u202eevil",
        "&lt;",
    ]
)


@settings(max_examples=100)
@given(name=HOSTILE, cells=st.lists(HOSTILE | st.none(), min_size=1, max_size=3))
@example(name="<script>x</script>", cells=["</td></tr></table><script>", None])
@example(name="a\0\r\x1b[31m", cells=["\0", "\r\n", "\x7f", " ", ""])
@example(name="' onclick='alert(1)", cells=["' onmouseover='alert(1)' " * 9])
def test_names_and_values_are_text_wherever_they_stand(name: str, cells: list[str | None]) -> None:
    made = report([name] * len(cells), [cells], name=name, replication_key=name)
    for field, cell in zip(made["streams"][0]["fields"], cells, strict=True):
        field |= {"title": cell, "description": name, "type": name}
        field["profile"] = PROFILE | {"min": cell, "max": cell, "common": [{"value": cell or "", "count": 2}]}
    made |= {"title": name, "notes": [name]}
    page = _Page(page_html(made))

    assert page.rows[0] == [seen(name)] * len(cells)
    assert page.rows[-1] == [None if cell is None else seen(cell) for cell in cells]
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert set(page.tags) <= TAGS
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(re.fullmatch(r"#s\d+(-\d+)?", address) for address in page.values("href"))
    assert all(re.fullmatch(r"width: [\d.]+(%|px)", style) for style in page.values("style"))


def seen(text: str) -> str:
    """What a page shows of a text: pictures of what HTML does not know."""
    known = {**{chr(code): chr(0x2400 + code) for code in range(32)}, "\x7f": "␡", "\t": "\t", "\n": "\n"}
    return "".join(known.get(letter, letter) for letter in text)


def test_nothing_is_asked_of_anybody() -> None:
    text = page_html(report(["a"], [["1"]]))
    page = _Page(text)
    assert not [name for _, name, _ in page.attributes if name in ("src", "srcset", "action", "data")]
    assert all(address.startswith("#") for address in page.values("href"))
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|WebSocket", re.sub(r"/\*\*.*?\*/", "", text)
    )


def test_the_browser_is_told_to_load_nothing_and_to_run_no_other_script() -> None:
    text = page_html(report(["a"], [["1"]]))
    script = text.split("<script>", 1)[1].split("</script>", 1)[0]
    made = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = [one for one in _Page(text).values("content") if "default-src" in one]
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{made}'" in policy


def test_it_says_what_the_report_says() -> None:
    text = page_html(report(["a"], [["1"], ["2"]]))
    for said in (
        "≈ 3",
        "25%",
        'title="1 of 4"',
        ">7</span>",
        "7: 2 of 4 (50%)",
        "<dt>mean</dt><dd>12.5</dd>",
        "<dt>median</dt>",
        '<dt>max</dt><dd title="30">30</dd>',
        "All rows",
        "<b>2</b> records",
        "<b>1</b> stream<",
        "Histogram of a",
        "<title>20.333 to 30: 1 (33.3%)</title>",
    ):
        assert said in text, said


def test_null_an_empty_text_and_a_long_one_are_told_apart() -> None:
    text = page_html(report(["a", "b", "c"], [[None, "", "x" * 49]]))
    assert '<th scope=row class="null n"></th><td class=empty></td>' in text
    assert f'<td class="long n" title="{"x" * 49}">{"x" * 49}</td>' in text


def test_values_that_are_all_different_are_not_called_common() -> None:
    made = report(["id"], [["1"]])
    once = [{"value": str(number), "count": 1} for number in range(10)]
    made["streams"][0]["fields"][0]["profile"] = PROFILE | {"values": 50, "common": once}
    text = page_html(made)
    assert "each once, such as" in text
    assert 'class="common"' not in text


def test_a_line_break_in_a_common_value_is_seen() -> None:
    made = report(["a"], [["1"]])
    made["streams"][0]["fields"][0]["profile"] = PROFILE | {"common": [{"value": "a\nb", "count": 2}]}
    assert "<span>a↵b</span>" in page_html(made)


def test_of_many_values_those_that_come_once_are_left_out() -> None:
    made = report(["id"], [["1"]])
    some = [{"value": f"v{number}", "count": 3 - min(number, 2)} for number in range(10)]
    made["streams"][0]["fields"][0]["profile"] = PROFILE | {
        "values": 50,
        "common": some,
        "distinct": {"count": 40, "exact": True},
    }
    text = page_html(made)
    assert "v1: 2 of" in text
    assert "v2: 1 of" not in text


def test_what_was_cut_by_a_limit_is_called_the_first() -> None:
    text = page_html(report(["a"], [["1"]], is_whole=False))
    assert "the first <b>1</b> record<" in text
    assert "The first 1 rows" in text


def test_three_hundred_columns_and_no_profile() -> None:
    names = [f"c{number}" for number in range(300)]
    made = report(names, [["1"] * 300])
    for field in made["streams"][0]["fields"]:
        field["profile"] = None
    page = _Page(page_html(made))
    assert page.rows == [names, ["1"] * 300]
    assert len(set(page.values("id"))) == len(page.values("id"))
    assert {address.removeprefix("#") for address in page.values("href")} <= set(page.values("id"))


def test_a_stream_without_records_or_fields_says_so() -> None:
    made = report([], [], records=0)
    assert "There are no records." in page_html(made)
    made["streams"] = []
    assert "<b>0</b> streams" in page_html(made)


def test_several_streams_have_a_list_of_contents() -> None:
    made = report(["a"], [["1"]])
    made["streams"] = [{**made["streams"][0], "name": name} for name in ("one", "two")]
    assert _Page(page_html(made)).values("href") == ["#s1", "#s2", "#s1-1", "#s2-1"]


def test_a_name_in_another_encoding_can_be_written() -> None:
    made = report(["a"], [["1"]])
    made["title"] = "caf\udce9.csv"
    assert b"<h1>caf\\udce9.csv</h1>" in page_html(made).encode()


def test_bars_are_as_high_as_their_counts() -> None:
    bars = histogram_bars({"counts": [4, 0, 1, 400], "low": "0", "high": "8", "kind": "number"})
    assert [bar["count"] for bar in bars] == [4, 0, 1, 400]
    assert [bar["height"] for bar in bars] == [1.5, 0, 1.5, 44]
    assert all(bar["y"] + bar["height"] == 44 for bar in bars)
    assert [bar["told"] for bar in bars] == [
        "0 to 2: 4 (1%)",
        "2 to 4: none",
        "4 to 6: 1 (0.2%)",
        "6 to 8: 400 (98.8%)",
    ]


@pytest.mark.parametrize(
    ("low", "high", "kind", "told", "ends"),
    [
        pytest.param(
            "2024-01-01",
            "2024-01-03",
            "time",
            "2024-01-01 to 2024-01-02",
            ["2024-01-01", "2024-01-03"],
            id="dates",
        ),
        pytest.param(
            "2024-01-01T00:00:00Z",
            "2024-01-01T01:00:00Z",
            "time",
            "2024-01-01T00:00:00Z to 2024-01-01 00:30",
            ["2024-01-01 00:00", "2024-01-01 01:00"],
            id="times of a day",
        ),
        pytest.param("-1e300", "1e300", "number", "-1e300 to 0", ["-1e300", "1e300"], id="large"),
        pytest.param("?", "!", "time", "1 (50%)", ["?", "!"], id="no times"),
        pytest.param("?", "!", "number", "1 (50%)", ["?", "!"], id="no numbers"),
    ],
)
def test_a_bar_says_between_which_values(low: str, high: str, kind: str, told: str, ends: list[str]) -> None:
    histogram = {"counts": [1, 1], "low": low, "high": high, "kind": kind}
    assert histogram_bars(histogram)[0]["told"].startswith(told)
    assert axis_ends(histogram) == ends


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("integer", "number"),
        ("decimal", "number"),
        ("date-time", "time"),
        ("date", "text"),
        ("string", "text"),
        ("integer | string", "any"),
        ("any", "any"),
    ],
)
def test_what_a_column_is_sorted_by_follows_from_its_type(type_: str, kind: str) -> None:
    assert sort_kind(type_) == kind
