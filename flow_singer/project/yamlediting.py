"""Change one key of meltano.yml; every other character of the file stays as a person wrote it.

ruamel.yaml can write a whole document with its comments, but not as it was indented, folded and aligned. So the
file is only cut where the change is, by the marks of its nodes; then it is read again, and what would say anything
else than before but for that key is not written.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.files import write_atomic


@dataclass(frozen=True)
class Named:
    """A step into a list: to the item of this name."""

    name: str


Step = str | Named
"""A step into a document: a key of a mapping, or an item of a list of named ones."""


def write_key(path: Path, name: str, steps: Sequence[Step], value: Any) -> int:
    """Set a value in a YAML file; what is missing on the way to it is made.

    Args:
        path: the file.
        name: what errors call it.
        steps: the way to the value, of one step at least.
        value: of the types that JSON has.

    Returns:
        The line of the key in the new file, from 1.

    Raises:
        ConfigError: the file cannot be read, written or changed so; it stays as it is.
    """
    text = read_text(path, name)
    return publish(path, name, text, steps, _with(text, steps, value), Value(value))


def remove_key(path: Path, name: str, steps: Sequence[Step]) -> None:
    """Remove a key, and the mappings above it that hold nothing else; nothing where it is not there.

    Args:
        path, name, steps: see `write_key`.

    Raises:
        ConfigError: see `write_key`.
    """
    text = read_text(path, name)
    if has_key(text, steps):
        publish(path, name, text, steps, _without(text, steps), None)


def has_key(text: str, steps: Sequence[Step]) -> bool:
    """Whether a document has a value, or null, at the end of these steps."""
    nodes = follow(compose(text), steps)
    return len(nodes) == len(steps) + 1


@dataclass(frozen=True)
class Value:
    """What a key is to say; beside None, which takes the key away."""

    value: Any


def publish(
    path: Path, name: str, text: str, steps: Sequence[Step], changed: str | None, put: Value | None
) -> int:
    """Write the new text, if it says what it should and nothing else."""
    way = " / ".join(step.name if isinstance(step, Named) else step for step in steps)
    if changed is None or load_text(changed) != _expected(load_text(text), steps, put):
        raise ConfigError(
            f"{name}: '{way}' cannot be changed without changing more, as an anchor is used there or the file is "
            "written in an unusual way.",
            "Change it by hand.",
        )
    ending = "\r\n" if "\r\n" in text else "\n"
    try:
        mark = _MARK if path.read_bytes().startswith(_MARK.encode()) else ""
        data = (mark + changed.replace("\r\n", "\n").replace("\n", ending)).encode()
        write_atomic(path.resolve(), data, mode=path.stat().st_mode & 0o777)
    except OSError as exc:
        raise ConfigError(f"{name} cannot be written: {exc.strerror}.", f"Look at {path}.") from exc
    nodes = follow(compose(changed), steps)
    found = _child(nodes[len(steps) - 1], steps[-1]) if len(nodes) >= len(steps) else None
    return int(found[0].start_mark.line) + 1 if found else 0


def read_text(path: Path, name: str) -> str:
    """The text of a file, without a mark at its beginning."""
    try:
        return path.read_bytes().decode("utf-8").removeprefix(_MARK)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{name} cannot be read.", f"Look at {path}.") from exc


def load_text(text: str) -> Any:
    """What a document says; for one that is no YAML, what no file can say."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        return Value(None)  # like nothing that a file can hold


_MARK = "\ufeff"


@lru_cache(maxsize=4)  # of a file of some hundred lines it takes a tenth of a second
def compose(text: str) -> Any:
    """The nodes of a document, with their places."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).compose(text)


def _expected(document: Any, steps: Sequence[Step], put: Value | None) -> Any:
    """What the document should say afterwards."""
    document = _unshared(document) or {}
    here, way = document, []
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        way.append((here, step))
        if isinstance(step, Named):
            found = next((item for item in here if item.get("name") == step.name), None)
            if found is None:
                found = {"name": step.name}
                here.append(found)
            here = found
        elif after is None:
            if put is None:
                del here[step]
            else:
                here[step] = put.value
        else:
            if here.get(step) is None:
                here[step] = [] if isinstance(after, Named) else {}
            here = here[step]
    if put is None:  # as `_without`
        for above, step in reversed(way[:-1]):
            if isinstance(step, Named) or above[step]:
                break
            del above[step]
    return document


def _unshared(value: Any) -> Any:
    """A copy in which no part is there twice, though an alias made it so in the file."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def follow(root: Any, steps: Sequence[Step]) -> list[Any]:
    """The nodes on the way, the document first, as far as there are any; a value stands for its key's step."""
    nodes = [root]
    for step in steps:
        found = _child(nodes[-1], step)
        if found is None:
            break
        nodes.append(found[1])
    return nodes


def _child(node: Any, step: Step) -> tuple[Any, Any] | None:
    """The key and the value that a step leads to; for an item of a list, the item twice."""
    if node is None:
        return None
    if isinstance(step, Named):
        items = node.value if node.id == "sequence" else ()
        return next(
            (
                (item, item)
                for item in items
                if (found := _child(item, "name")) and found[1].value == step.name
            ),
            None,
        )
    pairs = node.value if node.id == "mapping" else ()
    return next(((key, value) for key, value in pairs if key.value == step), None)


