"""Edit a tap's catalog by the rules of a project: select, metadata, schema, select_filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.singer.nearselect import did_you_mean, near, near_properties, near_streams
from flow_singer.singer.selection import (
    Breadcrumb,
    breadcrumb_of,
    copy_catalog,
    copy_json,
    dotted,
    metadata_of,
    properties_of,
    selected_streams,
    stream_id,
    streams_of,
)
from flow_singer.singer.selectrule import UNESCAPED_DOT, WILDCARD, SelectRule


@dataclass(frozen=True)
class CatalogResult:
    """A changed copy of a catalog, and what should be said of the rules.

    Attributes:
        catalog: the copy.
        warnings: a sentence for each rule that did nothing, or not what it seems to say.
        unmatched: those of them for select rules that matched nothing, by rule.
    """

    catalog: dict[str, Any]
    warnings: list[str]
    unmatched: Mapping[str, str] = field(default_factory=dict)


def apply_rules(
    catalog: Mapping[str, Any],
    *,
    select: Sequence[str],
    select_filter: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    schema: Mapping[str, Any] | None = None,
) -> CatalogResult:
    """Apply a project's rules to a discovered catalog, in the order schema, select, metadata, select_filter.

    Args:
        catalog: as the tap's discovery wrote it; not changed.
        select: rules; what none includes is deselected, what one excludes stays so in any order.
        select_filter: see `apply_filter`.
        metadata: {stream: {key: value, property: {key: value}}}; streams and properties may be patterns.
        schema: {stream: {property: JSON Schema}}; replaces or adds top-level properties.

    Raises:
        ConfigError: the catalog or a rule has a wrong shape.

    Source: Meltano 4.4, "select", "metadata", "schema" and "select_filter" extras. Two differences:
    properties with names such as `x-y` get metadata too, and a `schema` pattern never adds a property of its
    own name. As there, a rule that names an object alone selects nothing of what is in it; unlike there, that
    is told.
    """
    result = copy_catalog(catalog)
    streams = streams_of(result)
    warnings = [*_apply_schema(streams, schema or {})]
    for stream in streams:
        _complete_metadata(stream, [(), *(path for path, _ in properties_of(stream.get("schema")))])
    rules = [SelectRule.parse(text) for text in select]
    unmatched = dict(_apply_select(streams, rules))
    warnings += unmatched.values()
    warnings += _apply_metadata(streams, metadata or {})
    warnings += _apply_filter(streams, select_filter)
    warnings += _without_effect(result, rules)
    return CatalogResult(result, warnings, unmatched)


def apply_filter(catalog: Mapping[str, Any], select_filter: Sequence[str]) -> CatalogResult:
    """Deselect streams: those that no rule of the filter names, and those that a rule with `!` names.

    Nothing else changes, so this is also what a hand-made catalog goes through.

    Raises:
        ConfigError: the catalog or a rule has a wrong shape.
    """
    result = copy_catalog(catalog)
    return CatalogResult(result, [*_apply_filter(streams_of(result), select_filter)])


def extend_select(base: Sequence[str], extra: Sequence[str]) -> list[str]:
    """Return the rules of a run: those of the command line in place of the project's.

    Without rules on the command line the project's hold; with nothing but exclusions there (`!users.body`)
    they narrow the project's.
    """
    if all(rule.startswith("!") for rule in extra):
        return [*base, *extra]
    return list(extra)


def _complete_metadata(stream: dict[str, Any], breadcrumbs: Iterable[Breadcrumb]) -> None:
    """Make the missing entries: nested properties available, the rest automatic (Meltano 4.4)."""
    known = metadata_of(stream)
    missing = [breadcrumb for breadcrumb in breadcrumbs if breadcrumb not in known]
    stream["metadata"] = [
        *(stream.get("metadata") or ()),
        *(
            {
                "breadcrumb": list(breadcrumb),
                "metadata": {"inclusion": "automatic" if len(breadcrumb) <= 2 else "available"},
            }
            for breadcrumb in missing
        ),
    ]


def _select(mark: dict[str, Any], selected: bool) -> None:
    if not (selected and mark.get("inclusion") == "unsupported"):
        mark["selected"] = selected


def _apply_select(
    streams: Sequence[dict[str, Any]], rules: Sequence[SelectRule]
) -> Iterator[tuple[str, str]]:
    """Deselect all, then include, then exclude. Yields each rule that matches nothing, `*` aside, and why."""
    used: set[SelectRule] = set()
    named: set[SelectRule] = set()
    unsupported: set[SelectRule] = set()
    for stream in streams:
        marks = metadata_of(stream)
        for mark in (stream, *marks.values()):
            mark["selected"] = False
        for rule in sorted(rules, key=lambda rule: rule.exclude):  # excludes last, so that they win
            if not fnmatchcase(stream_id(stream), rule.stream):
                continue
            named.add(rule)
            for breadcrumb, mark in marks.items():
                if rule.sets(breadcrumb):
                    _select(mark, not rule.exclude)
                    if rule.matches(stream_id(stream), breadcrumb):
                        able = rule.exclude or mark.get("inclusion") != "unsupported"
                        (used if able else unsupported).add(rule)
            if rule.sets(()):
                stream["selected"] = not rule.exclude
    for rule in rules:
        if rule.stream != "*" and rule not in named:
            why = f"no stream is called so.{_near(rule.whole, streams)}"
        elif rule.properties in {(), ("*",)} or rule not in named or rule in used:
            continue
        elif rule in unsupported:
            why = "the tap cannot send it (inclusion: unsupported)."
        else:
            why = f"no property matches '{'.'.join(rule.properties)}'.{_near_property(rule, streams)}"
        yield rule.text, f"select rule '{rule.text}': {why}"


def _near(written: str, streams: Iterable[Mapping[str, Any]]) -> str:
    ids = {str(stream.get("stream")): stream_id(stream) for stream in streams if stream.get("stream")}
    ids |= {id_: id_ for id_ in map(stream_id, streams)}
    return did_you_mean(near_streams(written, ids))


def _near_property(rule: SelectRule, streams: Iterable[Mapping[str, Any]]) -> str:
    paths = _paths(stream for stream in streams if fnmatchcase(stream_id(stream), rule.stream))
    stream = UNESCAPED_DOT.split(rule.text.removeprefix("!"))[0]
    return did_you_mean([f"{stream}.{path}" for path in near_properties(rule.properties, paths)])


def _paths(streams: Iterable[Mapping[str, Any]]) -> list[Breadcrumb]:
    """The names from the top to each property."""
    return [path[1::2] for stream in streams for path, _ in properties_of(stream.get("schema"))]


def _without_effect(catalog: Mapping[str, Any], rules: Sequence[SelectRule]) -> Iterator[str]:
    """Tell rules that name a property and yet leave out what is in it, or cannot keep it out."""
    if all(rule.properties in {(), ("*",)} for rule in rules):
        return
    chosen = selected_streams(catalog)
    excludes = [rule for rule in rules if rule.exclude]
    told = set()
    for stream in streams_of(catalog):
        id_ = stream_id(stream)
        paths = set(chosen.get(id_, ()))
        marks = metadata_of(stream)
        for breadcrumb, schema in properties_of(stream.get("schema")):
            path = dotted(breadcrumb)
            if path not in paths:
                continue
            inner = [one for one, _ in properties_of(schema, breadcrumb)]
            empty = bool(inner) and not any(dotted(one) in paths for one in inner)
            always = marks.get(breadcrumb, {}).get("inclusion") == "automatic"
            for rule in rules:
                if rule in told or not rule.names(id_, breadcrumb):
                    continue
                if rule.exclude and always:
                    told.add(rule)
                    yield f"select rule '{rule.text}': the tap sends '{path}' all the same (inclusion: automatic)."
                elif (
                    not rule.exclude
                    and empty
                    and not any(one.matches(id_, below) for one in excludes for below in inner)
                ):
                    told.add(rule)
                    yield (
                        f"select rule '{rule.text}': '{path}' is an object, and nothing in it is selected, so it "
                        f"may come empty. Select what is in it: '{rule.text}.*'."
                    )


def _by_stream(
    rules: Mapping[str, Any], streams: Sequence[dict[str, Any]], extra: str, above: str = ""
) -> Iterator[tuple[dict[str, Any], str, Any] | str]:
    """Pair the streams with the rules whose pattern names them; a text is a warning.

    A key with a dot arrives here split (`db.orders` as db: {orders: ...}), so a pattern that names no stream
    is tried again together with the next level.
    """
    for key, body in rules.items():
        pattern = f"{above}{key}"
        matching = [stream for stream in streams if fnmatchcase(stream_id(stream), pattern)]
        for stream in matching:
            yield stream, pattern, body
        if matching:
            continue
        below = [*_by_stream(body, streams, extra, f"{pattern}.")] if isinstance(body, Mapping) else []
        if any(not isinstance(found, str) for found in below):
            yield from below
        elif not above:
            yield f"{extra} of '{pattern}': no stream is called so.{_near(pattern, streams)}"


def _apply_schema(streams: Sequence[dict[str, Any]], rules: Mapping[str, Any]) -> Iterator[str]:
    for found in _by_stream(rules, streams, "schema"):
        if isinstance(found, str):
            yield found
            continue
        stream, pattern, body = found
        if not isinstance(body, Mapping) or not all(isinstance(item, Mapping) for item in body.values()):
            raise ConfigError(
                f"schema of '{pattern}' is no mapping of properties.", "Write property: {type: ...}."
            )
        properties = stream.setdefault("schema", {"type": "object"}).setdefault("properties", {})
        for name, payload in body.items():
            wanted = [known for known in properties if fnmatchcase(known, name)]
            if not wanted and WILDCARD.search(name):
                yield f"schema of '{pattern}': no property matches '{name}'.{_near_path((name,), [stream])}"
            elif not wanted and (alike := near(name, {one: one for one in properties}, cutoff=0.8)):
                yield f"schema of '{pattern}' adds a property '{name}'.{did_you_mean(alike)}"
            for known in wanted or ([] if WILDCARD.search(name) else [name]):
                properties[known] = copy_json(payload)


def _apply_metadata(streams: Sequence[dict[str, Any]], rules: Mapping[str, Any]) -> Iterator[str]:
    for found in _by_stream(rules, streams, "metadata"):
        if isinstance(found, str):
            yield found
            continue
        stream, pattern, body = found
        if not isinstance(body, Mapping):
            raise ConfigError(
                f"metadata of '{pattern}' is no mapping.", "Write replication-method: INCREMENTAL."
            )
        marks = metadata_of(stream)
        for properties, key, value in _metadata_leaves(body):
            wanted = ".".join(breadcrumb_of(properties))
            matching = [mark for path, mark in marks.items() if fnmatchcase(".".join(path), wanted)]
            if not matching:
                dotted, alike = ".".join(properties), _near_path(properties, [stream])
                yield f"metadata of '{pattern}': no property matches '{dotted}'.{alike}"
            yield from _strange_mark(pattern, key, value)
            for mark in matching:
                if key != "selected" or value is not True:
                    mark[key] = copy_json(value)
                else:
                    _select(mark, True)
            if not properties:  # legacy catalogs have the keys on the stream itself
                stream[key.replace("-", "_")] = copy_json(value)


def _near_path(properties: Sequence[str], streams: Sequence[Mapping[str, Any]]) -> str:
    return did_you_mean(near_properties(properties, _paths(streams)))


# Singer spec, "Metadata"; what tap-postgres and its like add.
_KEYS = """selected inclusion selected-by-default replication-method replication-key forced-replication-method
    valid-replication-keys table-key-properties view-key-properties schema-name database-name is-view row-count
    sql-datatype""".split()  # noqa: SIM905
_METHODS = ("FULL_TABLE", "INCREMENTAL", "LOG_BASED")


def _strange_mark(pattern: str, key: str, value: Any) -> Iterator[str]:
    """Tell a key of metadata, or a replication method, that looks like a misspelt one."""
    if key not in _KEYS and (alike := near(key, {one: one for one in _KEYS}, n=1, cutoff=0.85)):
        yield f"metadata of '{pattern}': taps do not know the key '{key}'.{did_you_mean(alike)}"
    if key == "replication-method" and value not in _METHODS:
        alike = near(str(value), {one: one for one in _METHODS}, n=1)
        yield f"metadata of '{pattern}': '{value}' is no replication-method of Singer.{did_you_mean(alike)}"


def _metadata_leaves(
    body: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    for key, value in body.items():
        if isinstance(value, Mapping):
            yield from _metadata_leaves(value, (*above, key))
        else:
            yield above, key, value


def _apply_filter(streams: Sequence[dict[str, Any]], select_filter: Sequence[str]) -> Iterator[str]:
    rules = [SelectRule.parse(text) for text in select_filter]
    wanted = [rule.stream for rule in rules if not rule.exclude]
    unwanted = [rule.stream for rule in rules if rule.exclude]
    ids = [stream_id(stream) for stream in streams]
    for stream, name in zip(streams, ids, strict=True):
        left_out = bool(wanted) and not any(fnmatchcase(name, pattern) for pattern in wanted)
        if left_out or any(fnmatchcase(name, pattern) for pattern in unwanted):
            _complete_metadata(stream, [()])
            metadata_of(stream)[()]["selected"] = False
            stream["selected"] = False
    for rule in rules:
        if not any(fnmatchcase(name, rule.stream) for name in ids):
            yield f"select_filter '{rule.text}': no stream is called so.{_near(rule.stream, streams)}"
