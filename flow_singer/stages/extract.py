"""Run one tap: make its catalog, find its state, start it, relay its messages.

What it writes goes on byte for byte, but for the marks; see `singer/marks.py`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow_singer.errors import FlowError, MessageError, TapError
from flow_singer.plugins.about import capabilities
from flow_singer.plugins.builds import cache_folder
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.plugins.runfolder import config_changed, run_folder, write_config
from flow_singer.process.interrupts import Interrupted
from flow_singer.process.pipes import read_blocks, write_all
from flow_singer.process.processes import Process, ended_silently, running
from flow_singer.project.masking import mask, mask_known
from flow_singer.project.meltanofile import Project
from flow_singer.singer.badlines import excerpt
from flow_singer.singer.marks import Header, MessageWriter
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.selection import legacy_properties, selected_streams
from flow_singer.stages.recordlimit import RecordLimit
from flow_singer.stages.runningtap import shown_lines, stop_tap, wait_for_end
from flow_singer.stages.tapcatalog import make_catalog
from flow_singer.stages.tapoptions import TapOptions
from flow_singer.stages.tapstate import Bookmark, find_bookmark, resumed_streams
from flow_singer.state.documents import StateStore

logger = logging.getLogger(__name__)


@dataclass
class TapResult:
    """What a tap sent.

    Attributes:
        records: per stream.
        size_bytes: of all messages.
        seconds: from its start to its end.
    """

    records: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    seconds: float = 0.0


class _All:
    """Every stream."""

    def __contains__(self, stream: object) -> bool:
        return True


def run_tap(
    tap: PreparedPlugin,
    project: Project | None,
    store: StateStore | None,
    options: TapOptions,
    *,
    out: int,
    environ: Mapping[str, str],
    show: Callable[[str, str], None],
    progress: Callable[[MessageReader], None],
    suffix: str | None = None,
) -> TapResult:
    """Run a tap and relay its messages.

    Args:
        tap: ready to start.
        project: for catalogs that were discovered before; None without meltano.yml.
        store: bookmarks; None where none are kept.
        options: what was asked.
        out: file descriptor that gets the messages.
        environ: this process's environment.
        show: gets (name, line) of what the tap writes on stderr.
        progress: called about twice a second.
        suffix: what the names of the bookmarks end in.

    Raises:
        TapError: it failed, or what it wrote is no stream.
        MessageError: it wrote something that is no message.
        BrokenPipeError: the reader is gone; the tap is stopped.
        Interrupted: a signal came; the tap is stopped.
    """
    cache = cache_folder(tap.found, project, environ=environ)
    able = capabilities(tap.found, env=tap.env, cache=cache, refresh=options.refresh_catalog)
    bookmark = find_bookmark(tap, project, store, options, suffix=suffix)
    with run_folder(project) as folder:
        config = write_config(folder, tap.name, tap.config)
        arguments = ["--config", str(config)]
        catalog = make_catalog(
            tap,
            able,
            config,
            cache,
            options,
            lambda line: show(tap.name, line),
            root=project.root if project else None,
        )
        if catalog is not None:
            option = "--catalog" if "catalog" in able or "properties" not in able else "--properties"
            document = catalog if option == "--catalog" else legacy_properties(catalog)
            arguments += [option, _write(folder / "catalog.json", document)]
        if bookmark.value is not None:
            if "state" in able:
                (folder / "state.json").write_bytes(bookmark.value)
                arguments += ["--state", str(folder / "state.json")]
            else:
                logger.warning("%s cannot resume (no --state); it begins at the beginning.", tap.name)
                bookmark = Bookmark(bookmark.state_id)
        logger.info("%s begins%s.", tap.name, _beginning(bookmark, options))
        header = Header(
            options.run or uuid.uuid4().hex,
            tap.name,
            project.environment if project else None,
            bookmark.state_id if bookmark.value is not None else None,
            resumed_streams(bookmark.value, catalog),
            options.full_refresh,
            bookmark.digest if bookmark.value is not None else None,
        )
        try:
            with running(
                tap.name,
                [*tap.found.command, *arguments],
                error=TapError,
                env=tap.env,
                show=shown_lines(tap, show),
            ) as process:
                relay = _Relay(
                    process,
                    None if options.plain else header,
                    out,
                    tap,
                    options,
                    bookmark,
                    _expected(catalog),
                    progress,
                )
                return relay.run()
        finally:
            keep_config(tap, config)


def _beginning(bookmark: Bookmark, options: TapOptions) -> str:
    if options.limit is not None:
        return f": at most {options.limit:,} of each stream, and no bookmark moves"
    if bookmark.value is None:
        return " at the beginning"
    return f" where the bookmark {bookmark.state_id} ends" if bookmark.state_id else " where its state ends"


def _expected(catalog: Mapping[str, Any] | None) -> set[str]:
    """Names of the streams that the tap will write; empty where nobody knows."""
    if catalog is None:
        return set()
    chosen = selected_streams(catalog)
    return {str(one.get("stream")) for one in catalog["streams"] if one.get("tap_stream_id") in chosen}


class _Relay:
    """Moves a tap's messages to `out`, and says at the end how it went."""

    def __init__(
        self,
        process: Process,
        header: Header | None,
        out: int,
        tap: PreparedPlugin,
        options: TapOptions,
        bookmark: Bookmark,
        expected: set[str],
        progress: Callable[[MessageReader], None],
    ) -> None:
        self._process = process
        self._out = out
        self._tap = tap
        self._limit = None if options.limit is None else RecordLimit(options.limit, expected)
        self._bookmark = bookmark
        self._progress = progress

        def hide(text: str) -> str:
            return mask(text, tap.secrets)

        noise = (
            (lambda line: logger.warning("%s: %s", tap.name, excerpt(line, hide=hide)))
            if options.forward_noise
            else None
        )
        self._reader = MessageReader(_All(), noise=noise, hide=hide)
        self._writer = MessageWriter(lambda data: write_all(out, data), header)
        self._started = time.monotonic()

    def run(self) -> TapResult:
        self._run()
        return TapResult(
            dict(self._writer.records), self._reader.size_bytes, time.monotonic() - self._started
        )

    def _run(self) -> None:
        try:
            if self._relay():
                stop_tap(self._process, mute=True)
            elif failure := self._wait_for_end():
                raise failure
        except BrokenPipeError:
            stop_tap(self._process, mute=True)
            raise
        except FlowError as error:
            stop_tap(self._process)
            self._finish(error)
            raise
        except Interrupted as interrupted:
            stop_tap(self._process, mute=True)
            self._finish_soon(interrupted)
            raise
        if self._bookmark.value is not None and not self._writer.lines:
            # A tap that says nothing must not make the next stage forget where it was.
            self._writer.state(b'{"type":"STATE","value":' + self._bookmark.value.strip() + b"}")
        self._writer.finish(ok=True)

    def _relay(self) -> bool:
        """Relay to the end of the tap's stdout, or until every stream has as many records as were asked for."""
        last_shown = 0.0
        has_ended = ended_silently(self._process)

        def rest() -> bool:
            self._progress(self._reader)  # all that came, however long nothing more does
            return has_ended()

        for block in read_blocks(self._process.stdout, watch=self._out, idle=rest):
            for run in self._reader.push(block):
                self._write(run)
            if self._limit is not None and self._limit.is_reached:
                return True
            if (now := time.monotonic()) - last_shown > 0.5:
                last_shown = now
                self._progress(self._reader)
        try:
            for run in self._reader.finish():
                self._write(run)
        except MessageError as error:
            if failure := self._wait_for_end():  # it died in the middle of a line
                raise failure from error
            raise
        return False

    def _write(self, run: Run) -> None:
        match run.type:
            case "RECORD" if self._limit is not None:
                if lines := self._limit.take(run):
                    self._writer.stream_records(run.stream or "", b"\n".join(lines) + b"\n", len(lines))
            case "RECORD":
                self._writer.stream_records(run.stream or "", run.data, run.count)
            case "SCHEMA":
                self._writer.schema(run.data[:-1])
            case _ if self._limit is not None:
                pass  # a STATE would make the next run skip the records that were left out
            case "STATE":
                self._writer.state(run.data[:-1])
            case _:
                self._writer.other(run.data, run.count)

    def _wait_for_end(self) -> TapError | None:
        return wait_for_end(self._process, self._tap, self._reader.records)

    def _finish(self, error: FlowError | Interrupted) -> None:
        """Tell the next stage that this stream is cut short, if it still listens."""
        reason = (
            mask_known(error.message) if isinstance(error, FlowError) else f"the run was stopped by {error}"
        )
        try:
            self._writer.finish(ok=False, code=error.exit_code, reason=reason)
        except OSError:
            logger.debug("The next stage is gone too.")

    def _finish_soon(self, interrupted: Interrupted) -> None:
        """The same for a run that was told to end: a next stage that hangs must not keep it."""
        finishing = threading.Thread(target=self._finish, args=(interrupted,), daemon=True)
        finishing.start()
        finishing.join(_TRAILER_S)


_TRAILER_S = 2.0


def _write(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def keep_config(tap: PreparedPlugin, config: Path) -> None:
    """A tap may rewrite its config (rotated tokens): put that back into the user's file, or say so."""
    changed = config_changed(config, tap.config)
    if changed is None:
        return
    if tap.config_file is not None:
        from flow_singer.files import write_atomic

        write_atomic(tap.config_file, json.dumps(changed, indent=2).encode(), mode=0o600)
        return
    keys = sorted(key for key in changed if changed[key] != tap.config.get(key))
    logger.warning(
        "%s changed its own settings (%s). Flow does not write them into meltano.yml; give the config as a "
        "file with --config to keep such changes.",
        tap.name,
        ", ".join(keys),
    )
