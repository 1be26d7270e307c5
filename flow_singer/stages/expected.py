"""What is expected of streams, found: in meltano.yml, in a file of its own, at the functions of a user's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_singer.checks.decorator import expected_of
from flow_singer.checks.expectations import Expectation, read_expectations
from flow_singer.errors import ConfigError
from flow_singer.project.yamlfile import Section, read_yaml
from flow_singer.singer.foreignkeys import ForeignKey
from flow_singer.stages.tapextras import extras_of_tap

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project
    from flow_singer.transforms.functions import StreamFunction

KEY = "expect"


def expected_of_tap(project: Project | None, tap: str | None) -> list[Expectation]:
    """What `expect:` says of the streams of a tap.

    Args:
        project: of the command.
        tap: see [`extras_of_tap`][flow_singer.stages.tapextras.extras_of_tap].

    Raises:
        ConfigError: it does not read so; with the line.
    """
    streams: dict[str, tuple[Section, object]] = {}
    for value, place in extras_of_tap(project, tap, KEY):
        section = _section(value, place)
        for stream, entry in section.items():
            streams.setdefault(stream, (section, entry))
    return [
        one
        for stream, (section, entry) in streams.items()
        for one in read_expectations(stream, entry, _places(section, stream))
    ]


def foreign_keys_of_tap(project: Project | None, tap: str | None) -> dict[str, list[ForeignKey]]:
    """What `references` of `expect:` says that streams refer to, where a row that does not may not stay, by stream.

    Raises:
        ConfigError: see [`expected_of_tap`][].
    """
    found: dict[str, list[ForeignKey]] = {}
    for one in expected_of_tap(project, tap):
        if one.word == "references" and one.on_failure != "warn":
            stream, column = one.value
            found.setdefault(one.stream, []).append(ForeignKey(one.columns, stream, (column,)))
    return found


def expected_in_file(path: Path) -> list[Expectation]:
    """What a file of expectations says: YAML or JSON, by stream.

    Raises:
        ConfigError: it cannot be read, or does not read so.
    """
    section = read_yaml(path, str(path))
    if list(section) == [KEY]:
        section = section.section(KEY)
    return [
        one
        for stream, entry in section.items()
        for one in read_expectations(stream, entry, _places(section, stream))
    ]


def expected_of_functions(functions: Sequence[StreamFunction]) -> list[Expectation]:
    """What `@expect` says at the functions of one file.

    Raises:
        ConfigError: it names no stream, and nothing tells the one that is meant.
    """
    return [
        one
        for function in functions
        for one in expected_of(function.call, list(_made_by(function)), function.where)
    ]


def _made_by(function: StreamFunction) -> Iterator[str]:
    """The streams that a function makes, as far as its declaration tells."""
    if function.into is not None:
        yield from function.into
    elif not any(set("*?[") & set(name) for name in function.streams) and len(function.streams) == 1:
        yield from function.streams


def _section(value: Any, where: str) -> Section:
    if value is None:
        return Section()
    if not isinstance(value, Section):
        raise ConfigError(f"{where} is no mapping.", "Write it by stream: expect: {issues: {not_null: [id]}}")
    return value


def _places(section: Section, stream: str) -> Callable[[str], str]:
    return lambda _: section.at(stream)
