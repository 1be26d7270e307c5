"""Edit a tap's catalog by rules and read the selection out of it; catalogs stay raw JSON throughout.

Classes for catalogs drop keys that they do not know (enum, oneOf, `$ref`), so none are used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from flow_singer.errors import ConfigError

_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
_WILDCARD = re.compile(r"[*?\[]")

Breadcrumb = tuple[str, ...]


@dataclass(frozen=True)
class CatalogResult:
    """A changed copy of a catalog, and a warning for each rule that matched nothing."""

    catalog: dict[str, Any]
    warnings: list[str]


@dataclass(frozen=True)
class _SelectRule:
    """One pattern `[!]stream[.property[.property...]]`."""

    text: str
    stream: str
    properties: tuple[str, ...]
    exclude: bool

    @classmethod
    def parse(cls, text: str) -> _SelectRule:
        if not isinstance(text, str) or not text.strip("!"):
            raise ConfigError(f"'{text}' is no select rule.", "Write [!]stream.property, with * as wildcard.")
        stream, *properties = (
            part.replace("\\.", ".") for part in _UNESCAPED_DOT.split(text.removeprefix("!"))
        )
        return cls(text, stream, tuple(part for part in properties if part), text.startswith("!"))

    def breadcrumbs(self) -> list[Breadcrumb]:
        """The patterns of breadcrumbs to set: an included property also selects all it stands in."""
        path = self.properties or ("*",)
        if self.exclude:
            return [(), _breadcrumb(path)] if path == ("*",) else [_breadcrumb(path)]
        return [_breadcrumb(path[:depth]) for depth in range(len(path) + 1)]


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
    own name.
    """
    result = _copy(catalog)
    streams = _streams(result)
    warnings = [*_apply_schema(streams, schema or {})]
    for stream in streams:
        _complete_metadata(stream, [(), *(path for path, _ in _properties(stream.get("schema")))])
    warnings += _apply_select(streams, [_SelectRule.parse(text) for text in select])
    warnings += _apply_metadata(streams, metadata or {})
    warnings += _apply_filter(streams, select_filter)
    return CatalogResult(result, warnings)


def apply_filter(catalog: Mapping[str, Any], select_filter: Sequence[str]) -> CatalogResult:
    """Deselect streams: those that no rule of the filter names, and those that a rule with `!` names.

    Nothing else changes, so this is also what a hand-made catalog goes through.

    Raises:
        ConfigError: the catalog or a rule has a wrong shape.
    """
    result = _copy(catalog)
    return CatalogResult(result, [*_apply_filter(_streams(result), select_filter)])


def extend_select(base: Sequence[str], extra: Sequence[str]) -> list[str]:
    """Return the rules of a run: those of the command line in place of the project's.

    Without rules on the command line the project's hold; with nothing but exclusions there (`!users.body`)
    they narrow the project's.
    """
    if all(rule.startswith("!") for rule in extra):
        return [*base, *extra]
    return list(extra)


