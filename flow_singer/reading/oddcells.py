"""Cells that alone keep a column from having a type: a person has to hear of them, as the column becomes text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.reading.cellforms import Form

_PROBE = 200
_MOST = 0.1
"""The share of cells that may be odd: in a column with more of them, text is what it is."""
_CODE = re.compile(r"[+-]?0\d+")
"""`007`: a number would not give it back, so that the column is one of codes."""


class OddCells:
    """The cells of a column, from where it stopped being of any form.

    Args:
        forms: all forms, by name.
        among: those that it may have had, the plainest first.
        before: how many cells there were before, all of them of these forms.
        cells: those with which it stopped.

    Attributes:
        form: what most of the cells are; None where most are text.
        count: how many cells are not.
        of: of how many.
        example: the first that is not.
    """

    def __init__(self, forms: Mapping[str, Form], among: Iterable[str], before: int, cells: pa.Array) -> None:
        probe = cells[:_PROBE]
        found = {name: _fitting(forms[name], probe) for name in among}
        best = max(found, key=lambda name: found[name], default="")
        self.form: Form | None = forms[best] if best and (found[best] or before) else None
        self.count, self.of, self.example = 0, before, ""
        self.take(cells)

    def take(self, cells: pa.Array) -> None:
        """Take the next cells; none of them is empty."""
        if self.form is None or not len(cells):
            return
        matches = pc.match_substring_regex(cells, self.form.pattern)
        self.of += len(cells)
        odd = cells.filter(pc.invert(matches))
        self.count += len(odd)
        if len(odd) and not self.example:
            self.example = str(odd[0].as_py())
        if self.count > _MOST * self.of or any(_CODE.fullmatch(one) for one in odd[:_PROBE].to_pylist()):
            self.form = None


def _fitting(form: Form, cells: pa.Array) -> int:
    return int(pc.sum(pc.match_substring_regex(cells, form.pattern), min_count=0).as_py() or 0)
