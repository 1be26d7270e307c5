"""`python -m flow_singer`, and the executables `flow` and `flow-transform`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until a run watches for signals, Ctrl-C just ends the process: no traceback out of an import.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from flow_singer.cli.group import main as run_command

    run_command()


def transform() -> None:
    """Run `flow transform`: an executable of its own for Meltano, which starts mappers with options only."""
    sys.argv.insert(1, "transform")
    main()


if __name__ == "__main__":
    main()
