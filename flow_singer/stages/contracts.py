"""Which contracts `contract:` of a tap in meltano.yml names for its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_singer.checks.contractchoice import read_contracts
from flow_singer.project.yamlfile import Section
from flow_singer.stages.tapextras import extras_of_tap

if TYPE_CHECKING:
    from flow_singer.checks.contractchoice import Contract
    from flow_singer.project.meltanofile import Project

CONTRACT_KEY = "contract"


def contracts_of_tap(project: Project | None, tap: str | None) -> dict[str, Contract]:
    """The contract of each stream, or pattern of streams.

    Args:
        project: of the command.
        tap: see [`extras_of_tap`][flow_singer.stages.tapextras.extras_of_tap].

    Raises:
        ConfigError: there is no such contract; with the line.
    """
    found: dict[str, Contract] = {}
    for value, place in extras_of_tap(project, tap, CONTRACT_KEY):
        where = value.at if isinstance(value, Section) else lambda _, place=place: place
        for stream, contract in read_contracts(value, where).items():
            found.setdefault(stream, contract)
    return found
