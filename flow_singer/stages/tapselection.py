"""Which streams and properties of a tap are in, and which rule of which file decides it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow_singer.project.meltanofile import PROJECT_FILE, Project
from flow_singer.project.settings import PluginSettings
from flow_singer.project.yamlediting import entry_steps
from flow_singer.project.yamllists import item_lines
from flow_singer.singer.catalog import CatalogResult, apply_filter, apply_rules
from flow_singer.singer.nearselect import escaped
from flow_singer.singer.selection import breadcrumb_of
from flow_singer.singer.selectreasons import Choice, PropertyChoice, StreamChoice, explain_selection
from flow_singer.singer.selectrule import SelectRule
from flow_singer.stages.settingwriter import entry_file
from flow_singer.stages.tapcatalog import DEFAULT_SELECT, read_catalog, rules_of
from flow_singer.wording import count_of

LAYER = re.compile(
    rf"(?:(?P<parent>[^:]+): )?(?:environment '(?P<environment>.*)' in )?{re.escape(PROJECT_FILE)}"
)
"""What `resolve` calls the layers that are in a file."""


@dataclass(frozen=True)
class Rules:
    """The rules of `select` that a tap gets.

    Attributes:
        texts: as they are written.
        layer: that they come from, such as "meltano.yml", "default".
        places: where each of them stands: "meltano.yml, line 9".
    """

    texts: Sequence[str]
    layer: str
    places: Mapping[str, str]


@dataclass(frozen=True)
class TapSelection:
    """What a run of a tap gets, and why.

    Attributes:
        rules: of `select`.
        streams: all of the catalog, in its order.
        result: what the rules make of the catalog, and what should be said of them.
        content: the catalog, as the tap's discovery wrote it.
        arguments: what `apply_rules` was called with.
        file: the hand-made catalog that is used as it is in place of that, for which the rules do nothing.
    """

    rules: Rules
    streams: Sequence[StreamChoice]
    result: CatalogResult = field(repr=False)
    content: bytes | None = field(repr=False, default=None)
    arguments: Mapping[str, Any] = field(repr=False, default_factory=dict)
    file: str | None = None

    @property
    def count(self) -> str:
        """`2 of 4 streams, 21 of 43 fields`."""
        fields = sum(one.facts.fields for one in self.streams)
        return (
            f"{sum(one.choice.is_in for one in self.streams)} of {count_of(len(self.streams), 'stream')}, "
            f"{sum(one.chosen_fields for one in self.streams)} of {count_of(fields, 'field')}"
        )

    def place_of(self, said: str) -> str | None:
        """Where the rule of `select` stands of which a warning speaks; None where nobody knows."""
        rules = (rule for rule in self.rules.texts if f"select rule '{rule}': " in said)
        return self.rules.places.get(next(rules, ""))

    def warnings_of(self, rules: Sequence[str]) -> list[str]:
        """What should be said of these rules."""
        return [said for said in self.result.warnings if any(f"rule '{rule}':" in said for rule in rules)]

    @property
    def warnings(self) -> list[str]:
        """A sentence for each rule that does nothing, or not what it seems to say; for those of a file with its line."""
        said = []
        for text in self.result.warnings:
            place = self.place_of(text)
            said.append(text.replace("': ", f"' ({place}): ", 1) if place else text)
        if self.file and self.rules.layer != "default":
            said.append(f"the catalog {self.file} is used as it is, so the rules of select do nothing.")
        if not any(one.choice.is_in for one in self.streams):
            said.append("no stream is selected, so that a run would fail.")
        return said

    def as_json(self, streams: Sequence[StreamChoice]) -> dict[str, Any]:
        """All of that for programs, of these streams."""
        return {
            "rules": [
                {"rule": rule, "place": self.rules.places.get(rule, self.rules.layer)}
                for rule in self.rules.texts
            ],
            "streams": [
                {
                    "stream": one.facts.id,
                    "keys": list(one.facts.keys),
                    "replication_method": one.facts.method,
                    "replication_key": one.facts.replication_key,
                    **self._json(one.choice),
                    "properties": [
                        {
                            "property": list(item.path),
                            "key": item.is_key,
                            "replication_key": item.is_replication_key,
                            **self._json(item.choice),
                        }
                        for item in one.properties
                    ],
                }
                for one in streams
            ],
        }

    def _json(self, choice: Choice) -> dict[str, Any]:
        return {
            "selected": choice.is_in,
            "reason": choice.reason,
            "rule": choice.rule,
            "why": self.why(choice),
        }

    def why(self, choice: Choice) -> str:
        """Why a stream or property is in or out, for a person."""
        match choice.reason:
            case "rule":
                place = self.rules.places.get(choice.rule or "", self.rules.layer)
                return f"rule '{choice.rule}' ({place})"
            case "no rule":
                return "no rule takes it in"
            case "select_filter":
                return (
                    f"select_filter '{choice.rule}'" if choice.rule else "no rule of select_filter names it"
                )
            case "stream" | "object":
                return f"its {choice.reason} is out"
            case "unsupported":
                return "the tap cannot send it (unsupported)"
            case "metadata":
                return "metadata of the tap in meltano.yml"
            case "catalog":
                return f"the catalog {self.file}"
            case "automatic":
                return "automatic"

    def why_stream(self, stream: StreamChoice) -> str:
        """Why a stream is in or out, and how it is replicated."""
        return ", ".join(filter(None, (self.why(stream.choice), stream.facts.replication)))

    def why_property(self, one: PropertyChoice) -> str:
        """Why a property is in or out, and whether it is a key."""
        keys = {"primary key": one.is_key, "replication key": one.is_replication_key}
        return ", ".join([*(name for name, holds in keys.items() if holds), self.why(one.choice)])


def spelt(stream: StreamChoice, one: PropertyChoice | None = None) -> str:
    """The rule that names a stream, or a property of it."""
    return ".".join(escaped(name) for name in (stream.facts.id, *(one.path if one else ())))


def select_tap(settings: PluginSettings, project: Project | None, content: bytes | None) -> TapSelection:
    """Work out what a run of a tap gets.

    Args:
        settings: of the tap.
        project: whose tap it is; None without meltano.yml.
        content: the catalog as the tap discovers it; None where a hand-made one is used, see `own_catalog`.

    Raises:
        ConfigError: the catalog or a rule has a wrong shape.
    """
    rules = rules_with_places(settings, project)
    if (file := own_catalog(settings)) is not None:
        given = read_catalog((project.root if project else Path()) / file)
        select_filter = settings.extras.get("select_filter") or []
        streams = explain_selection(given, select=None, select_filter=select_filter)
        return TapSelection(rules, streams, apply_filter(given, select_filter), file=file)
    document = json.loads(content or b"")
    arguments = rules_of(settings.extras)
    return TapSelection(
        rules,
        explain_selection(document, **arguments),
        apply_rules(document, **arguments),
        content,
        arguments,
    )


def own_catalog(settings: PluginSettings) -> str | None:
    """The file of the extra `catalog`, which a run uses as it is."""
    file = settings.extras.get("catalog")
    return str(file) if file else None


def rules_with_places(settings: PluginSettings, project: Project | None) -> Rules:
    """The rules of `select` with the line of each, where a file has them."""
    texts = [str(one) for one in settings.extras.get("select") or ()]
    source = settings.sources.get("_select", "default").removeprefix("environment variable ")
    if not texts:
        return Rules(DEFAULT_SELECT, "default", {})
    layer = LAYER.fullmatch(source)
    if project is None or layer is None:
        return Rules(texts, source, {})
    name, environment = layer["parent"] or settings.plugin.name, layer["environment"]
    path, file = entry_file(project.root, settings.plugin.kind, name, environment)
    lines = item_lines(path, file, [*entry_steps(settings.plugin.kind, name, environment), "select"])
    if len(lines) != len(texts):  # an anchor, or a variable in place of it
        return Rules(texts, source, {})
    places: dict[str, str] = {}
    for text, line in zip(texts, lines, strict=True):
        places.setdefault(text, f"{file}, line {line}")
    return Rules(texts, source, places)


def only_named(streams: Sequence[StreamChoice], rules: Sequence[str]) -> list[StreamChoice]:
    """The streams and properties that one of these rules is about.

    Raises:
        ConfigError: a rule is none.
    """
    parsed = [SelectRule.parse(rule.removeprefix("!")) for rule in rules]
    found = []
    for stream in streams:
        about = [rule for rule in parsed if rule.touches(stream.facts.id, ())]
        named = tuple(
            one
            for one in stream.properties
            if any(rule.matches(stream.facts.id, breadcrumb_of(one.path)) for rule in about)
        )
        if named or any(rule.properties in ((), ("*",)) for rule in about):
            found.append(StreamChoice(stream.facts, stream.choice, named))
    return found
