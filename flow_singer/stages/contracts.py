"""Which contracts `contract:` of a tap in meltano.yml names for its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_singer.checks.contractchoice import read_contracts
from flow_singer.project.definitions import extras_of
from flow_singer.project.yamlfile import Section

if TYPE_CHECKING:
    from flow_singer.checks.contractchoice import Contract
    from flow_singer.project.meltanofile import Project

CONTRACT_KEY = "contract"


def contracts_of_tap(project: Project | None, tap: str | None) -> dict[str, Contract]:
    """The contract of each stream, or pattern of streams; the active environment goes before the tap, and the tap
    before what it inherits.

    Args:
        project: of the command.
        tap: its name; None where it is not known.

    Raises:
        ConfigError: there is no such contract; with the line.
    """
    plugin = project.plugin("extractors", tap) if project is not None and tap is not None else None
    found: dict[str, Contract] = {}
    if project is None or plugin is None:
        return found
    for ancestor in plugin.lineage:
        for extras in (extras_of(project.environment_overlay("extractors", ancestor.name)), ancestor.extras):
            value = extras.get(CONTRACT_KEY)
            place = f"meltano.yml: '{CONTRACT_KEY}' of {ancestor.name}"
            where = value.at if isinstance(value, Section) else lambda _, place=place: place
            for stream, contract in read_contracts(value, where).items():
                found.setdefault(stream, contract)
    return found
