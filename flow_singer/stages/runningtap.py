"""A tap that runs: how it is ended, and what its end means."""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Callable, Sequence

from flow_singer.errors import EXIT_DATA, EXIT_TAP, EXIT_USAGE, TapError
from flow_singer.plugins.complaints import is_mistake_in_settings
from flow_singer.plugins.datasources import READER
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.process.processes import Process, describe_end
from flow_singer.project.masking import mask
from flow_singer.wording import count_of

logger = logging.getLogger(__name__)

_TOLD = re.compile(rf"[\d :,-]+\| WARNING +\| {READER} +\| (.*)")
"""What the tap that reads data tells a person, in the form of the Singer SDK's log."""

LINGER_S = 60.0
"""How long a tap may run on after it has closed its stdout."""


def wait_for_end(process: Process, tap: PreparedPlugin, records: dict[str, int]) -> TapError | None:
    """Wait for a tap whose stdout has ended.

    Args:
        process: of the tap.
        tap: what was started.
        records: how many it wrote of each stream, in the order in which the streams began.

    Returns:
        The error by which it failed; None where it ended well.

    Raises:
        TapError: it does not end.
    """
    code = process.wait(LINGER_S)
    if code is None:
        process.stop()
        raise TapError(
            f"{tap.name} closed its stdout but did not end within {LINGER_S:.0f} seconds.",
            "It hangs in its own clean-up; its stream is not taken for a complete one.",
        )
    return _failure(code, process, tap, records) if code else None


def _failure(code: int, process: Process, tap: PreparedPlugin, records: dict[str, int]) -> TapError:
    last = next(reversed(records), None)
    after = f" after {count_of(sum(records.values()), 'record')}" if records else " before its first record"
    after += f", the last of stream '{last}'" if last else ""
    said = [line for line in process.last_lines if line.strip()]
    words = f' Its last line was: "{mask(said[-1], tap.secrets)[:300]}"' if said else ""
    if tap.found.data is not None and code in (EXIT_USAGE, EXIT_DATA, EXIT_TAP):
        return _unreadable(code, said, tap)
    prefix = tap.found.own_name.upper().replace("-", "_")
    error = TapError(
        f"{tap.name} {describe_end(code)}{after}.{words}",
        f"Its settings come from meltano.yml, .env, variables {prefix}_* and --config. "
        "Bookmarks stay where the data is safe.",
    )
    if is_mistake_in_settings(code, said, was_let_in=any(records.values())):
        error.exit_code = EXIT_USAGE
    return error


def shown_lines(tap: PreparedPlugin, show: Callable[[str, str], None]) -> Callable[[str], None]:
    """What shows the lines that a tap writes on stderr, masked.

    Of the tap that reads data, the last words are left out: they become the error of the run. What it tells is told
    as the run's own.
    """
    ended = False

    def show_one(line: str) -> None:
        nonlocal ended
        if tap.found.data is not None and (told := _TOLD.match(line)):
            logger.warning("%s", mask(told[1], tap.secrets))
            return
        ended = ended or (tap.found.data is not None and line.startswith(f"{READER}: "))
        if not ended:
            show(tap.name, mask(line, tap.secrets))

    return show_one


def _unreadable(code: int, said: Sequence[str], tap: PreparedPlugin) -> TapError:
    """The error of data that cannot be read: what the bundled tap says of them is all there is to say."""
    before = f"{READER}: "
    starts = [row for row, line in enumerate(said) if line.startswith(before)]
    words = [line.removeprefix(before) for line in said[starts[-1] :]] if starts else list(said)
    error = TapError(
        mask(words[0], tap.secrets) if words else f"{tap.name} cannot be read.", " ".join(words[1:])
    )
    error.exit_code = code
    return error


def stop_tap(process: Process, *, mute: bool = False) -> None:
    """End a tap; `mute` where it would only complain of that."""
    if mute:
        process.mute()
    # The signal first: at a closed pipe most taps print a traceback. Still, it must be closed: one that
    # heeds the signal may be blocked by a full pipe.
    process.tell(signal.SIGTERM)
    process.close_stdout()
    process.stop(ask=False)
