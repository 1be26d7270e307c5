"""Add and remove items of a list in meltano.yml; every other character of the file stays, comments among it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from flow_singer.project.yamlediting import (
    Step,
    Value,
    column,
    compose,
    cut,
    dumped,
    end_line,
    follow,
    inserted,
    load_text,
    publish,
    read_text,
    remove_key,
    write_key,
)


def item_lines(path: Path, name: str, steps: Sequence[Step]) -> list[int]:
    """The line of each item of a list, from 1; none where there is no list.

    Args:
        path: the file.
        name: what errors call it.
        steps: the way to the list.

    Raises:
        ConfigError: the file cannot be read.
    """
    node = _list_at(read_text(path, name), steps)
    return [] if node is None else [item.start_mark.line + 1 for item in node.value]


def add_items(path: Path, name: str, steps: Sequence[Step], texts: Sequence[str]) -> list[int]:
    """Put texts at the end of a list; one that is not there is made.

    Args:
        path, name, steps: see `item_lines`.
        texts: the new items.

    Returns:
        The line of each of them in the new file, from 1.

    Raises:
        ConfigError: the file cannot be read, written or changed so; it stays as it is.
    """
    text = read_text(path, name)
    node = _list_at(text, steps)
    if node is None or not node.value:
        write_key(path, name, steps, list(texts))
    else:
        changed = _with_items(text, node, texts)
        publish(path, name, text, steps, changed, Value([*_items(text, steps), *texts]))
    return item_lines(path, name, steps)[-len(texts) :]


def remove_items(path: Path, name: str, steps: Sequence[Step], positions: Collection[int]) -> None:
    """Take items out of a list; where none is left, its key goes, too.

    Args:
        path, name, steps: see `item_lines`.
        positions: of the items, from 0.

    Raises:
        ConfigError: see `add_items`.
    """
    text = read_text(path, name)
    items = _items(text, steps)
    rest = [item for position, item in enumerate(items) if position not in positions]
    if not rest:
        remove_key(path, name, steps)
        return
    changed = text
    for position in sorted(positions, reverse=True):
        changed = _without_item(changed, _list_at(changed, steps), position)
    publish(path, name, text, steps, changed, Value(rest))


def _list_at(text: str, steps: Sequence[Step]) -> Any:
    """The node of the list; None where there is none."""
    nodes = follow(compose(text), steps)
    return nodes[-1] if len(nodes) == len(steps) + 1 and nodes[-1].id == "sequence" else None


def _items(text: str, steps: Sequence[Step]) -> list[Any]:
    here = load_text(text)
    for step in steps:
        here = here[step] if isinstance(step, str) else next(one for one in here if one["name"] == step.name)
    return list(here)


def _with_items(text: str, node: Any, texts: Sequence[str]) -> str:
    written = [_written(one, node) for one in texts]
    if node.flow_style:
        end = node.value[-1].end_mark.index
        return f"{text[:end]}, {', '.join(written)}{text[end:]}"
    blank = " " * column(node)
    return inserted(text, end_line(text, node) + 1, "".join(f"{blank}- {one}\n" for one in written))


def _written(text: str, node: Any) -> str:
    """A text as it stands in a list: quoted where it must be, with the quotes that the others have."""
    plain = dumped([text], flow=True).strip()[1:-1]
    styles = {getattr(item, "style", None) for item in node.value}
    if styles == {'"'} or (plain.startswith("'") and '"' in styles):
        return json.dumps(text, ensure_ascii=False)
    return plain


def _without_item(text: str, node: Any, position: int) -> str:
    item = node.value[position]
    if not node.flow_style:
        return cut(text, item.start_mark.line, end_line(text, item))
    lines = text.split("\n")
    first, last = item.start_mark, item.end_mark
    is_alone = not lines[first.line][: first.column].strip() and re.fullmatch(
        r"\s*,?\s*(#.*)?", lines[last.line][last.column :].rstrip("\r")
    )
    if is_alone:
        return cut(text, first.line, last.line)
    if position:
        return text[: node.value[position - 1].end_mark.index] + text[last.index :]
    return text[: first.index] + text[node.value[1].start_mark.index :]
