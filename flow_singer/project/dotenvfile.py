"""Change variables in `.env`; its other lines stay as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.files import write_atomic
from flow_singer.project.yamlfile import read_dotenv


def write_variable(path: Path, name: str, value: str) -> None:
    """Set a variable. A new file is for its owner's eyes only.

    Raises:
        ConfigError: the file could not give the value back as it is (python-dotenv expands `${...}`).
    """
    import dotenv

    def change(file: Path) -> None:
        dotenv.set_key(file, name, value, quote_mode="auto" if value.isalnum() else "always")
        if read_dotenv(file).get(name) != value:
            raise ConfigError(
                f".env cannot hold the value of {name} as it is: variables in it would be replaced.",
                "Set it in the shell, or in meltano.yml.",
            )

    _change(path, change)


def remove_variables(path: Path, names: Iterable[str]) -> None:
    """Remove variables that are in the file."""
    import dotenv

    def change(file: Path) -> None:
        for name in names:
            dotenv.unset_key(file, name)

    _change(path, change)


def _change(path: Path, change: Callable[[Path], None]) -> None:
    """Change a copy, and put it in the file's place in one piece."""
    path = path.resolve()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, ".env")
        copy.write_bytes(path.read_bytes() if path.is_file() else b"")
        copy.chmod(0o600)
        change(copy)
        mode = path.stat().st_mode & 0o777 if path.is_file() else 0o600
        write_atomic(path, copy.read_bytes(), mode=mode)
