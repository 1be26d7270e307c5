"""What commands say on stderr: log records, and what a person is told; set up once."""

from __future__ import annotations

import logging
import sys
from typing import Any

from flow_singer.project.masking import mask_known


def set_up_logging(level: str, form: str) -> None:
    """Send Flow's log to stderr.

    Args:
        level: debug, info, warning or error.
        form: `text` (the message, with its level where that is not info) or `json` (one object a line).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    root = logging.getLogger("flow_singer")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False


def tell(text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Say something whatever the log level is: the last word of a command, a line of a plugin.

    Args:
        text: for a person.
        level: how it is labelled in JSON.
        fields: what it says, for machines; they stand in JSON only.
    """
    handlers = logging.getLogger("flow_singer").handlers
    formatter = handlers[0].formatter if handlers else None
    if isinstance(formatter, _JsonFormatter):
        record = logging.LogRecord("flow_singer", level, "", 0, "%s", (text,), None)
        record.fields = fields
        text = formatter.format(record)
    if sys.stderr is not None:  # closed by whoever started us
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = mask_known(super().format(record))
        if record.levelno == logging.INFO:
            return text
        return f"{record.levelname.capitalize()}: {text}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import json

        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_known(record.getMessage()),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = mask_known(self.formatException(record.exc_info))
        return json.dumps(entry)
