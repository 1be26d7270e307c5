"""Known names that are like an unknown one: what its writer may have meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def near_names(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The names that differ little from `name`, the nearest first; a `cutoff` of 1 is no difference."""
    from difflib import get_close_matches

    return get_close_matches(name, sorted(names), n=3, cutoff=cutoff)


def did_you_mean(near: Sequence[str]) -> str:
    """The question, or nothing where there are no near names."""
    return f"Did you mean {' or '.join(near)}?" if near else ""


def listed(names: Collection[str], see: str = "") -> str:
    """`a, b`; of many the first ten, and where to see all: `a, b and 7 more: flow list`.

    Args:
        names: what there is.
        see: the command that shows all of it.
    """
    shown = ", ".join(list(names)[:_SHOWN]) or "none"
    if len(names) <= _SHOWN:
        return shown
    return f"{shown} and {len(names) - _SHOWN} more" + (f": {see}" if see else "")


_SHOWN = 10
"""How many names fit into a sentence."""


def suggest(name: str, names: Iterable[str]) -> str:
    """Return a hint for an unknown name: near names, or those there are."""
    known = sorted(names)
    near = near_names(name, known)
    if near:
        return did_you_mean([repr(candidate) for candidate in near])
    return f"There are: {listed(known)}." if known else "None is defined."
