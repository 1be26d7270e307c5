"""Streams that a function drops on purpose, told apart from a forgotten `return`."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from flow_singer.errors import TransformError


class Drop(Enum):
    """The type of `DROP`."""

    DROP = "DROP"

    def __repr__(self) -> str:
        return "flow_singer.DROP"

    __str__ = __repr__


DROP: Final = Drop.DROP
"""What a function returns, or has in the place of a frame, to drop a stream."""


class ForgottenReturnError(TransformError):
    """A function returned None where that is taken for a forgotten `return`; no row is to blame."""


def forgotten_return(where: str, stream: str) -> ForgottenReturnError:
    """The error for None from a function that has not said that it means it.

    Args:
        where: file, line and name of the function.
        stream: what it was called for, or what the None stands for.
    """
    return ForgottenReturnError(
        f"{where} returned None for stream '{stream}'.",
        "Is a `return` forgotten? To drop the stream, return flow_singer.DROP or declare @transform(drop=True).",
    )


def never_returns(call: Callable[..., Any]) -> bool:
    """Whether a function ends without a value on every way through it, as its code shows.

    What is no plain Python function, and one that only raises, is not judged.
    """
    code = getattr(call, "__code__", None)
    if code is None or code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
        return False
    returned = []
    before = None
    for one in dis.get_instructions(code):
        if one.opname == "RETURN_CONST":  # Python 3.12 and 3.13
            returned.append(one.argval)
        elif one.opname == "RETURN_VALUE":
            is_none = before is not None and before.opname == "LOAD_CONST" and before.argval is None
            returned.append(None if is_none and not one.is_jump_target else one)
        before = one
    return bool(returned) and all(value is None for value in returned)
