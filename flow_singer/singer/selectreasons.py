"""Why a stream or a property of a catalog is selected, or is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from flow_singer.singer.catalog import apply_filter, apply_rules
from flow_singer.singer.selection import (
    Breadcrumb,
    is_property_selected,
    is_stream_selected,
    mark_of_property,
    mark_of_stream,
    metadata_of,
    properties_of,
    streams_of,
)
from flow_singer.singer.selectrule import SelectRule
from flow_singer.singer.streamfacts import StreamFacts, facts_of_streams

Reason = Literal[
    "rule",  # of `select`, which takes it in or, with `!`, leaves it out
    "no rule",  # of `select` takes it in
    "automatic",  # the tap sends it always
    "unsupported",  # the tap cannot send it
    "metadata",  # the extra of that name has decided
    "select_filter",  # likewise; the rule is one with `!`, None where none names the stream
    "stream",  # its stream is out
    "object",  # what it stands in is out
    "catalog",  # a hand-made catalog says so itself
]


@dataclass(frozen=True)
class Choice:
    """Whether a stream or a property is in, and why.

    Attributes:
        is_in: whether the tap sends it.
        reason: what decides.
        rule: of the reasons "rule" and "select_filter", the text of the one that decides.
    """

    is_in: bool
    reason: Reason
    rule: str | None = None


@dataclass(frozen=True)
class PropertyChoice:
    """The choice of a property.

    Attributes:
        path: the names from the top of its stream to it.
        choice: its own.
        is_key: whether it is of the primary key.
        is_replication_key: whether an INCREMENTAL stream goes on by it.
    """

    path: tuple[str, ...]
    choice: Choice
    is_key: bool
    is_replication_key: bool


@dataclass(frozen=True)
class StreamChoice:
    """The choice of a stream and of its properties.

    Attributes:
        facts: what the catalog says of it.
        choice: its own.
        properties: parents before children.
    """

    facts: StreamFacts
    choice: Choice
    properties: tuple[PropertyChoice, ...]

    @property
    def chosen_fields(self) -> int:
        """How many properties are in, those of objects not counted."""
        return sum(one.choice.is_in for one in self.properties if len(one.path) == 1)


def explain_selection(
    catalog: Mapping[str, Any],
    *,
    select: Sequence[str] | None,
    select_filter: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    schema: Mapping[str, Any] | None = None,
) -> list[StreamChoice]:
    """Say of each stream and property whether a run with these rules gets it, and why.

    Args:
        catalog: as the tap's discovery wrote it, or a hand-made one; not changed.
        select: see `apply_rules`; None for a hand-made catalog, to which no rule but the filter is applied.
        select_filter, metadata, schema: see `apply_rules`.

    Returns:
        The streams in the catalog's order. What is in is what `selected_streams` reads out of the catalog that
        `apply_rules` makes.

    Raises:
        ConfigError: the catalog or a rule has a wrong shape.
    """
    if select is None:
        by_rules = marked = apply_filter(catalog, ()).catalog
        final = apply_filter(catalog, select_filter).catalog
    else:
        by_rules = apply_rules(catalog, select=select, schema=schema).catalog
        marked = apply_rules(catalog, select=select, schema=schema, metadata=metadata).catalog
        final = apply_filter(marked, select_filter).catalog
    rules = None if select is None else [SelectRule.parse(text) for text in select]
    filters = [SelectRule.parse(text) for text in select_filter]
    stages = zip(streams_of(by_rules), streams_of(marked), streams_of(final), strict=True)
    return [
        _explain_stream(facts, _Explainer(facts.id, rules, filters), *stage)
        for facts, stage in zip(facts_of_streams(final), stages, strict=True)
    ]


@dataclass(frozen=True)
class _Explainer:
    stream: str
    rules: Sequence[SelectRule] | None
    filters: Sequence[SelectRule]

    def choice(
        self, breadcrumb: Breadcrumb, own: Mapping[str, Any], marked: Mapping[str, Any], is_in: bool
    ) -> Choice:
        """Why a stream (the empty breadcrumb) or a property is in or out.

        Args:
            own: what is said of it once the rules of `select` are applied.
            marked: the same with the extra `metadata`.
            is_in: what follows.
        """
        if self.rules is None:
            return Choice(is_in, "catalog")
        choice = self._by_rules(breadcrumb, marked.get("inclusion"))
        is_remarked = choice.reason in ("automatic", "unsupported") and own.get("inclusion") != marked.get(
            "inclusion"
        )
        return Choice(is_in, "metadata") if choice.is_in is not is_in or is_remarked else choice

    def _by_rules(self, breadcrumb: Breadcrumb, inclusion: Any) -> Choice:
        if inclusion == "unsupported":
            return Choice(False, "unsupported")
        if inclusion == "automatic" and breadcrumb:
            return Choice(True, "automatic")
        touching = [rule for rule in self.rules or () if rule.touches(self.stream, breadcrumb)]
        excluding = [rule for rule in touching if rule.exclude]
        if not touching:
            return Choice(False, "no rule")
        # of several, the one that is about it, not about something in it
        said = max(
            excluding or touching,
            key=lambda rule: (rule.names(self.stream, breadcrumb), rule.matches(self.stream, breadcrumb)),
        )
        return Choice(not excluding, "rule", said.text)

    def filtered(self) -> Choice:
        """The choice of a stream that the filter leaves out."""
        naming = (one.text for one in self.filters if one.exclude and fnmatchcase(self.stream, one.stream))
        return Choice(False, "select_filter", next(naming, None))


def _explain_stream(
    facts: StreamFacts,
    explainer: _Explainer,
    by_rules: Mapping[str, Any],
    marked: Mapping[str, Any],
    final: Mapping[str, Any],
) -> StreamChoice:
    marks = [metadata_of(stream) for stream in (by_rules, marked, final)]
    own, changed, last = (
        mark_of_stream(stream, mark) for stream, mark in zip((by_rules, marked, final), marks, strict=True)
    )
    choice = explainer.choice((), own, changed, is_stream_selected(changed))
    if choice.is_in and not is_stream_selected(last):
        choice = explainer.filtered()
    choices: dict[Breadcrumb, Choice] = {}
    for breadcrumb, schema in properties_of(final.get("schema")):
        own, changed = (mark_of_property(schema, breadcrumb, mark) for mark in marks[:2])
        parent = choices.get(breadcrumb[:-2])
        if not choice.is_in:
            one = Choice(False, "stream")
        elif parent is not None and not parent.is_in:
            one = Choice(False, "object")
        else:
            one = explainer.choice(breadcrumb, own, changed, is_property_selected(changed, parent=True))
        choices[breadcrumb] = one
    return StreamChoice(
        facts,
        choice,
        tuple(
            PropertyChoice(
                path[1::2],
                one,
                len(path) == 2 and path[1] in facts.keys,
                len(path) == 2 and path[1] == facts.replication_key,
            )
            for path, one in choices.items()
        ),
    )