def selected_streams(catalog: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read what a tap will extract: selected stream -> dotted paths of its selected properties.

    For a property: parent deselected, no; unsupported, no; automatic, yes; `selected`; `selected-by-default`;
    as its parent. For a stream an explicit `selected` goes before `inclusion`, and without either it is not
    selected. "true" and "false" as text count.

    Source: Singer spec, "Stream and field selection"; Singer SDK, selection masks.
    """
    result: dict[str, list[str]] = {}
    for stream in _streams(catalog):
        marks = _metadata_of(stream)
        if not _stream_selected(stream, marks.get((), {})):
            continue
        known: dict[Breadcrumb, bool] = {(): True}
        for breadcrumb, property_schema in _properties(stream.get("schema")):
            own = {**_legacy_mark(property_schema), **marks.get(breadcrumb, {})}
            known[breadcrumb] = _property_selected(own, parent=known[breadcrumb[:-2]])
        result[_stream_id(stream)] = [_dotted(path) for path, selected in known.items() if path and selected]
    return result


def legacy_properties(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalog for a tap with `--properties`: `selected` also stands inside the schemas.

    Source: Singer spec 0.2, "Properties"; kept by taps that predate metadata.
    """
    result = _copy(catalog)
    chosen = selected_streams(catalog)
    for stream in _streams(result):
        paths = chosen.get(_stream_id(stream))
        stream["selected"] = paths is not None
        if isinstance(stream.get("schema"), dict):
            stream["schema"]["selected"] = paths is not None
        for breadcrumb, property_schema in _properties(stream.get("schema")):
            property_schema["selected"] = paths is not None and _dotted(breadcrumb) in paths
    return result


def _copy(catalog: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(catalog, Mapping):
        raise ConfigError("The catalog is no JSON object.", 'Expected {"streams": [...]}.')
    return {key: _copied(value) for key, value in catalog.items()}


def _copied(value: Any) -> Any:
    """Copy JSON; unlike copy.deepcopy, parts that were one object in memory become separate."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _streams(catalog: Mapping[str, Any]) -> list[dict[str, Any]]:
    streams = catalog.get("streams")
    if not isinstance(streams, list) or not all(isinstance(stream, dict) for stream in streams):
        raise ConfigError("The catalog has no list of streams.", 'Expected {"streams": [...]}.')
    for number, stream in enumerate(streams, 1):
        if not isinstance(stream.get("tap_stream_id", stream.get("stream")), str):
            raise ConfigError(f"Stream {number} of the catalog has no tap_stream_id.", "Discover it anew.")
    return streams


def _stream_id(stream: Mapping[str, Any]) -> str:
    return str(stream.get("tap_stream_id", stream.get("stream")))


def _breadcrumb(properties: Iterable[str]) -> Breadcrumb:
    return tuple(part for name in properties for part in ("properties", name))


def _dotted(breadcrumb: Breadcrumb) -> str:
    return ".".join(breadcrumb[1::2])


def _properties(schema: Any, above: Breadcrumb = ()) -> Iterator[tuple[Breadcrumb, dict[str, Any]]]:
    """Each property of a schema with its breadcrumb, parents before children."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(properties, Mapping):
        for name, property_schema in properties.items():
            if isinstance(property_schema, dict):
                breadcrumb = (*above, "properties", name)
                yield breadcrumb, property_schema
                yield from _properties(property_schema, breadcrumb)


def _metadata_of(stream: Mapping[str, Any]) -> dict[Breadcrumb, dict[str, Any]]:
    """The metadata of a stream by breadcrumb; the mappings are those of the catalog itself."""
    marks: dict[Breadcrumb, dict[str, Any]] = {}
    for entry in stream.get("metadata") or ():
        if isinstance(entry, dict) and isinstance(entry.get("breadcrumb"), list):
            mark = entry.setdefault("metadata", {})
            if isinstance(mark, dict):
                marks.setdefault(tuple(map(str, entry["breadcrumb"])), mark)
    return marks


def _complete_metadata(stream: dict[str, Any], breadcrumbs: Iterable[Breadcrumb]) -> None:
    """Make the missing entries: nested properties available, the rest automatic (Meltano 4.4)."""
    known = _metadata_of(stream)
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


def _apply_select(streams: Sequence[dict[str, Any]], rules: Sequence[_SelectRule]) -> Iterator[str]:
    """Deselect all, then include, then exclude. Warns of rules that match nothing, `*` aside."""
    used: set[_SelectRule] = set()
    named: set[_SelectRule] = set()
    for stream in streams:
        marks = _metadata_of(stream)
        for mark in (stream, *marks.values()):
            mark["selected"] = False
        for rule in sorted(rules, key=lambda rule: rule.exclude):  # excludes last, so that they win
            if not fnmatchcase(_stream_id(stream), rule.stream):
                continue
            named.add(rule)
            patterns = [".".join(pattern) for pattern in rule.breadcrumbs()]
            for breadcrumb, mark in marks.items():
                if any(fnmatchcase(".".join(breadcrumb), pattern) for pattern in patterns):
                    _select(mark, not rule.exclude)
                    if fnmatchcase(".".join(breadcrumb), patterns[-1]):
                        used.add(rule)
            if "" in patterns:
                stream["selected"] = not rule.exclude
    for rule in rules:
        if rule.stream != "*" and rule not in named:
            yield f"select rule '{rule.text}': no stream is called so.{_near(rule.stream, streams)}"
        elif rule.properties not in {(), ("*",)} and rule in named and rule not in used:
            yield f"select rule '{rule.text}': no property matches '{'.'.join(rule.properties)}'."


def _near(name: str, streams: Iterable[Mapping[str, Any]]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [_stream_id(stream) for stream in streams], n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _by_stream(
    rules: Mapping[str, Any], streams: Sequence[dict[str, Any]], extra: str, above: str = ""
) -> Iterator[tuple[dict[str, Any], str, Any] | str]:
    """Pair the streams with the rules whose pattern names them; a text is a warning.

    A key with a dot arrives here split (`db.orders` as db: {orders: ...}), so a pattern that names no stream
    is tried again together with the next level.
    """
    for key, body in rules.items():
        pattern = f"{above}{key}"
        matching = [stream for stream in streams if fnmatchcase(_stream_id(stream), pattern)]
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
            if not wanted and _WILDCARD.search(name):
                yield f"schema of '{pattern}': no property matches '{name}'."
            for known in wanted or ([] if _WILDCARD.search(name) else [name]):
                properties[known] = _copied(payload)


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
        marks = _metadata_of(stream)
        for properties, key, value in _metadata_leaves(body):
            wanted = ".".join(_breadcrumb(properties))
            matching = [mark for path, mark in marks.items() if fnmatchcase(".".join(path), wanted)]
            if not matching:
                yield f"metadata of '{pattern}': no property matches '{'.'.join(properties)}'."
            for mark in matching:
                if key != "selected" or value is not True:
                    mark[key] = _copied(value)
                else:
                    _select(mark, True)
            if not properties:  # legacy catalogs have the keys on the stream itself
                stream[key.replace("-", "_")] = _copied(value)


def _metadata_leaves(
    body: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    for key, value in body.items():
        if isinstance(value, Mapping):
            yield from _metadata_leaves(value, (*above, key))
        else:
            yield above, key, value


def _apply_filter(streams: Sequence[dict[str, Any]], select_filter: Sequence[str]) -> Iterator[str]:
    rules = [_SelectRule.parse(text) for text in select_filter]
    wanted = [rule.stream for rule in rules if not rule.exclude]
    unwanted = [rule.stream for rule in rules if rule.exclude]
    ids = [_stream_id(stream) for stream in streams]
    for stream, name in zip(streams, ids, strict=True):
        left_out = bool(wanted) and not any(fnmatchcase(name, pattern) for pattern in wanted)
        if left_out or any(fnmatchcase(name, pattern) for pattern in unwanted):
            _complete_metadata(stream, [()])
            _metadata_of(stream)[()]["selected"] = False
            stream["selected"] = False
    for rule in rules:
        if not any(fnmatchcase(name, rule.stream) for name in ids):
            yield f"select_filter '{rule.text}': no stream is called so.{_near(rule.stream, streams)}"


def _flag(mark: Mapping[str, Any], key: str) -> bool | None:
    value = mark.get(key)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _legacy_mark(schema: Any) -> dict[str, Any]:
    """Selection as catalogs without metadata have it, inside the schema."""
    keys = ("selected", "inclusion")
    return {key: schema[key] for key in keys if key in schema} if isinstance(schema, Mapping) else {}


def _stream_selected(stream: Mapping[str, Any], mark: Mapping[str, Any]) -> bool:
    own = {**_legacy_mark(stream.get("schema")), **_legacy_mark(stream), **mark}
    selected = _flag(own, "selected")
    if own.get("inclusion") == "unsupported":
        return False
    if selected is not None:
        return selected
    return own.get("inclusion") == "automatic" or _flag(own, "selected-by-default") is True


def _property_selected(mark: Mapping[str, Any], *, parent: bool) -> bool:
    if not parent or mark.get("inclusion") == "unsupported":
        return False
    if mark.get("inclusion") == "automatic":
        return True
    for key in ("selected", "selected-by-default"):
        if (flag := _flag(mark, key)) is not None:
            return flag
    return parent
