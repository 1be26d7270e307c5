"""Functions whose stream never came: a misnamed one would load its stream unfiltered.

That a stream does not come is known at the end only; what is decided here is decided before anything that
still waits is written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from flow_singer.transforms.functions import StreamFunction, function_for


def missed_functions(
    functions: Sequence[StreamFunction], met: Collection[str], absent: Collection[str] = ()
) -> list[StreamFunction]:
    """Functions that nothing came for.

    A function that may be there for others only is not missed, as long as one of its file met a stream.

    Args:
        functions: of one file.
        met: every stream that came.
        absent: streams that may rightly stay away: they had nothing new.
    """
    known = {*met, *absent}
    unused = [one for one in functions if one.mode != "package" and not any(map(one.takes, known))]
    if len(unused) == len(functions):
        return [one for one in unused if one.is_for_streams] or unused
    return [one for one in unused if one.is_for_streams]


def describe_missed(
    function: StreamFunction, functions: Sequence[StreamFunction], met: Collection[str]
) -> str:
    """One sentence or two: what did not come, what it may have meant, and what came."""
    names = ", ".join(function.streams)
    came = ", ".join(sorted(met)[:_SHOWN]) + (", …" if len(met) > _SHOWN else "")
    near = near_streams(function, functions, met)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{function.where}: no stream '{names}' came.{hint} Streams that came: {came or 'none'}."


_SHOWN = 30


def near_streams(
    function: StreamFunction, functions: Sequence[StreamFunction], met: Collection[str]
) -> list[str]:
    """Streams that came, that no function takes, and whose names are like one that the function is for."""
    free = {_plain(stream): stream for stream in sorted(met) if function_for(stream, functions) is None}
    near: dict[str, None] = {}
    for name in function.streams:
        near.update(dict.fromkeys(free[one] for one in get_close_matches(_plain(name), free, 2)))
    return list(near)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")
