"""The page of `flow show --html` in a real browser: it sorts, searches, and draws its plots."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Command

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")

pytestmark = pytest.mark.skipif(
    not (DRIVER and BROWSER), reason="no chromium and chromedriver here (Debian: chromium, chromium-driver)"
)


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(BROWSER)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(tmp_path: Path, command: Command, browser: Any) -> Any:
    rows = [f"{number % 7},name {number},{number * number}" for number in range(40)]
    text = "\n".join(["n,name,square", *rows, ",<b>bold</b>,"])
    (tmp_path / "data.csv").write_text(text + "\n")
    found = command.flow("show", "data.csv", "--html", "page.html")
    assert found.code == 0, found.stderr
    browser.get((tmp_path / "page.html").as_uri())
    return browser


def cells(page: Any, place: int) -> list[str]:
    script = """
        return [...document.querySelectorAll('table.head tbody tr')].filter(row => !row.hidden)
            .map(row => row.cells[arguments[0]].textContent)
    """
    return list(page.execute_script(script, place))


def test_rows_are_sorted_as_numbers_and_nulls_come_last(page: Any) -> None:
    button = page.find_elements("css selector", "table.head th button")[2]
    button.click()
    assert cells(page, 2) == [*(str(number * number) for number in range(40)), ""]
    header = page.find_elements("css selector", "table.head th")[2]
    assert header.get_attribute("aria-sort") == "ascending"
    button.click()
    assert cells(page, 2) == [*(str(number * number) for number in reversed(range(40))), ""]
    assert header.get_attribute("aria-sort") == "descending"


def test_rows_are_searched(page: Any) -> None:
    box = page.find_element("css selector", "input[type=search]")
    box.send_keys("NAME 3")
    assert cells(page, 1) == ["name 3", *(f"name 3{digit}" for digit in range(10))]
    assert page.find_element("css selector", ".found").text == "11 of 41 rows"
    box.send_keys("\b" * 10)
    assert len(cells(page, 1)) == 41


def test_a_value_that_looks_like_markup_is_text(page: Any) -> None:
    assert "<b>bold</b>" in cells(page, 1)
    assert page.find_elements("css selector", "b") == []


def test_a_plot_shows_how_values_are_spread(page: Any) -> None:
    bars = page.find_elements("css selector", "svg[aria-label='Histogram of square'] rect")
    counts = [int(bar.get_attribute("data-count")) for bar in bars]
    assert len(counts) == 20
    assert sum(counts) == 40
    tallest = max(bars, key=lambda bar: bar.size["height"])
    assert int(tallest.get_attribute("data-count")) == max(counts) == counts[0]
    assert all(bar.size["width"] > 0 for bar in bars)


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
    page.set_window_size(480, 800)
    width = page.execute_script("return document.documentElement.scrollWidth")
    assert width <= page.execute_script("return window.innerWidth")
