"""What a person asks of one run of a tap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TapOptions:
    """What a person asks of one run of a tap.

    Attributes:
        plain: no marks.
        select: rules in place of the project's.
        catalog: a catalog file to use as it is.
        state: a file with the state to resume from.
        state_id: the bookmark to resume from.
        package: the Data Package that keeps that bookmark; None where the store of bookmarks does.
        full_refresh: begin at the beginning.
        refresh_catalog: discover anew.
        limit: end after this many records of each stream; no STATE is written.
        forward_noise: send lines that are no messages to stderr.
        run: the id of the run; one is made where it is None.
    """

    plain: bool = False
    select: Sequence[str] = ()
    catalog: Path | None = None
    state: Path | None = None
    state_id: str | None = None
    package: Path | None = None
    full_refresh: bool = False
    refresh_catalog: bool = False
    limit: int | None = None
    forward_noise: bool = False
    run: str | None = None
