"""Whether a plugin works with its settings: configured, started, discovered, one record read or taken."""

from __future__ import annotations

import json
import tempfile

from flow_singer.errors import TapError
from flow_singer.plugins.runfolder import run_folder, write_config
from flow_singer.process.pipes import read_blocks
from flow_singer.process.processes import describe_end, ended_silently, running
from flow_singer.process.quietrun import run_quietly
from flow_singer.project.masking import mask
from flow_singer.singer.messages import MessageReader
from flow_singer.stages.extract import keep_config
from flow_singer.stages.invocation import Invocation, Show
from flow_singer.stages.runningtap import stop_tap, wait_for_end
from flow_singer.wording import count_of

STREAM = "flow_test"
"""The stream of the record that a target is given."""

_MESSAGES = (
    {
        "type": "SCHEMA",
        "stream": STREAM,
        "schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
        "key_properties": ["id"],
    },
    {"type": "RECORD", "stream": STREAM, "record": {"id": 1}},
    {"type": "STATE", "value": {"bookmarks": {STREAM: {"id": 1}}}},
)


class _All:
    def __contains__(self, stream: object) -> bool:
        return True


def check_discovery(invocation: Invocation, show: Show) -> str | None:
    """Discover the streams of a tap; what was seen, None where it takes no catalog.

    Raises:
        ConfigError, TapError: see `make_catalog`.
    """
    catalog = invocation.catalog(show)
    if catalog is None:
        return None
    return count_of(len(catalog["streams"]), "stream")


def read_one_record(invocation: Invocation, show: Show) -> str:
    """Run a tap until its first record; the name of its stream.

    No bookmark is read, and none moves.

    Raises:
        TapError: it failed, or ended without a record.
        MessageError: it wrote something that is no message.
    """
    tap = invocation.plugin
    with run_folder(invocation.workspace.project) as folder:
        config = write_config(folder, tap.name, tap.config)
        command = [
            *tap.found.command,
            "--config",
            str(config),
            *invocation.catalog_options(folder, config, show),
        ]
        try:
            with running(
                tap.name,
                command,
                error=TapError,
                env=tap.env,
                show=lambda line: show(tap.name, mask(line, tap.secrets)),
            ) as process:
                reader = MessageReader(_All(), hide=lambda text: mask(text, tap.secrets))
                for block in read_blocks(process.stdout, idle=ended_silently(process)):
                    for run in reader.push(block):
                        if run.type in ("RECORD", "BATCH"):
                            stop_tap(process, mute=True)
                            return run.stream or json.loads(run.data.split(b"\n")[0])["stream"]
                for _ in reader.finish():
                    pass
                if failure := wait_for_end(process, tap, reader.records):
                    raise failure
        finally:
            keep_config(tap, config)
    raise TapError(
        f"{tap.name} ended well, but wrote no record.",
        "Is anything selected that has data, and is start_date not in the future?",
    )


def start_target(invocation: Invocation, show: Show) -> None:
    """Start a target on an empty input.

    Raises:
        TargetError: it failed.
    """
    _feed(invocation, b"", show)


def write_one_record(invocation: Invocation, show: Show) -> None:
    """Give a target one record of the stream `flow_test`.

    Raises:
        TargetError: it failed, or did not give the STATE back.
    """
    data = b"".join(json.dumps(one).encode() + b"\n" for one in _MESSAGES)
    printed = _feed(invocation, data, show)
    if STREAM.encode() not in printed:
        raise invocation.plugin.found.failure(
            f"{invocation.plugin.name} took the record, but did not print the STATE behind it.",
            "Without one, no bookmark moves: each run begins at the beginning. Some targets print none by design.",
        )


def _feed(invocation: Invocation, data: bytes, show: Show) -> bytes:
    target = invocation.plugin
    with (
        run_folder(invocation.workspace.project) as folder,
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as out,
    ):
        config = write_config(folder, target.name, target.config)
        source.write(data)
        source.seek(0)
        try:
            code, tail = run_quietly(
                [*target.found.command, "--config", str(config)],
                env=target.env,
                relay=lambda line: show(target.name, mask(line, target.secrets)),
                stdin=source,
                stdout=out,
            )
        except OSError as exc:
            raise target.found.unstartable(exc) from exc
        if code:
            said = f' Its last line was: "{mask(tail[-1], target.secrets)[:300]}"' if tail else ""
            raise target.found.failure(
                f"{target.name} {describe_end(code)}.{said}",
                f"Look at its settings: flow config {target.name}",
            )
        out.seek(0)
        return out.read()
