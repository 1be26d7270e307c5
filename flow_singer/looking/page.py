"""What there is in streams as one HTML page that needs nothing else: no address outside it, styles and script within.

It reads without JavaScript; with it, rows are sorted by a click on a header, and searched. Names and values of any kind
are text on it: the template escapes them, and the page allows its browser to run no script but its own and to load
nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

_BAR = 9
"""Width of a bar of a histogram, with its gap, in pixels."""
_HEIGHT = 44
"""Of the tallest bar, in pixels."""
_LONG = 48
"""A cell of more characters is clipped, and says all of its text when it is pointed at."""
_TALL = 30
"""A table of more fields scrolls by itself, below a header that stays."""

# Control characters are no text in HTML. Their pictures show that they are there; tab and line feed are kept.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


def page_html(report: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        report: see the guide `show`: title, notes, streams.

    Returns:
        HTML that can be encoded as UTF-8; what cannot be (file names in another encoding) is shown as `\\udcff`.
    """
    text = _template().render(
        report=report,
        streams=[{**one, "id": f"s{number}"} for number, one in enumerate(report["streams"], 1)],
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def histogram_bars(histogram: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bars of a histogram: place and size in pixels, and which values each stands for, and how many."""
    counts = histogram["counts"]
    most, whole = max(counts) or 1, sum(counts)
    ends = _ends(histogram)
    bars = []
    for place, count in enumerate(counts):
        height = round(count / most * _HEIGHT, 1)
        if count:
            height = max(height, 1.5)  # one among millions is seen, too
        told = f"{count:,} ({_share(count, whole)})" if count else "none"
        if ends:
            told = f"{ends[place]} to {ends[place + 1]}: {told}"
        bars.append(
            {
                "x": place * _BAR,
                "y": round(_HEIGHT - height, 1),
                "height": height,
                "count": count,
                "told": told,
            }
        )
    return bars


def axis_ends(histogram: Mapping[str, Any]) -> list[str]:
    """What is written below the first and the last bar: of times, as little as tells them apart."""
    low, high = histogram["low"], histogram["high"]
    if histogram["kind"] == "time":
        length = 10 if low[:10] != high[:10] else 16 if low[:16] != high[:16] else len(low)
        return [end[:length].replace("T", " ") for end in (low, high)]
    return [low, high]


def sort_kind(type_: str) -> str:
    """How the values of a type are compared: as number, time, text, or each as what it looks like (any)."""
    if type_ in ("integer", "number", "decimal"):
        return "number"
    if type_ == "date-time":
        return "time"
    return "any" if type_ == "any" or "|" in type_ else "text"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.filters |= {"count": _count, "short": _short, "share": _share, "kind": sort_kind}
    script, style = _file("page.js"), _file("page.css")
    ours = {
        "bars": histogram_bars,
        "ends": axis_ends,
        "long": _LONG,
        "tall": _TALL,
        "bar": _BAR,
        "height": _HEIGHT,
        "script": script,
        "style": style,
        "script_hash": b64encode(sha256(script.encode()).digest()).decode(),
    }
    return environment.from_string(_file("page.html.jinja"), globals=ours)


def _file(name: str) -> str:
    return files("flow_singer.looking").joinpath(name).read_text(encoding="utf-8")


def _visible(value: object) -> object:
    """A text with pictures of the characters that HTML does not know; all else as it is."""
    return value.translate(_PICTURES) if type(value) is str else value  # Markup is no plain text


def _ends(histogram: Mapping[str, Any]) -> list[str]:
    """Between which values each bar lies: one more text than there are bars; none where that cannot be said."""
    low, high, parts = histogram["low"], histogram["high"], len(histogram["counts"])
    try:
        if histogram["kind"] == "time":
            first, last = datetime.fromisoformat(low), datetime.fromisoformat(high)
            times = [first + (last - first) * place / parts for place in range(1, parts)]
            shown = [one.isoformat(" ", "minutes")[: 10 if len(low) == 10 else 16] for one in times]
        else:
            least, width = Decimal(low), Decimal(high) - Decimal(low)
            shown = [f"{float(least + width * place / parts):.5g}" for place in range(1, parts)]
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        return []
    return [low, *shown, high]


def _count(number: int) -> str:
    return f"{number:,}"


def _short(number: float) -> str:
    """Five digits that mean something."""
    if number == 0 or 0.001 <= abs(number) < 1e15:
        digits = 0 if abs(number) >= 10_000 else 2 if abs(number) >= 1 else 4
        text = f"{number:.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{number:.4g}"


def _share(part: int, whole: int) -> str:
    """Percent; never 0 % of some, nor 100 % of less than all."""
    if not part or not whole:
        return "0%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1%"
    if part < whole and percent > 99.9:
        return ">99.9%"
    return f"{percent:.1f}".removesuffix(".0") + "%"
