"""Read a catalog: its streams, properties and metadata, and what of them is selected.

Classes for catalogs drop keys that they do not know (enum, oneOf, `$ref`), so catalogs stay raw JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flow_singer.errors import ConfigError

Breadcrumb = tuple[str, ...]


def selected_streams(catalog: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read what a tap will extract: selected stream -> dotted paths of its selected properties.

    For a property: parent deselected, no; unsupported, no; automatic, yes; `selected`; `selected-by-default`;
    as its parent. For a stream an explicit `selected` goes before `inclusion`, and without either it is not
    selected. "true" and "false" as text count.

    Source: Singer spec, "Stream and field selection"; Singer SDK, selection masks.
    """
    result: dict[str, list[str]] = {}
    for stream in streams_of(catalog):
        marks = metadata_of(stream)
        if not is_stream_selected(mark_of_stream(stream, marks)):
            continue
        known: dict[Breadcrumb, bool] = {(): True}
        for breadcrumb, property_schema in properties_of(stream.get("schema")):
            own = mark_of_property(property_schema, breadcrumb, marks)
            known[breadcrumb] = is_property_selected(own, parent=known[breadcrumb[:-2]])
        result[stream_id(stream)] = [dotted(path) for path, selected in known.items() if path and selected]
    return result


def legacy_properties(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalog for a tap with `--properties`: `selected` also stands inside the schemas.

    Source: Singer spec 0.2, "Properties"; kept by taps that predate metadata.
    """
    result = copy_catalog(catalog)
    chosen = selected_streams(catalog)
    for stream in streams_of(result):
        paths = chosen.get(stream_id(stream))
        stream["selected"] = paths is not None
        if isinstance(stream.get("schema"), dict):
            stream["schema"]["selected"] = paths is not None
        for breadcrumb, property_schema in properties_of(stream.get("schema")):
            property_schema["selected"] = paths is not None and dotted(breadcrumb) in paths
    return result


def copy_catalog(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy that can be changed; ConfigError where it is no object."""
    if not isinstance(catalog, Mapping):
        raise ConfigError("The catalog is no JSON object.", 'Expected {"streams": [...]}.')
    return {key: copy_json(value) for key, value in catalog.items()}


def copy_json(value: Any) -> Any:
    """Copy JSON; unlike copy.deepcopy, parts that were one object in memory become separate."""
    if isinstance(value, Mapping):
        return {key: copy_json(item) for key, item in value.items()}
    return [copy_json(item) for item in value] if isinstance(value, list) else value


def streams_of(catalog: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the streams, as they stand in the catalog; ConfigError where its shape is wrong."""
    streams = catalog.get("streams")
    if not isinstance(streams, list) or not all(isinstance(stream, dict) for stream in streams):
        raise ConfigError("The catalog has no list of streams.", 'Expected {"streams": [...]}.')
    for number, stream in enumerate(streams, 1):
        if not isinstance(stream.get("tap_stream_id", stream.get("stream")), str):
            raise ConfigError(f"Stream {number} of the catalog has no tap_stream_id.", "Discover it anew.")
    return streams


def stream_id(stream: Mapping[str, Any]) -> str:
    """Return the id of a stream, which legacy taps call its name."""
    return str(stream.get("tap_stream_id", stream.get("stream")))


def breadcrumb_of(properties: Iterable[str]) -> Breadcrumb:
    """Return `("properties", "a", "properties", "b")` for the names a, b."""
    return tuple(part for name in properties for part in ("properties", name))


def dotted(breadcrumb: Breadcrumb) -> str:
    """Return `a.b` for the breadcrumb of the property b in a."""
    return ".".join(breadcrumb[1::2])


def properties_of(schema: Any, above: Breadcrumb = ()) -> Iterator[tuple[Breadcrumb, dict[str, Any]]]:
    """Each property of a schema with its breadcrumb, parents before children."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(properties, Mapping):
        for name, property_schema in properties.items():
            if isinstance(property_schema, dict):
                breadcrumb = (*above, "properties", name)
                yield breadcrumb, property_schema
                yield from properties_of(property_schema, breadcrumb)


def metadata_of(stream: Mapping[str, Any]) -> dict[Breadcrumb, dict[str, Any]]:
    """The metadata of a stream by breadcrumb; the mappings are those of the catalog itself."""
    marks: dict[Breadcrumb, dict[str, Any]] = {}
    for entry in stream.get("metadata") or ():
        if isinstance(entry, dict) and isinstance(entry.get("breadcrumb"), list):
            mark = entry.setdefault("metadata", {})
            if isinstance(mark, dict):
                marks.setdefault(tuple(map(str, entry["breadcrumb"])), mark)
    return marks


def _flag(mark: Mapping[str, Any], key: str) -> bool | None:
    value = mark.get(key)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _legacy_mark(schema: Any) -> dict[str, Any]:
    """Selection as catalogs without metadata have it, inside the schema."""
    keys = ("selected", "inclusion")
    return {key: schema[key] for key in keys if key in schema} if isinstance(schema, Mapping) else {}


def mark_of_stream(
    stream: Mapping[str, Any], marks: Mapping[Breadcrumb, Mapping[str, Any]]
) -> dict[str, Any]:
    """What is said of a stream, wherever it stands; `marks` are its `metadata_of`."""
    return {**_legacy_mark(stream.get("schema")), **_legacy_mark(stream), **marks.get((), {})}


def mark_of_property(
    schema: Mapping[str, Any], breadcrumb: Breadcrumb, marks: Mapping[Breadcrumb, Mapping[str, Any]]
) -> dict[str, Any]:
    """What is said of a property, in its schema and in the metadata of its stream."""
    return {**_legacy_mark(schema), **marks.get(breadcrumb, {})}


def is_stream_selected(mark: Mapping[str, Any]) -> bool:
    """Whether a tap sends a stream of which that is said; see `selected_streams`."""
    selected = _flag(mark, "selected")
    if mark.get("inclusion") == "unsupported":
        return False
    if selected is not None:
        return selected
    return mark.get("inclusion") == "automatic" or _flag(mark, "selected-by-default") is True


def is_property_selected(mark: Mapping[str, Any], *, parent: bool) -> bool:
    """Whether a tap sends a property of which that is said; `parent`: whether it sends what it stands in."""
    if not parent or mark.get("inclusion") == "unsupported":
        return False
    if mark.get("inclusion") == "automatic":
        return True
    for key in ("selected", "selected-by-default"):
        if (flag := _flag(mark, key)) is not None:
            return flag
    return parent
