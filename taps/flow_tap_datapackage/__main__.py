"""The command `tap-datapackage`, also as `python -m flow_tap_datapackage`."""

from __future__ import annotations

import signal
import sys

import click

from flow_singer.errors import EXIT_INTERNAL, EXIT_USAGE, FlowError


def main() -> None:
    """Run the tap's command line; an unusable setting, file or output ends it with one message."""
    # Python ignores SIGPIPE and shows a traceback at the next write; as in any Unix filter, a reader that
    # has gone simply ends us.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.stdout is None:
        sys.exit("tap-datapackage: standard output is closed, there is nowhere to write messages to.")
    from flow_tap_datapackage.tap import TapDataPackage

    try:
        TapDataPackage.cli()
    except FlowError as exc:
        click.echo(f"tap-datapackage: {exc}", err=True)
        sys.exit(exc.exit_code)
    except OSError as exc:
        # A file that was named and is not there, or an output that takes no more, such as a full disk.
        click.echo(f"tap-datapackage: {exc}", err=True)
        sys.exit(EXIT_USAGE if isinstance(exc, FileNotFoundError) else EXIT_INTERNAL)


if __name__ == "__main__":
    main()