def _with(text: str, steps: Sequence[Step], value: Any) -> str | None:
    nodes = follow(compose(text), steps)
    if (flow := _in_flow(text, nodes, steps, Value(value))) is not None:
        return flow
    depth = len(nodes) - 1
    while depth < len(steps) and depth and nodes[depth].id == "scalar":  # `config:` with nothing behind it
        depth -= 1
    above, step = nodes[depth if depth < len(steps) else depth - 1], steps[min(depth, len(steps) - 1)]
    if depth < len(steps):
        value = _nested(steps[depth + 1 :], value)
    if above is None:
        return text + _block(step, value, 0)
    if (found := _child(above, step)) is None:
        return inserted(text, end_line(text, above) + 1, _block(step, value, column(above)))
    key, old = found
    if isinstance(step, Named):
        return None
    is_on_a_line = old.id == "scalar" and old.style not in ("|", ">") and _is_written(old)
    if is_on_a_line and not isinstance(value, (dict, list)) and "\n" not in (new := _scalar(step, value)):
        return text[: old.start_mark.index] + new + text[old.end_mark.index :]
    first, last = key.start_mark.line, end_line(text, old if _is_written(old) else key)
    return inserted(cut(text, first, last), first, _block(step, value, column(above)))


def _without(text: str, steps: Sequence[Step]) -> str | None:
    nodes = follow(compose(text), steps)
    if (flow := _in_flow(text, nodes, steps, None)) is not None:
        return flow
    depth = len(steps) - 1
    while depth and isinstance(steps[depth - 1], str) and len(nodes[depth].value) == 1:
        depth -= 1
    found = _child(nodes[depth], steps[depth])
    if found is None:
        return None
    key, value = found
    return cut(text, key.start_mark.line, end_line(text, value if _is_written(value) else key))


def _in_flow(text: str, nodes: Sequence[Any], steps: Sequence[Step], put: Value | None) -> str | None:
    """The text with the change where the way leads into `{...}` or `[...]`, which are written anew; else None."""
    above = nodes[: len(steps)]  # the value itself may be anything
    depth = next((at for at, node in enumerate(above) if getattr(node, "flow_style", False)), None)
    if depth is None:
        return None
    value = _expected(load_text(text), steps, put)
    for step in steps[:depth]:
        if isinstance(step, Named):
            value = next(item for item in value if item["name"] == step.name)
        elif step not in value:  # nothing was left in it
            return _without(text, steps[:depth])
        else:
            value = value[step]
    new = dumped(value, flow=True).strip()
    return text[: nodes[depth].start_mark.index] + new + text[nodes[depth].end_mark.index :]


def _nested(steps: Sequence[Step], value: Any) -> Any:
    """What must be made for the rest of the way, with the value at its end."""
    for step in reversed(steps):
        value = [{"name": step.name, **value}] if isinstance(step, Named) else {step: value}
    return value


def _block(step: Step, value: Any, column: int) -> str:
    """A key and its value as lines of YAML, or an item of a list, from a column on."""
    lines = dumped([{"name": step.name, **value}] if isinstance(step, Named) else {step: value}).splitlines()
    least = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"{' ' * column}{line[least:]}\n" for line in lines)


def _scalar(key: str, value: Any) -> str:
    """A value as it stands behind its key."""
    return dumped({key: value}).removeprefix(dumped({key: None}).removesuffix("null\n")).rstrip("\n")


def dumped(value: Any, *, flow: bool = False) -> str:
    """A value as YAML, in lines or, as `flow`, on one."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 1 << 30
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def _is_written(node: Any) -> bool:
    """Whether a value takes any room; null may be written as nothing."""
    return bool(node.value) or node.end_mark.index > node.start_mark.index


def column(node: Any) -> int:
    """Where the keys of a mapping, or the dashes of a list, stand."""
    first = node if node.id == "sequence" else node.value[0][0]
    return int(first.start_mark.column)


def end_line(text: str, node: Any) -> int:
    """The last line of a node, without the blank lines and comments behind it; from 0."""
    while node.id != "scalar" and node.value and not node.flow_style:
        last = node.value[-1]
        if node.id == "mapping":
            last = last[1] if _is_written(last[1]) else last[0]
        node = last
    mark = node.end_mark
    line = int(mark.line) - (mark.column == 0 and mark.index > node.start_mark.index)
    lines = text.split("\n")
    while line > node.start_mark.line and not lines[line].strip():
        line -= 1
    return int(line)


def inserted(text: str, line: int, block: str) -> str:
    """The text with more lines before the one of this number; from 0."""
    lines = text.split("\n")
    before = "\n".join(lines[:line])
    after = "\n".join(lines[line:])
    return f"{before}\n{block}{after}" if line else block + text


def cut(text: str, first: int, last: int) -> str:
    """The text without these lines and those between; from 0."""
    lines = text.split("\n")
    return "\n".join([*lines[:first], *lines[last + 1 :]])


def entry_steps(kind: str, name: str, environment: str | None) -> list[Step]:
    """The way to what meltano.yml, or an environment of it, says of a plugin."""
    overlay: list[Step] = ["environments", Named(environment), "config"] if environment else []
    return [*overlay, "plugins", kind, Named(name)]


def config_steps(config: Mapping[str, Any] | None, parts: Sequence[str]) -> Iterator[Step]:
    """The way to a setting within a plugin's entry, in the spelling that the entry has: nested, or a dotted key."""
    yield "config"
    here: Any = config
    rest = list(parts)
    while rest:
        dotted = ".".join(part.replace(".", "\\.") for part in rest)
        if len(rest) == 1 or (isinstance(here, Mapping) and dotted in here):
            yield dotted
            return
        here = here.get(rest[0]) if isinstance(here, Mapping) else None
        yield rest.pop(0).replace(".", "\\.")
