"""The page says what the report says, asks nobody for anything, and takes no name or value for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from flow_singer.looking.page import histogram_bars, page_html

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
    """Texts of the cells of the rows, tags, and all attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str | None]] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._in_head = self._in_cell = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.addresses += [str(found[name]) for name in ("src", "href", "action") if name in found]
        assert not any(name.startswith("on") for name in found)
        if tag == "table":
            self._in_head = found.get("class") == "head"
        if tag == "tr" and self._in_head:
            self.rows.append([])
        if tag == "td" and self._in_head:
            self.rows[-1].append(None if found.get("class") == "null" else "")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] = (self.rows[-1][-1] or "") + data


HOSTILE = st.text(max_size=12) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "javascript:x",
        "&lt;",
    ]
)


@settings(max_examples=60)
@given(name=HOSTILE, cells=st.lists(HOSTILE | st.none(), min_size=1, max_size=3))
@example(name="<script>x</script>", cells=["</td></tr></table><script>", None])
def test_names_and_values_are_text(name: str, cells: list[str | None]) -> None:
    page = _Page(page_html(report([name] * len(cells), [cells], name=name)))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    # The parser, as browsers do, takes \r for \n, and NUL for nothing it could show.
    found = [None if cell is None else _plain(cell) for cell in page.rows[-1]]
    assert found == [None if cell is None else _plain(cell) for cell in cells]


def _plain(text: str) -> str:
    return re.sub(r"[\r\0]", "\n", text)


def test_nothing_is_asked_of_anybody() -> None:
    text = page_html(report(["a"], [["1"]]))
    assert all(address.startswith("#") for address in _Page(text).addresses)
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp|WebSocket", text)


def test_it_says_what_the_report_says() -> None:
    text = page_html(report(["a"], [["1"], ["2"]]))
    for said in ("≈ 3", "25.0%", "7 <span", "12.50", "All rows", "2 records", "Histogram of a"):
        assert said in text


def test_three_hundred_columns_and_no_profile() -> None:
    names = [f"c{number}" for number in range(300)]
    made = report(names, [["1"] * 300])
    for field in made["streams"][0]["fields"]:
        field["profile"] = None
    page = _Page(page_html(made))
    assert len(page.rows[-1]) == 300


def test_several_streams_have_a_list_of_contents() -> None:
    made = report(["a"], [["1"]])
    made["streams"] = [{**made["streams"][0], "name": name} for name in ("one", "two")]
    assert _Page(page_html(made)).addresses == ["#stream-1", "#stream-2"]


def test_bars_are_as_high_as_their_counts() -> None:
    bars = histogram_bars({"counts": [4, 0, 1, 400]})
    assert [bar["count"] for bar in bars] == [4, 0, 1, 400]
    assert [bar["height"] for bar in bars] == [1, 0, 1, 46]
    assert all(bar["y"] + bar["height"] == 48 for bar in bars)
