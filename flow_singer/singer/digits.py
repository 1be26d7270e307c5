"""How many digits numbers may have, by `multipleOf` and bounds of their SCHEMA, in all branches of a union."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from flow_singer.singer.references import MAX_DEPTH, gather, leads_back, resolve


@dataclass(frozen=True)
class Digits:
    """How many digits a SCHEMA says that its numbers have.

    Attributes:
        fraction: after the point, by `multipleOf`; None where it does not say.
        integer: before the point, by bounds on both sides; None where it does not say.
        past_int64: whether a bound lies past 64 bits.
    """

    fraction: int | None = None
    integer: int | None = None
    past_int64: bool = False


NO_DIGITS = Digits()


def digits_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Digits:
    """What `multipleOf` and the bounds of each branch that allows numbers come to, taken together."""
    branches = [one for one in _branches(schema, root) if gather(one, root)[0] != {"null"}]
    fractions = [_fraction_digits(one["multipleOf"]) for one in branches if "multipleOf" in one]
    integers = [_integer_digits(one) for one in branches]
    known = [digits for digits in integers if digits is not None]
    return Digits(
        max((digits for digits in fractions if digits is not None), default=None),
        max(known) if known and len(known) == len(integers) else None,
        any(_is_past_int64(one, word) for one in branches for word in _BOUNDS),
    )


def _branches(
    schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0, followed: frozenset[str] = frozenset()
) -> Iterator[Mapping[str, Any]]:
    """The schemas of a union, each with the number words that stand beside the union."""
    if isinstance(reference := schema.get("$ref"), str):
        followed |= {reference}
    schema = resolve(schema, root)
    unions = [schema.get(union) for union in ("anyOf", "oneOf")]
    subs = [sub for union in unions if isinstance(union, list) for sub in union if isinstance(sub, Mapping)]
    subs = [sub for sub in subs if not leads_back(sub, followed)]
    if not subs or depth >= MAX_DEPTH:
        yield schema
        return
    outer = {word: schema[word] for word in ("multipleOf", *_BOUNDS) if word in schema}
    for sub in subs:
        for one in _branches(sub, root, depth + 1, followed):
            yield {**outer, **one}


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def _is_past_int64(schema: Mapping[str, Any], word: str) -> bool:
    bound = schema.get(word)
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return False
    beyond = int(word.startswith("exclusive"))  # a bound that is excluded may be the next number
    return not -(2**63) - beyond <= bound <= 2**63 - 1 + beyond


def _fraction_digits(multiple: object) -> int | None:
    try:
        exponent = Decimal(str(multiple)).normalize().as_tuple().exponent
    except InvalidOperation:
        return None
    return max(0, -exponent) if isinstance(exponent, int) else None


def _integer_digits(schema: Mapping[str, Any]) -> int | None:
    """Digits before the point of the largest number that both bounds allow."""
    found = [_bound_digits(schema, side) for side in ("Minimum", "Maximum")]
    return None if None in found else max(digits for digits in found if digits is not None)


def _bound_digits(schema: Mapping[str, Any], side: str) -> int | None:
    """Digits before the point of one bound. `exclusive…` is a number since draft 6; before, a boolean beside it."""
    bound, exclusive = schema.get(side.lower()), schema.get(f"exclusive{side}")
    excluded = exclusive is True
    if isinstance(exclusive, int | float) and not isinstance(exclusive, bool):
        bound, excluded = exclusive, True
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return None
    try:
        size = abs(Decimal(str(bound)))
    except InvalidOperation:
        return None
    if not size.is_finite():
        return None
    digits = max(0, size.adjusted() + 1) if size else 0
    return digits - 1 if excluded and digits and size == Decimal(10) ** (digits - 1) else digits
