"""What users may import, and that it does not change unseen."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import tomllib
from pathlib import Path

import pytest

import flow_singer
from flow_singer import errors

ROOT = Path(__file__).parent.parent

ERROR = "(message: 'str', hint: 'str | None' = None) -> 'None'"

PUBLIC = {
    "BusyError": ERROR,
    "ConfigError": ERROR,
    "DataError": ERROR,
    "FlowError": ERROR,
    "IncompleteError": ERROR,
    "MessageError": ERROR,
    "Package": (
        "(frames: 'Mapping[str, pd.DataFrame] | None' = None,"
        " schemas: 'Mapping[str, Mapping[str, Any]] | None' = None) -> 'None'"
    ),
    "RecordError": ERROR,
    "TapError": ERROR,
    "TargetError": ERROR,
    "TransformError": ERROR,
    "expect": (
        "(*streams: 'str', columns: 'Sequence[str] | None' = None, columns_exact: 'bool' = False,"
        " min_rows: 'int | None' = None, max_rows: 'int | None' = None,"
        " unique: 'str | Sequence[str] | Sequence[Sequence[str]] | None' = None,"
        " not_null: 'str | Sequence[str] | None' = None, minimum: 'Mapping[str, Any] | None' = None,"
        " maximum: 'Mapping[str, Any] | None' = None, enum: 'Mapping[str, Sequence[Any]] | None' = None,"
        " pattern: 'Mapping[str, str] | None' = None, references: 'Mapping[str, str] | None' = None,"
        " freshness: 'Mapping[str, str] | None' = None,"
        " on_failure: \"Literal['raise', 'drop', 'clear', 'warn']\" = 'raise') -> 'Callable[[F], F]'"
    ),
    "transform": (
        "(*streams: 'str', into: 'str | Sequence[str] | Mapping[str, Sequence[str] | None] | None' = None,"
        " key: 'Sequence[str] | None' = None, whole: 'bool' = False, batch: 'bool' = False, rows: 'bool' = False,"
        " incremental: 'bool' = False, columns: 'Sequence[str] | None' = None, drop: 'bool' = False)"
        " -> 'Callable[[F], F]'"
    ),
}

EXIT_CODES = {
    "FlowError": 1,
    "ConfigError": 2,
    "DataError": 65,
    "MessageError": 65,
    "RecordError": 65,
    "TransformError": 65,
    "TapError": 69,
    "TargetError": 70,
    "IncompleteError": 75,
    "BusyError": 75,
}


def test_the_public_names_are_these() -> None:
    assert sorted(flow_singer.__all__) == sorted([*PUBLIC, "DROP", "__version__"])
    assert dir(flow_singer) == sorted(flow_singer.__all__)


def test_no_room_has_a_public_name() -> None:
    """An import of the room would put it in the place of what users import from the package."""
    assert not [name for name in flow_singer.__all__ if (Path(flow_singer.__file__).parent / name).exists()]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_signatures_do_not_change_unseen(name: str) -> None:
    public = getattr(flow_singer, name)
    assert str(inspect.signature(public)) == PUBLIC[name]
    assert inspect.getdoc(public)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flow_singer' has no attribute 'transfrom'"):
        _ = flow_singer.transfrom


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from flow_singer import *", names)
    assert set(flow_singer.__all__) <= set(names)


def test_a_type_checker_sees_the_public_names() -> None:
    """What is imported late is named for it in `if TYPE_CHECKING`, from the same modules."""
    (block,) = (
        node
        for node in ast.parse(Path(flow_singer.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    )
    shown = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert shown == flow_singer._HOMES
    assert set(shown) == set(flow_singer.__all__) - {"__version__"}


def test_the_version_is_that_of_the_distribution() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert flow_singer.__version__ == declared == importlib.metadata.version("flow-singer")


def test_types_are_shipped() -> None:
    assert (Path(flow_singer.__file__).parent / "py.typed").exists()


def test_every_error_has_its_exit_code() -> None:
    found = {name: one.exit_code for name, one in vars(errors).items() if isinstance(one, type)}
    assert found == EXIT_CODES
    assert all(issubclass(getattr(errors, name), errors.FlowError) for name in found)


def test_every_error_can_be_imported_from_the_package() -> None:
    for name in EXIT_CODES:
        assert getattr(flow_singer, name) is getattr(errors, name)


def test_callers_can_catch_by_what_they_do_next() -> None:
    data = {"MessageError", "RecordError", "TransformError"}
    for name in PUBLIC.keys() & EXIT_CODES.keys() - {"DataError"}:
        assert issubclass(getattr(flow_singer, name), flow_singer.DataError) == (name in data)


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = errors.TapError("tap-x exited with code 1.", "Set its token.")
    assert (error.message, error.hint) == ("tap-x exited with code 1.", "Set its token.")
    assert str(error) == "tap-x exited with code 1.\nSet its token."


def test_the_executables_exist() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert declared["flow"] == "flow_singer.__main__:main"
    for where in declared.values():
        module, _, function = where.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
