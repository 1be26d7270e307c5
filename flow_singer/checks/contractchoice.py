"""What a SCHEMA that changed is held to, as a person writes it: one word for all streams, or a word per stream.

- `evolve`: the columns become what either SCHEMA allows;
- `freeze`: a column more, one less, or one that allows more, is refused;
- `discard-row`: rows with a value that the former SCHEMA does not allow are left out;
- `discard-value`: such values become null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names

Contract = Literal["evolve", "freeze", "discard-row", "discard-value"]
CONTRACTS: tuple[Contract, ...] = get_args(Contract)
EVERY = "*"


class ContractChoice:
    """The contract of each stream.

    Args:
        by_stream: contracts by the name of a stream, or a pattern of names such as `audit_*`; a name goes before
            patterns, and of these the first one that fits counts.
    """

    def __init__(self, by_stream: Mapping[str, Contract] | None = None) -> None:
        self._by_stream = dict(by_stream or {})
        self._met: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._by_stream)

    def of(self, stream: str) -> Contract:
        """The contract of a stream."""
        fits = [one for one in self._by_stream if one == stream or fnmatchcase(stream, one)]
        self._met |= {stream, *fits}
        if stream in fits:
            return self._by_stream[stream]
        return self._by_stream[fits[0]] if fits else "evolve"

    def unmet(self, streams: Iterable[str]) -> list[str]:
        """A sentence for each name that fitted none of the streams that came."""
        names = list(streams)
        return [
            f"contract names stream '{one}', which did not come. {did_you_mean(near_names(one, names))}".rstrip()
            for one in self._by_stream
            if one not in self._met and one != EVERY
        ]


def read_contracts(value: Any, where: Callable[[str], str]) -> dict[str, Contract]:
    """Read one word for all streams, or a mapping of streams to words.

    Args:
        value: what was written.
        where: gives the place of a stream, for error messages; of all of them for an empty name.

    Raises:
        ConfigError: it is neither.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {EVERY: _contract(value, where(""))}
    return {str(stream): _contract(one, where(str(stream))) for stream, one in value.items()}


def _contract(value: Any, where: str) -> Contract:
    known = next((one for one in CONTRACTS if one == value), None)
    if known is None:
        near = did_you_mean(near_names(value, CONTRACTS)) if isinstance(value, str) else ""
        raise ConfigError(
            f"{where}: {value!r} is no contract. {near}".rstrip(),
            f"Write {', '.join(CONTRACTS[:-1])} or {CONTRACTS[-1]}, or one of them per stream: "
            "contract: {issues: freeze}",
        )
    return known
