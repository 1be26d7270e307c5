"""The page of `flow show --html` in a real browser: it sorts, searches, and draws its plots."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Command

from flow_singer.looking.page import page_html

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
IS_REQUIRED = os.environ.get("FLOW_REQUIRE_BROWSER") == "1"

pytestmark = pytest.mark.skipif(
    not (DRIVER and BROWSER) and not IS_REQUIRED,
    reason="no chromium and chromedriver here (Debian: chromium, chromium-driver)",
)


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    assert DRIVER, "FLOW_REQUIRE_BROWSER is set, and there is no chromedriver (Debian: chromium-driver)"
    assert BROWSER, "FLOW_REQUIRE_BROWSER is set, and there is no chromium"
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(tmp_path: Path, command: Command, browser: Any) -> Any:
    """What `flow show --html` wrote of 41 rows."""
    rows = [f"{number % 7},name {number},{number * number}" for number in range(40)]
    text = "\n".join(["n,name,square", *rows, ",<b>bold</b>,"])
    (tmp_path / "data.csv").write_text(text + "\n")
    found = command.flow("show", "data.csv", "--html", "page.html")
    assert found.code == 0, found.stderr
    browser.get((tmp_path / "page.html").as_uri())
    return browser


@pytest.fixture
def open_report(tmp_path: Path, browser: Any) -> Callable[..., Any]:
    """Opens the page of one stream: types by name, and rows."""

    def open_page(types: dict[str, str], rows: list[list[str | None]]) -> Any:
        words = {"nullable": True, "title": None, "description": None, "profile": None}
        fields = [{"name": name, "type": type_, **words} for name, type_ in types.items()]
        stream = {"name": "s", "records": len(rows), "is_whole": True, "key": [], "replication_key": None}
        stream |= {"fields": fields, "head": {"rows": rows}}
        told = {
            "title": "t",
            "flow": "0",
            "created": "2026-01-01T00:00:00Z",
            "notes": [],
            "streams": [stream],
        }
        (tmp_path / "report.html").write_text(page_html(told), encoding="utf-8")
        browser.get((tmp_path / "report.html").as_uri())
        return browser

    return open_page


def cells(page: Any, place: int) -> list[str]:
    """The texts of a column, of the rows that are seen, from the top."""
    script = """
        return [...document.querySelectorAll('table.rows tbody tr')].filter(row => row.offsetHeight)
            .map(row => row.cells[arguments[0]].textContent)
    """
    return list(page.execute_script(script, place))


def header(page: Any, place: int) -> Any:
    return page.find_elements("css selector", "table.rows thead th")[place]


def sort(page: Any, place: int) -> None:
    header(page, place).find_element("css selector", "button").click()


SQUARES = [str(number * number) for number in range(40)]


def test_rows_are_sorted_as_numbers_and_nulls_come_last(page: Any) -> None:
    sort(page, 0)
    assert header(page, 0).get_attribute("aria-sort") == "ascending"
    assert cells(page, 0) == [str(number) for number in sorted(number % 7 for number in range(40))] + [""]
    sort(page, 2)
    assert cells(page, 2) == [*SQUARES, ""]
    assert header(page, 2).get_attribute("aria-sort") == "ascending"
    assert header(page, 0).get_attribute("aria-sort") is None
    sort(page, 2)
    assert cells(page, 2) == [*reversed(SQUARES), ""]
    assert header(page, 2).get_attribute("aria-sort") == "descending"
    sort(page, 2)
    assert cells(page, 0) == [*(str(number % 7) for number in range(40)), ""]
    assert header(page, 2).get_attribute("aria-sort") is None


def test_a_header_is_reached_and_pressed_by_keys(page: Any) -> None:
    page.find_element("css selector", "input.whole").send_keys(
        "\t\t"
    )  # to the table, then to its first header
    page.switch_to.active_element.send_keys("\t")
    focused = page.switch_to.active_element
    assert focused.tag_name == "button"
    focused.send_keys("\ue007")
    assert page.find_elements("css selector", "th[aria-sort=ascending]")


IN_ORDER = {
    "integer": ["-9007199254740993", "-2", "10", "9007199254740992", "9007199254740993", "9007199254740994"],
    "number": ["-1e300", "-0.3", "-0.25", "0.1000000000000000000001", "0.1000000000000000000002", "1e2"],
    "date-time": ["2023-12-31T23:30:00Z", "2024-01-01T01:00:00+01:00", "2024-01-01T00:30:00Z"],
    "string": ["a", "b 2", "b 10", "c"],
    "integer | string": ["2", "10", "a", "b"],
}


def test_each_type_is_sorted_as_what_it_is(open_report: Any) -> None:
    for type_, in_order in IN_ORDER.items():
        mixed = [*in_order[1::2], None, *in_order[0::2][::-1]]
        page = open_report({"place": "string", "x": type_}, [["", one] for one in mixed])
        sort(page, 1)
        assert cells(page, 1) == [*in_order, ""]
        sort(page, 1)
        assert cells(page, 1) == [*reversed(in_order), ""]


def test_rows_are_searched(page: Any) -> None:
    box = page.find_element("css selector", "input[type=search]")
    box.send_keys("NAME 3")
    assert cells(page, 1) == ["name 3", *(f"name 3{digit}" for digit in range(10))]
    found = page.find_element("css selector", ".found")
    assert found.text == "11 of 41 rows"
    sort(page, 2)
    sort(page, 2)
    assert cells(page, 1) == [*(f"name 3{digit}" for digit in reversed(range(10))), "name 3"]
    box.send_keys("no such")
    assert (cells(page, 1), found.text) == ([], "0 of 41 rows")
    box.clear()
    box.send_keys("x\b")
    assert len(cells(page, 1)) == 41
    assert found.text == ""


def test_a_long_cell_opens_by_a_click_and_all_by_a_box(open_report: Any) -> None:
    text = "word " * 100
    page = open_report({"a": "string", "b": "string"}, [["1", text], ["2", text]])
    first, second = page.find_elements("css selector", "table.rows td.long")
    assert first.get_attribute("title") == text
    low = first.size["height"]
    first.click()
    assert first.size["height"] > 3 * low
    first.click()
    assert first.size["height"] == low
    page.find_element("css selector", "input.whole").click()
    assert second.size["height"] > 3 * low


def test_a_value_that_looks_like_markup_is_text(page: Any) -> None:
    assert "<b>bold</b>" in cells(page, 1)
    assert page.find_elements("css selector", "table b") == []


def test_no_script_runs_but_the_one_of_the_page(open_report: Any) -> None:
    hostile = ["</script><script>window.hit = 1</script>", "<img src=x onerror='window.hit = 1'>"]
    page = open_report(dict.fromkeys(hostile, "string"), [hostile])
    assert [cells(page, place)[0] for place in range(2)] == hostile
    assert page.execute_script("return window.hit") is None
    # What would come through nevertheless is stopped by the page's own rule.
    page.execute_script(
        "document.body.insertAdjacentHTML('beforeend', arguments[0])", "<b onclick='hit = 1'>x</b>"
    )
    page.execute_script("document.body.lastElementChild.click()")
    assert page.execute_script("return window.hit") is None


def test_a_plot_shows_how_values_are_spread(page: Any) -> None:
    plot = page.find_element("css selector", "svg[aria-label='Histogram of square']")
    bars = plot.find_elements("css selector", "rect.bar")
    counts = [int(bar.get_attribute("data-count")) for bar in bars]
    assert len(counts) == 20
    assert sum(counts) == 40
    heights = [bar.size["height"] for bar in bars]
    assert heights.index(max(heights)) == counts.index(max(counts)) == 0
    assert all(bar.size["width"] > 0 for bar in bars)
    title = plot.find_element("css selector", "g title").get_attribute("textContent")
    assert title == f"0 to 76.05: {counts[0]} ({100 * counts[0] / 40:.1f}%)".replace(".0%", "%")


def test_nothing_is_loaded_from_elsewhere_and_nothing_fails(page: Any) -> None:
    assert page.get_log("browser") == []
    requested = [
        message["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert requested
    assert not [url for url in requested if url.startswith(("http:", "https:"))]


def test_a_narrow_window_scrolls_within_its_tables(page: Any) -> None:
    for width in (1400, 1000, 480, 320):
        page.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
        )
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        fields = "const around = document.querySelector('table.fields').parentNode; "
        if width != 1000:  # a table on a wide screen, cards on a narrow one
            assert page.execute_script(fields + "return around.scrollWidth <= around.clientWidth"), width


def test_of_three_hundred_columns_header_and_first_column_stay(open_report: Any) -> None:
    names = {f"column {number}": "integer" for number in range(300)}
    page = open_report(names, [[str(row)] * 300 for row in range(200)])
    script = """
        const table = document.querySelector("table.rows"), around = table.parentNode;
        around.scrollTo(9000, 2000);
        around.scrollIntoView();
        const box = around.getBoundingClientRect(), corner = table.tHead.rows[0].cells[0].getBoundingClientRect();
        const first = table.tBodies[0].rows[60].cells[0].getBoundingClientRect();
        return [around.scrollLeft, around.scrollTop, corner.left - box.left, corner.top - box.top, first.left - box.left];
    """
    left, top, *offsets = page.execute_script(script)
    assert (left, top) == (9000, 2000)
    assert offsets == [0, 0, 0]
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_colours_follow_what_the_person_prefers(page: Any) -> None:
    lightness = {}
    for scheme in ("light", "dark"):
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preferred})
        colours = page.execute_script(
            "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
        )
        lightness[scheme] = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    ink, paper = lightness["light"]
    assert (ink < 150, paper > 600) == (True, True)
    ink, paper = lightness["dark"]
    assert (ink > 600, paper < 150) == (True, True)


def test_a_field_leads_to_its_column(open_report: Any) -> None:
    page = open_report({f"column {number}": "integer" for number in range(300)}, [["1"] * 300])
    page.execute_script("document.querySelectorAll('table.fields a')[250].click()")
    left = page.execute_script("return document.querySelector('table.rows').parentNode.scrollLeft")
    assert left > 0
    target = page.execute_script("return document.querySelector(':target').textContent")
    assert target == "column 250"


def test_it_is_read_without_javascript(open_report: Any, browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page = open_report({"a": "string"}, [["x"]])
    assert not page.find_element("css selector", "input[type=search]").is_displayed()
    assert page.find_element("css selector", "table.rows tbody th").text == "x"
