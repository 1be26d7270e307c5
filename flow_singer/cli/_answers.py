"""What a command answers on stdout: a table for a person, JSON for a program; and what it asks before it acts."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

from flow_singer.cli._logging import tell
from flow_singer.errors import EXIT_INTERRUPTED, ConfigError

_GAP = 2
_NARROWEST = 8


def answer_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def answer_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table that fits the terminal; the texts of cells that are too long go on in the next line.

    Where stdout is no terminal, nothing is folded: each row is one line, for grep and awk.

    Args:
        headers: one per column.
        rows: what stands below them; None is an empty cell.
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = _fitting(headers, cells) if sys.stdout.isatty() else None
    if (lines := _plain(headers, cells, widths)) is not None:
        click.echo("\n".join(lines))
        return
    from tabulate import tabulate

    click.echo(tabulate(cells, headers, tablefmt="plain", disable_numparse=True, maxcolwidths=widths))


def _plain(
    headers: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int] | None
) -> list[str] | None:
    """The lines of a table that needs no folding and no wide characters; None for all others.

    The same text as tabulate's, which takes longer to load than most commands that print a table take in all.
    """
    rows = [headers, *cells]
    full = _widths(headers, cells)
    if (widths is not None and full != list(widths)) or not all(
        cell.isascii() and cell.isprintable() and cell == cell.strip() for row in rows for cell in row
    ):
        return None
    return [(" " * _GAP).join(map(str.ljust, row, full)).rstrip() for row in rows]


def _fitting(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column: the widest give way until all of them fit; headers are not folded."""
    widths, least = _widths(headers, cells), [max(_NARROWEST, width) for width in _widths(headers, [])]
    room = shutil.get_terminal_size().columns - _GAP * (len(widths) - 1)
    while sum(widths) > room:
        foldable = [column for column, width in enumerate(widths) if width > least[column]]
        if not foldable:
            break
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _widths(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column that nothing is folded in; tabulate has two more blanks behind a header."""
    last = len(headers) - 1
    padded = [header + " " * (_GAP if column < last else 0) for column, header in enumerate(headers)]
    columns = zip(padded, *cells, strict=True)
    return [max(max(map(len, cell.split("\n"))) for cell in column) for column in columns]


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; the command ends here unless the answer is yes.

    Args:
        question: such as "Clear the bookmark dev:a-to-b?"; it is asked on stderr, so that stdout stays an answer.
        yes: whether it was answered beforehand, by `--yes`.

    Raises:
        ConfigError: nobody can be asked: stdin or stderr is no terminal.
        Exit: with 130, as after Ctrl-C, where the answer is anything but yes.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(
            f"{question} There is no terminal to ask on, and it cannot be undone.",
            "If so, say it beforehand: --yes.",
        )
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        tell("Nothing was changed.")
        raise click.exceptions.Exit(EXIT_INTERRUPTED)
