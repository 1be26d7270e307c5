"""A whole run as one value, for a module-level `transform(package)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from flow_singer.errors import TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.transforms.calls import calling
from flow_singer.transforms.drops import DROP, ForgottenReturnError
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.results import Output, outputs_of


class Package(dict[str, pd.DataFrame]):
    """The streams of a run by name, each a frame of all its rows.

    Args:
        frames: a frame per stream.
        schemas: the SCHEMA message each came under.
    """

    def __init__(
        self,
        frames: Mapping[str, pd.DataFrame] | None = None,
        schemas: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(frames or {})
        self.schemas: dict[str, Mapping[str, Any]] = dict(schemas or {})


def call_package(
    function: StreamFunction,
    names: Sequence[str],
    frames: Sequence[pd.DataFrame],
    schemas: Sequence[StreamSchema],
) -> list[Output]:
    """Call a package function.

    Returns:
        One output per stream of the package it returned; a stream that it took out is dropped.

    Raises:
        TransformError: it failed, or returned no mapping of frames.
    """
    package = Package(dict(zip(names, frames, strict=True)), {s.stream: s.message for s in schemas})
    stream = ", ".join(names)
    with calling(function, stream, list(names)):
        result = function.call(package)
        if result is None and not function.drop:
            raise ForgottenReturnError(
                f"{function.where} returned None.",
                "Is `return package` forgotten? To drop every stream, return flow_singer.DROP.",
            )
        if result is None or result is DROP:
            result = dict.fromkeys(names, DROP)
        if not isinstance(result, Mapping):
            raise TransformError(
                f"{function.where} returned {type(result).__qualname__}, which is no package.",
                "Return the package it got, changed, or {stream: DataFrame}.",
            )
        gone = {name: DROP for name in names if name not in result}
        return list(outputs_of({**result, **gone}, function, (), stream))
