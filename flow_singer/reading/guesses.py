"""What was guessed of a file, told in one line for all columns of which it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_SHOWN = 3


@dataclass
class Guesses:
    """Guesses, by what is said of them.

    Attributes:
        names: columns by sentence; `{names}` stands in it for them, `{are}` for is or are.
    """

    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, sentence: str, name: str) -> None:
        """Add a column of which that is to be said."""
        self.names.setdefault(sentence, []).append(name)

    def notices(self, title: str) -> Iterator[str]:
        """One line each."""
        for sentence, names in self.names.items():
            said = sentence.replace("{are}", "is" if len(names) == 1 else "are")
            yield f"{title}: {said.replace('{names}', shown_names(names))}"


def shown_names(names: list[str]) -> str:
    """The first of some names in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
