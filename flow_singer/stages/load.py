"""One `flow load`: where the stream goes, which bookmark it moves, and when it must not be loaded at all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flow_singer.dataplaces import is_store, is_url
from flow_singer.errors import ConfigError
from flow_singer.plugins.prepare import PreparedPlugin, prepare, upstream_settings
from flow_singer.project.masking import mask
from flow_singer.singer.marks import Header
from flow_singer.singer.messages import MessageReader
from flow_singer.stages.bookmarkwriter import BookmarkWriter
from flow_singer.stages.inputstream import InputStream, LoadOptions
from flow_singer.stages.target import LoadResult, load_target
from flow_singer.stages.workspace import Workspace
from flow_singer.state.documents import run_lock

if TYPE_CHECKING:
    from flow_singer.checks.contractchoice import Contract
    from flow_singer.datapackage.formerpackage import WriteMode
    from flow_singer.datapackage.writer import FormatName

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackageOptions:
    """How a Data Package is written.

    Attributes:
        format: csv, csv.gz, jsonl, jsonl.gz, parquet or xlsx; None for that of the package that it is added to, else CSV.
        csv_null: the text of null in CSV; None for that of the package that it is added to, else an empty cell.
        check: whether frictionless looks at it first.
        mode: replace, append or upsert.
        partition_by: see [`PackageWriter`][flow_singer.datapackage.writer.PackageWriter].
        contract: that of all streams; None for those that the tap's definition names.
        descriptor: a file of what a person says of the package.
    """

    format: FormatName | None = None
    csv_null: str | None = None
    check: bool = False
    mode: WriteMode = "replace"
    partition_by: str | None = None
    contract: Contract | None = None
    descriptor: Path | None = None


def is_folder(target: str) -> bool:
    """Whether a TARGET of the command line is a folder or zip file for a Data Package.

    Raises:
        ConfigError: it would be one, but not on this disk.
    """
    if is_url(target) or is_store(target):
        raise ConfigError(
            f"{target} is an address, but a Data Package is written to this disk.",
            "Name a folder, and copy it there when it is written; or take a target that writes there.",
        )
    return (
        target.endswith(("/", ".zip")) or target in (".", "..") or ("/" in target and Path(target).is_dir())
    )


def load_stream(
    workspace: Workspace,
    target: str,
    options: LoadOptions,
    *,
    config: str | None,
    state_id: str | None,
    force: bool,
    package: PackageOptions,
    source: int,
    show: Callable[[str, str], None],
    begun: Callable[[Header | None], None] = lambda _: None,
    progress: Callable[[MessageReader], None],
) -> LoadResult:
    """Load the stream on `source`.

    Args:
        workspace: where the command works.
        target: a plugin's name, or a folder.
        options: what was asked.
        config: the target's `--config`.
        state_id: the bookmark's name; None derives it from the stream's header.
        force: run though another run has the same bookmark.
        package: for a folder.
        source: file descriptor of the messages.
        show: gets (name, line) of what the target writes on stderr.
        begun: gets the mark that the stream begins with, None where it has none.
        progress: called about twice a second.

    Raises:
        FlowError: see `errors.py`; nothing half-written stands in the place of something good.
    """
    if is_folder(target):
        return _load_package(workspace, target, options, package, source, begun, progress)
    prepared = prepare(target, "loaders", workspace.project, config=config, environ=workspace.environ)
    options = _with_rejects(prepared, options)
    stream = InputStream(source, options)
    with contextlib.ExitStack() as stack:
        if state_id and not force:  # another run is told of before the tap has worked for nothing
            stack.enter_context(run_lock(workspace.store.lock_folder, state_id))
        stream.begin()
        header = stream.header
        begun(header)
        prepared = _as_settings(_with_upstream(prepared, workspace, header, config), options)
        prepared = _with_contracts(prepared, workspace, header)
        bookmark = state_id or _bookmark_of(workspace, header, target)
        _refuse_gap(header, bookmark, target)
        if bookmark and not state_id and not force:
            stack.enter_context(run_lock(workspace.store.lock_folder, bookmark))
        bookmarks = BookmarkWriter(
            bookmark,
            workspace.store if bookmark else None,
            merge=header is not None and header.full_refresh,
            noise=lambda line: show(target, mask(line, prepared.secrets)[:500]),
        )
        result = load_target(
            prepared, workspace.project, stream, bookmarks, options, show=show, progress=progress
        )
    result.bookmark = bookmark if bookmarks.count else None
    return result


def _with_rejects(target: PreparedPlugin, options: LoadOptions) -> LoadOptions:
    """The options, with the reject file that a bundled target has among its settings.

    Raises:
        ConfigError: the target is a foreign one, which Flow hands lines without a look at their records.
    """
    if target.found.source == "bundled":
        file = target.config.get("reject_file")
        if options.reject is None and isinstance(file, str):
            return replace(options, reject=Path(file))
    elif options.reject is not None:
        raise ConfigError(
            f"--reject {options.reject} would stay empty: {target.name} reads its records itself.",
            "Set them aside before it, with flow transform FILE.py --reject FILE, or load into a bundled target "
            "or a folder.",
        )
    return options


def _as_settings(target: PreparedPlugin, options: LoadOptions) -> PreparedPlugin:
    """A bundled target with the options that are settings of its own."""
    if target.found.source != "bundled":
        return target
    given = {
        "nan": options.nan if options.nan != "error" else None,
        "reject_file": None if options.reject is None else str(options.reject),
        "max_rejects": options.max_rejects,
    }
    return replace(
        target, config={**target.config, **{key: value for key, value in given.items() if value is not None}}
    )


def _with_upstream(
    prepared: PreparedPlugin, workspace: Workspace, header: Header | None, config: str | None
) -> PreparedPlugin:
    """The target again, now that its tap is known: its settings may name those of the tap.

    Source: Meltano 4.4, "Pipeline environment variables", such as $MELTANO_EXTRACT__LOAD_SCHEMA.
    """
    project = workspace.project
    if project is None or header is None or header.tap is None:
        return prepared
    return prepare(
        prepared.name,
        "loaders",
        project,
        config=config,
        environ=workspace.environ,
        upstream=[upstream_settings(header.tap, project, workspace.environ)],
        tell=logger.debug,  # it was said before
    )


def _with_contracts(target: PreparedPlugin, workspace: Workspace, header: Header | None) -> PreparedPlugin:
    """The target with the contracts of its tap, where it can hold streams to them and has none of its own."""
    from flow_singer.stages.contracts import CONTRACT_KEY, contracts_of_tap

    contracts = contracts_of_tap(workspace.project, None if header is None else header.tap)
    if not contracts or header is None:
        return target
    if target.found.source == "bundled" and target.name == _PACKAGE_TARGET:
        return replace(target, config={CONTRACT_KEY: contracts, **target.config})
    logger.warning(
        "%s of %s in meltano.yml is for Data Packages: %s makes of a changed SCHEMA what it does by itself.",
        CONTRACT_KEY,
        header.tap,
        target.name,
    )
    return target


_PACKAGE_TARGET = "target-datapackage"


def _bookmark_of(workspace: Workspace, header: Header | None, target: str) -> str | None:
    if header is None or header.tap is None:
        logger.warning(
            "This stream does not say which tap it comes from, so no bookmark is kept. "
            "Name one with --state-id."
        )
        return None
    return workspace.bookmark_id(header.tap, target)


def _refuse_gap(header: Header | None, bookmark: str | None, target: str) -> None:
    """A target that has not seen what the resumed bookmark skips would have a hole for ever."""
    if header is None or header.state_id is None or header.state_id == bookmark:
        return
    tap = header.tap or "TAP"
    raise ConfigError(
        f"{tap} resumed from the bookmark {header.state_id}, which says nothing of {target}: "
        "what it skips would be missing there.",
        f"Run: flow run {tap} --to {target} | … (its own bookmark), or flow run {tap} --full-refresh | …",
    )


def _load_package(
    workspace: Workspace,
    target: str,
    options: LoadOptions,
    package: PackageOptions,
    source: int,
    begun: Callable[[Header | None], None],
    progress: Callable[[MessageReader], None],
) -> LoadResult:
    from flow_singer.tabular.parallel import ParallelDecoder

    with contextlib.ExitStack() as stack:
        parallel = stack.enter_context(contextlib.closing(ParallelDecoder()))
        parallel.expect_input(source)
        from flow_singer.stages.package import EVERY_STREAM, load_into_package
        from flow_singer.tabular.parts import other_lines
        from flow_singer.tabular.startup import arrow_without_pandas

        arrow_without_pandas()

        rejects = None
        if options.reject is not None:
            from flow_singer.singer.rejectfile import RejectFile

            rejects = stack.enter_context(contextlib.closing(RejectFile(options.reject, options.max_rejects)))
        stream = InputStream(
            source,
            options,
            wanted=EVERY_STREAM,
            find_other_lines=other_lines,
            reject=None if rejects is None else rejects.add_line,
        )
        stream.begin()
        header = stream.header
        begun(header)
        resumed = header is not None and (header.state_id is not None or header.resumed)
        if header is not None and resumed and package.mode == "replace":
            source_of = f"the bookmark {header.state_id}" if header.state_id else "a state in a file"
            whole = f"flow run {header.tap} --full-refresh | … | flow load {target}"
            raise ConfigError(
                f"{header.tap} resumed from {source_of}, but a package is replaced whole: "
                f"{target} would hold only what is new.",
                f"Run: {whole}"
                if header.state_digest is None
                else f"To add it to what is there: --write-mode append. To write it anew: {whole}",
            )
        if package.mode != "replace" and (header is None or header.tap is None):
            logger.warning(
                "This stream does not say which tap it comes from, so %s keeps no bookmark of it.", target
            )
        from flow_singer.checks.contractchoice import EVERY, ContractChoice
        from flow_singer.stages.contracts import contracts_of_tap
        from flow_singer.stages.expected import foreign_keys_of_tap

        named = contracts_of_tap(workspace.project, None if header is None else header.tap)
        return load_into_package(
            Path(target),
            stream,
            package.format,
            package.csv_null,
            mode=package.mode,
            partition_by=package.partition_by,
            descriptor=package.descriptor,
            foreign_keys=foreign_keys_of_tap(workspace.project, None if header is None else header.tap),
            contracts=ContractChoice(named if package.contract is None else {EVERY: package.contract}),
            state_id=None
            if header is None or header.tap is None
            else workspace.package_bookmark_id(header.tap),
            check=package.check,
            batch_paths=workspace.batch_paths,
            rejects=rejects,
            nan=options.nan,
            parallel=parallel,
            progress=progress,
        )
