"""pyarrow without the import of pandas, for processes that make no frame."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _Refuse(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ImportError(name)


def arrow_without_pandas() -> None:
    """Import pyarrow, and let it believe that pandas is not installed.

    With the first array that it makes of a list, pyarrow imports pandas to learn whether that list is a
    Series: 0.4 s of CPU for processes such as the targets and the decoder, in which no frame is ever made. In such a
    process `to_pandas` does not work any more; one that has imported pandas already is left alone.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    refuse = _Refuse()
    sys.meta_path.insert(0, refuse)
    try:
        pa.array([""])
    finally:
        sys.meta_path.remove(refuse)
