"""Add rules to `select` of a tap in meltano.yml, and take them away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, listed, near_names
from flow_singer.project.meltanofile import PROJECT_FILE
from flow_singer.project.yamlediting import Step, entry_steps, remove_key
from flow_singer.project.yamllists import add_items, item_lines, remove_items
from flow_singer.singer.selectrule import UNESCAPED_DOT, SelectRule
from flow_singer.stages.pluginsettings import PluginConfig
from flow_singer.stages.settingwriter import writable_file
from flow_singer.stages.tapcatalog import DEFAULT_SELECT


@dataclass(frozen=True)
class Change:
    """What was changed.

    Attributes:
        written: rules that were added, each with its place: "meltano.yml, line 9".
        kept: rules that were to be added and are there already, by their place.
        removed: rules that were taken away, each with the place where it stood.
        copied: rules of a lower layer that were written, too, as new exclusions would select nothing without them.
        replaced: rules of a lower layer in whose place the new ones stand.
        layer: what `resolve` calls the layer; None where it has no rules any more.
    """

    written: Sequence[tuple[str, str]] = ()
    kept: Sequence[tuple[str, str]] = ()
    removed: Sequence[tuple[str, str]] = ()
    copied: Sequence[str] = ()
    replaced: Sequence[str] = ()
    layer: str | None = None


def read_rules(words: Sequence[str], *, exclude: bool = False) -> list[str]:
    r"""Read the words of a command as rules.

    Two words without a dot and `!` are a stream and a property, as Meltano has them: `issues id` is `issues.id`.
    Else each word is a rule, and a stream alone stands for all of it: `issues` is `issues.*`. A dot behind a
    backslash is part of a name.

    Args:
        words: as they were typed.
        exclude: whether the rules are to leave out what they name.

    Raises:
        ConfigError: a word is no rule.
    """
    if _is_stream_and_field(words):
        words = [".".join(words)]
    rules = []
    for word in words:
        SelectRule.parse(word)
        if re.search(r"\s", word):
            raise ConfigError(
                f"'{word}' is no select rule: it has a blank.", "Give each rule a word of its own."
            )
        rule = f"{word}.*" if _is_name(word) else word
        rules.append(f"!{rule}" if exclude and not rule.startswith("!") else rule)
    return list(dict.fromkeys(rules))


def other_reading(words: Sequence[str]) -> list[str]:
    """The rules that words may have meant which `read_rules` has read in another way; empty where there are none."""
    if _is_stream_and_field(words):
        return [f"{word}.*" for word in words]
    if len(words) == 2 and _is_name(words[0]) and not words[1].startswith("!"):
        return [".".join(words)]
    if any("," in word for word in words):
        return [part for word in words for part in word.split(",") if part.strip("!")]
    return []


def _is_stream_and_field(words: Sequence[str]) -> bool:
    return len(words) == 2 and all(map(_is_name, words))


def _is_name(word: str) -> bool:
    return not word.startswith("!") and not UNESCAPED_DOT.search(word)


@dataclass(frozen=True)
class RuleList:
    """The list `select` of a tap where it is written, or would be.

    Args:
        config: the tap as it is.
        environment: the one that a person named; None for the tap's entry.

    Raises:
        ConfigError: there is no project, or it does not have the tap.
    """

    config: PluginConfig
    environment: str | None

    def __post_init__(self) -> None:
        writable_file(self.config, self.environment)

    def add(self, rules: Sequence[str]) -> Change:
        """Add rules at the end of the list.

        Where there is no list, exclusions alone narrow the rules that hold until then, as those of `flow run
        --select` do; others stand in their place.

        Raises:
            ConfigError: the file cannot be changed so.
        """
        own = self._own()
        there = [_normal(rule) for rule in own]
        new = [rule for rule in rules if _normal(rule) not in there]
        kept = [(rule, self._place(there.index(_normal(rule)))) for rule in rules if rule not in new]
        below = [] if own else self._below()
        copied = below if new and all(rule.startswith("!") for rule in new) else []
        lines: list[int] = []
        if new:
            lines = add_items(*self._file, self._steps, [*copied, *new])
        written = [
            (rule, f"{self._file[1]}, line {line}")
            for rule, line in zip(new, lines[len(copied) :], strict=True)
        ]
        replaced = [] if own or copied or not new else below
        return Change(written, kept, copied=copied, replaced=replaced, layer=self._layer)

    def remove(self, rules: Sequence[str]) -> Change:
        """Take rules out of the list; with the last one the list goes, too.

        Raises:
            ConfigError: one is not in the list, or the file cannot be changed so.
        """
        own = self._own()
        there = [_normal(rule) for rule in own]
        for rule in rules:
            if _normal(rule) not in there:
                raise self._missing(rule, own)
        wanted = {_normal(rule) for rule in rules}
        positions = [position for position, rule in enumerate(there) if rule in wanted]
        removed = [(own[position], self._place(position)) for position in positions]
        remove_items(*self._file, self._steps, positions)
        return Change(removed=removed, layer=self._layer if len(positions) < len(own) else None)

    def clear(self) -> Change:
        """Take the whole list away.

        Raises:
            ConfigError: the file cannot be changed so.
        """
        removed = [(rule, self._place(position)) for position, rule in enumerate(self._own())]
        remove_key(*self._file, self._steps)
        return Change(removed=removed)

    @property
    def called(self) -> str:
        """Where the list is."""
        file = self._file[1]
        return f"{file}, environment '{self.environment}'" if self.environment else file

    def _own(self) -> list[str]:
        return self._texts(self.environment, 0)

    def _texts(self, environment: str | None, depth: int) -> list[str]:
        """The list of an entry, or of an environment, as it is written; of a parent where depth is more than 0."""
        project, plugin = self.config.project, list(self.config.plugin.lineage)[depth]
        entry = project.environment_overlay(plugin.kind, plugin.name) if environment else plugin.extras
        value = entry.get("select")
        if value is not None and not isinstance(value, list):
            raise ConfigError(
                f"{self.called}: 'select' of {plugin.name} is no list.", "Write it as a list: [issues.*]."
            )
        return [str(one) for one in value or ()]

    def _below(self) -> list[str]:
        """The rules that hold where the list has none: the nearest list of a lower layer."""
        depths = range(len(list(self.config.plugin.lineage)))
        active = self.config.project.environment
        layers = [(environment, depth) for depth in depths for environment in (active, None)]
        for environment, depth in layers[layers.index((self.environment or None, 0)) + 1 :]:
            if texts := self._texts(environment, depth):
                return texts
        default = self.config.plugin.extra_defaults.get("select")
        return [str(one) for one in default or DEFAULT_SELECT]

    @property
    def _file(self) -> tuple[Path, str]:
        return writable_file(self.config, self.environment)

    @property
    def _steps(self) -> list[Step]:
        return [*entry_steps(self.config.plugin.kind, self.config.plugin.name, self.environment), "select"]

    @property
    def _layer(self) -> str:
        return f"environment '{self.environment}' in {PROJECT_FILE}" if self.environment else PROJECT_FILE

    def _place(self, position: int) -> str:
        lines = item_lines(*self._file, self._steps)
        return f"{self._file[1]}, line {lines[position]}" if position < len(lines) else self._file[1]

    def _missing(self, rule: str, own: Sequence[str]) -> ConfigError:
        name = self.config.plugin.name
        hint = did_you_mean([repr(one) for one in near_names(rule, own)]) or (
            f"It has: {listed(own)}."
            if own
            else f"Which rules hold, and where they stand: flow select {name} --list"
        )
        return ConfigError(f"{self.called}: {name} has no select rule '{rule}'.", hint)


def _normal(rule: str) -> tuple[str, tuple[str, ...], bool]:
    """What a rule says, however it is written: `issues` is `issues.*`."""
    parsed = SelectRule.parse(rule)
    return parsed.stream, parsed.properties or ("*",), parsed.exclude
