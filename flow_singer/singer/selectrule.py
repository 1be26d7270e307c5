"""One rule of `select`: which streams and properties it is about, and whether it takes them in or leaves them out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from flow_singer.errors import ConfigError
from flow_singer.singer.selection import Breadcrumb, breadcrumb_of

UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
"""What separates the parts of a rule."""
WILDCARD = re.compile(r"[*?\[]")
"""What makes a pattern of a name."""


@dataclass(frozen=True)
class SelectRule:
    """One pattern `[!]stream[.property[.property...]]`."""

    text: str
    stream: str
    properties: tuple[str, ...]
    exclude: bool

    @classmethod
    def parse(cls, text: str) -> SelectRule:
        """Read a rule; ConfigError where it is none."""
        if not isinstance(text, str) or not text.strip("!"):
            raise ConfigError(f"'{text}' is no select rule.", "Write [!]stream.property, with * as wildcard.")
        stream, *properties = (
            part.replace("\\.", ".") for part in UNESCAPED_DOT.split(text.removeprefix("!"))
        )
        return cls(text, stream, tuple(part for part in properties if part), text.startswith("!"))

    @property
    def whole(self) -> str:
        """The rule without `!` and escapes."""
        return self.text.removeprefix("!").replace("\\.", ".")

    def matches(self, stream_id: str, breadcrumb: Breadcrumb) -> bool:
        """Whether a property is one that the rule is about."""
        return fnmatchcase(stream_id, self.stream) and fnmatchcase(".".join(breadcrumb), self._patterns[-1])

    def touches(self, stream_id: str, breadcrumb: Breadcrumb) -> bool:
        """Whether it sets a property or, for the empty breadcrumb, the stream: also one that what it is about stands in."""
        return fnmatchcase(stream_id, self.stream) and self.sets(breadcrumb)

    def sets(self, breadcrumb: Breadcrumb) -> bool:
        """The same for a stream that it is known to be about."""
        written = ".".join(breadcrumb)
        return any(fnmatchcase(written, pattern) for pattern in self._patterns)

    def names(self, stream_id: str, breadcrumb: Breadcrumb) -> bool:
        """Whether it is about a property by its whole name."""
        own = bool(self.properties) and not any(WILDCARD.search(part) for part in self.properties)
        return own and self.matches(stream_id, breadcrumb)

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        """The patterns of breadcrumbs to set: an included property also selects all it stands in."""
        path = self.properties or ("*",)
        depths = range(len(path) + 1) if not self.exclude or path == ("*",) else [len(path)]
        return tuple(".".join(breadcrumb_of(path[:depth])) for depth in depths)
