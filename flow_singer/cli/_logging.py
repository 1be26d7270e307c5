"""What commands say on stderr: log records, and what a person is told; set up once.

A line of a run bears the time: short on a terminal, with the date elsewhere. A record with the field `activity`
says what is being done from now on: the live line shows it, and it leaves no line behind. Where nothing is drawn it
is a line of the log if it is a `step`, and nothing if it is `live`, such as a count that changes all the time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from flow_singer.cli import _terminal
from flow_singer.project.masking import mask_known


def set_up_logging(level: str, form: str, *, quiet: bool = False, timed: bool = False) -> None:
    """Send Flow's log to stderr.

    Args:
        level: debug, info, warning or error.
        form: `text` (the message, with its level where that is not info) or `json` (one object a line).
        quiet: nothing below a warning, whatever the level.
        timed: whether lines of text bear the time: those of a run do.
    """
    handler = _Handler()
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter(timed))
    handler.quiet = quiet
    root = logging.getLogger("flow_singer")
    root.handlers[:] = [handler]
    root.setLevel(max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING if quiet else 0))
    root.propagate = False


def set_context(**fields: Any) -> None:
    """Have every line of JSON from now on say this too: run, job, task, stage; None says nothing."""
    _context.update({name: value for name, value in fields.items() if value is not None})


_context: dict[str, Any] = {}


def show_activity(sink: Callable[[str], None] | None) -> None:
    """Have `sink` get what is being done, in place of a line in the log; None for the line."""
    if (handler := _handler()) is not None:
        handler.activity_sink = sink


def _handler() -> _Handler | None:
    found = next(iter(logging.getLogger("flow_singer").handlers), None)
    return found if isinstance(found, _Handler) else None


def tell(text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Say something whatever the log level is, unless the person wants it quiet: a last word, a plugin's line.

    Args:
        text: for a person.
        level: how it is labelled in JSON.
        fields: what it says, for machines; they stand in JSON only.
    """
    handler = _handler()
    if handler is None:
        _terminal.write_line(text)
        return
    if handler.quiet and level < logging.WARNING:
        return
    record = logging.LogRecord("flow_singer", level, "", 0, "%s", (text,), None)
    record.fields = fields
    record.is_told = True
    handler.emit(record)


class _Handler(logging.Handler):
    """Writes to the stderr of the moment."""

    quiet = False
    activity_sink: Callable[[str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if activity := getattr(record, "activity", None):
                if self.activity_sink is not None:
                    self.activity_sink(mask_known(record.getMessage()))
                    return
                if activity == "live":
                    return
            _terminal.write_line(text)
        except Exception:
            if getattr(record, "is_told", False):
                raise
            self.handleError(record)


class _TextFormatter(logging.Formatter):
    def __init__(self, timed: bool) -> None:
        super().__init__()
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        text = mask_known(super().format(record))
        if getattr(record, "is_told", False):
            if text.startswith("Error: "):  # the last word of a command
                text = _terminal.styled("Error:", fg="red", bold=True) + text.removeprefix("Error:")
                return text if _terminal.is_read_on_terminal() else self._time(record) + text
        elif record.levelno != logging.INFO:
            name = record.levelname.capitalize()
            text = _terminal.styled(f"{name}:", fg="yellow") + f" {text}"
        return self._time(record) + text

    def _time(self, record: logging.LogRecord) -> str:
        if not self._timed:
            return ""
        if not _terminal.is_read_on_terminal():
            return time.strftime("%Y-%m-%d %H:%M:%S ", time.localtime(record.created))
        return _terminal.styled(time.strftime("%H:%M:%S ", time.localtime(record.created)), dim=True)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import json

        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_known(record.getMessage()),
            **_context,
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = mask_known(self.formatException(record.exc_info))
        return json.dumps(entry)
