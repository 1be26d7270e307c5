"""How a command ends: one clear message, the promised exit code, no traceback for a user's mistake."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile

import click

from flow_singer.cli._logging import tell
from flow_singer.errors import (
    EXIT_DATA,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PIPE,
    EXIT_USAGE,
    FlowError,
)
from flow_singer.process.status import StatusWriter
from flow_singer.project.masking import find_secrets, mask_known, remember

logger = logging.getLogger("flow_singer")


def report(command: Callable[[], object]) -> int:
    """Run a command and return its exit code.

    Args:
        command: what to run; it may return an exit code.
    """
    status = StatusWriter(os.environ)
    remember(typed_secrets(sys.argv[1:], os.environ))
    try:
        code = command()
        return code if isinstance(code, int) else EXIT_OK
    except FlowError as error:
        _trace(error)
        _say(status, error.message, error.hint, error.exit_code)
        return error.exit_code
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return EXIT_USAGE
        from flow_singer.cli._usage import explain

        message, hint = explain(error)
        _say(status, message, hint, error.exit_code)
        return error.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _end_by_signal(status, EXIT_INTERRUPTED)
    except BrokenPipeError:
        _forget_stdout()
        status.send(code=EXIT_PIPE)
        return EXIT_PIPE
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            name = f" ({error.filename})" if error.filename else ""
            _say(status, f"{error.strerror}{name}.", "Make room and run again.", EXIT_DATA)
            _forget_stdout()
            return EXIT_DATA
        return _internal(status, error)
    except MemoryError as error:
        _trace(error)
        hint = "A whole-stream function holds all its rows; smaller batches: --batch-records N of flow transform."
        _say(status, "Out of memory.", hint, EXIT_DATA)
        return EXIT_DATA
    except Exception as error:
        return _internal(status, error)
    except BaseException as error:
        code = getattr(error, "exit_code", None)
        if isinstance(code, int):  # interrupts.Interrupted, which light commands do not import
            return _end_by_signal(status, code)
        raise


def _end_by_signal(status: StatusWriter, code: int) -> int:
    status.send(code=code)
    if not status.supervised:
        tell("Stopped." if code == EXIT_INTERRUPTED else "Terminated.", code=code)
    _forget_stdout()
    return code


def _internal(status: StatusWriter, error: BaseException) -> int:
    logger.error("Internal error", exc_info=error)
    _say(
        status,
        f"{type(error).__name__}: {error}",
        "This is a fault in Flow; please report it with the lines above.",
        EXIT_INTERNAL,
    )
    return EXIT_INTERNAL


def _trace(error: BaseException) -> None:
    logger.debug("Traceback", exc_info=error)


def _say(status: StatusWriter, message: str, hint: str | None, code: int) -> None:
    """The last word: to the supervisor where there is one, else to the person."""
    message, hint = mask_known(message), hint and mask_known(hint)
    status.send(error=message, hint=hint, code=code)
    if status.supervised:
        return
    show_error(message, hint, code)


def show_error(message: str, hint: str | None, code: int) -> None:
    """Print an error and its next step on stderr."""
    text = f"Error: {message}" + (f"\n{hint}" if hint else "")
    tell(text, level=logging.ERROR, error=message, hint=hint, code=code)


def typed_secrets(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets of every config that was typed, also of one that nobody can read.

    An error may show the words of the command line. A config that lacks its quotes comes as several words: until
    the next option, each may be a part of it.

    Args:
        words: the command line.
        environ: environment variables; options may come from there.
    """
    typed = [
        [value] for name, value in environ.items() if name.startswith("FLOW_") and name.endswith("CONFIG")
    ]
    for position, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("--config", "--target-config"):
            after = words[position + 1 :]
            first, rest = ([value], after) if equals else (after[:1], after[1:])
            typed.append([*first, *takewhile(lambda word: not word.startswith("--"), rest)])
    for first, *rest in filter(None, typed):
        try:
            config = json.loads(first)
        except (ValueError, RecursionError):
            if not os.path.exists(first) and not first.endswith((".json", ".yml", ".yaml")):
                yield from filter(None, (first, *(rest if first.lstrip().startswith("{") else ())))
        else:
            yield from find_secrets(config if isinstance(config, dict) else {"secret": config})


def _forget_stdout() -> None:
    """Keep the interpreter from flushing into a closed pipe at its end, which would change the exit code."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
