"""Every error that Flow raises on purpose, and the exit code each ends a command with.

::

    FlowError                 1   internal
    |-- ConfigError           2   meltano.yml, settings, names, options
    |-- DataError            65   a line, a record or a function's result
    |   |-- MessageError          a line that is no Singer message
    |   |-- RecordError           a record that does not fit its SCHEMA
    |   `-- TransformError        the user's file or one of its functions
    |-- TapError             69   the tap, or making its environment
    |-- TargetError          70   the target, or writing a package
    |-- IncompleteError      75   upstream ended before its stream was complete
    `-- BusyError            75   another run owns a file or folder: try again later

A code says whether trying again may help. So a TapError or TargetError has 2 where the program itself says that
trying again does not: it refuses its settings, or what is to be installed is not there. So has an IncompleteError
behind a stage that failed with 2.

Grouped by what the caller does next. A message says what happened, to what, and the value seen; the hint
says what to do.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_DATA = 65
EXIT_REJECTS = 66
EXIT_TAP = 69
EXIT_TARGET = 70
EXIT_INCOMPLETE = 75
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_PIPE = 141


class FlowError(Exception):
    """Base of all errors a caller may want to catch.

    Args:
        message: one sentence: what happened, to what, the value seen. Never a secret.
        hint: one sentence: what to do next.
    """

    exit_code = EXIT_INTERNAL

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(FlowError):
    """The project, a plugin's settings, a name or an option is wrong."""

    exit_code = EXIT_USAGE


class DataError(FlowError):
    """Data or a function of the user's file is wrong."""

    exit_code = EXIT_DATA


class MessageError(DataError):
    """A line that is not a Singer message."""


class RecordError(DataError):
    """A record that does not fit its SCHEMA."""


class TransformError(DataError):
    """The user's file cannot be used, or one of its functions failed."""


class TapError(FlowError):
    """The tap failed, or could not be installed or started."""

    exit_code = EXIT_TAP


class TargetError(FlowError):
    """The target failed, or a package could not be written."""

    exit_code = EXIT_TARGET


class IncompleteError(FlowError):
    """The stream ended before its producer said that it was complete."""

    exit_code = EXIT_INCOMPLETE


class BusyError(FlowError):
    """Another run owns the file or folder that this one would write."""

    exit_code = EXIT_INCOMPLETE  # a failure that passes, as sysexits.h has it
