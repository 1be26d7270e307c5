"""What taps and targets write on stderr: all of it kept, the part that a person needs shown."""

from __future__ import annotations

import contextlib
import logging
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from flow_singer.cli import _terminal
from flow_singer.cli._context import Cli
from flow_singer.cli._logging import tell
from flow_singer.cli._runlog import RunLog, new_log
from flow_singer.errors import FlowError
from flow_singer.process.runcontext import context_of

_LAST = 10
"""How many lines that were not shown are shown when the run fails."""

_LEVEL = re.compile(r"\b(DEBUG|INFO|METRIC|WARN|WARNING|ERROR|CRITICAL|FATAL|EXCEPTION)\b")
_CHATTER = frozenset({"DEBUG", "INFO", "METRIC"})
_SERIOUS = {
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.ERROR,
    "FATAL": logging.ERROR,
    "EXCEPTION": logging.ERROR,
}
_LEVEL_WITHIN = 60
"""Where in a line its level stands: behind a time and a name at most."""


class PluginLines:
    """Shows and keeps the lines of taps and targets.

    Everything goes into the run's log file. On a terminal, what they say at level INFO or below is not shown but
    with `-v`; where the run fails, the last of it is. Anywhere else, such as in the mail of a nightly job,
    everything is shown, as nobody can ask again.

    Args:
        cli: the general options.
        title: what runs.
    """

    def __init__(self, cli: Cli, title: str) -> None:
        context = context_of(cli.workspace.environ)
        self._shows_all = shows_chatter(cli) if context is None else context.chatter
        shared = None if context is None else context.log
        self._log = RunLog(lambda: Path(shared) if shared else new_log(cli.workspace, title))
        self._hidden: deque[str] = deque(maxlen=_LAST + 1)
        self._is_chatter = False
        self._last_is_hidden = False
        self._level = logging.INFO

    def show(self, name: str, line: str) -> None:
        """Take a line, masked, that the plugin `name` wrote."""
        self._log.add(f"{name}: {line}")
        self._read_level(line)
        self._last_is_hidden = self._is_chatter and not self._shows_all
        if not self._last_is_hidden:
            tell(f"{name}: {line}", level=self._level, plugin=name, line=line)
        else:
            self._hidden.append(f"{name}: {line}")

    @contextlib.contextmanager
    def told_on_failure(self) -> Iterator[None]:
        """Show the last lines that were not shown where the block fails."""
        try:
            yield
        except FlowError:
            self._tell_last()
            raise

    def _tell_last(self) -> None:
        """Show them; where the very last is among them, it is left out: the error quotes it."""
        lines = list(self._hidden)[: -1 if self._last_is_hidden else None]
        if not lines:
            return
        log = f" (all of it: {self._log.path})" if self._log.path else ""
        tell(f"What was said last{log}:\n" + "\n".join(f"  {line}" for line in lines))

    def _read_level(self, line: str) -> None:
        """Find what a line is; one that is indented goes with the one before it."""
        found = _LEVEL.search(line[:_LEVEL_WITHIN])
        if found is not None:
            self._is_chatter = found[1] in _CHATTER
            self._level = _SERIOUS.get(found[1], logging.INFO)
        elif not line[:1].isspace():
            self._is_chatter, self._level = False, logging.INFO


def shows_chatter(cli: Cli) -> bool:
    """Whether all that taps and targets say is shown, as this command was called."""
    return cli.verbose or not (cli.quiet or _terminal.is_terminal())
