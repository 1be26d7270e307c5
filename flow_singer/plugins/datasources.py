"""Data where a tap may stand: `flow run sales.csv out/` is short for tap-datapackage with that path."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from flow_singer.dataplaces import DESCRIPTOR, GLOB, format_of, is_place, is_store, is_url
from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names

READER = "tap-datapackage"
"""The bundled tap that reads data."""


def is_data(word: str, project_has: bool) -> bool:
    """Whether a word means data, not a tap.

    Args:
        word: as on the command line.
        project_has: whether meltano.yml has a tap of that name, which comes first.
    """
    return not project_has and is_place(word) and not _is_program(word)


def _is_program(word: str) -> bool:
    """Whether it is a program by its path, as `./tap.csv` hardly is."""
    return format_of(word)[0] is None and os.path.isfile(word) and os.access(word, os.X_OK)


def check_data(word: str) -> None:
    """Make sure that something is there, before anything is started for it; of addresses, whoever reads them does.

    Raises:
        ConfigError: nothing is there.
    """
    if is_url(word) or is_store(word) or os.path.isfile(word):
        return
    if os.path.isdir(word):
        if not os.path.isfile(os.path.join(word, DESCRIPTOR)) and not _has_data(Path(word)):
            raise ConfigError(
                f"{word} has neither a {DESCRIPTOR} nor files of data in it.",
                "Name a package, or a file such as data.csv, .jsonl, .json, .parquet or .xlsx.",
            )
        return
    if GLOB & set(word):
        if not any(os.path.isfile(one) for one in glob.iglob(word, recursive=True)):
            raise ConfigError(
                f"No file matches {word}.", "Check the pattern; it is relative to the folder you are in."
            )
        return
    path = Path(word)
    names = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = [repr(str(path.parent / one)) for one in near_names(path.name, names)]
    raise ConfigError(
        f"There is no {'folder' if word.endswith('/') else 'file'} {word}.",
        did_you_mean(near) or "Check the path; it is relative to the folder you are in.",
    )


def _has_data(folder: Path) -> bool:
    return any(format_of(one.name)[0] is not None and one.is_file() for one in folder.iterdir())
