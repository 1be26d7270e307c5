"""What meltano.yml says of a tap's streams under a key that Flow alone reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flow_singer.plugins.datasources import is_data
from flow_singer.plugins.prepare import entry_of_every_path
from flow_singer.project.definitions import extras_of

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project


def extras_of_tap(project: Project | None, tap: str | None, key: str) -> Iterator[tuple[Any, str]]:
    """The values of a key, that which counts most first: the active environment before the tap before what it inherits.

    Args:
        project: of the command.
        tap: its name, or the path of data that stand for one; None where it is not known.
        key: see `FLOW_KEYS`.

    Yields:
        A value, None where there is none, and the place that it has.
    """
    if project is None or tap is None:
        return
    plugin = project.plugin("extractors", tap)
    if plugin is None and is_data(tap, project_has=False):
        plugin = entry_of_every_path(project)
    for ancestor in () if plugin is None else plugin.lineage:
        place = f"meltano.yml: '{key}' of {ancestor.name}"
        for extras in (extras_of(project.environment_overlay("extractors", ancestor.name)), ancestor.extras):
            yield extras.get(key), place
