"""The package that the target writes, behind the contracts of its streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flow_singer.checks.contractchoice import ContractChoice, read_contracts
from flow_singer.checks.contractsink import ContractSink
from flow_singer.datapackage.owndescriptor import OwnDescriptor
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import ConfigError, FlowError


class ContractedPackage(ContractSink):
    """A package writer that is told what each stream is held to.

    Args:
        path: see [`PackageWriter`][flow_singer.datapackage.writer.PackageWriter].
        contract: one for all streams, or one per stream; None lets all evolve.
        descriptor: a file of what a person says of the package.
        check: whether it must be valid by its own schema to be published.
        notice: called with what a person should hear.
        reject: see [`ContractSink`][flow_singer.checks.contractsink.ContractSink].
        options: see `PackageWriter`.
    """

    commits_parts = False

    def __init__(
        self,
        path: Path,
        *,
        contract: str | Mapping[str, str] | None,
        descriptor: str | None,
        check: bool,
        notice: Callable[[str], None],
        reject: Callable[[int, str | None, bytes, FlowError], None],
        **options: Any,
    ) -> None:
        if check and options["format"] == "parquet":
            raise ConfigError(
                "The setting check reads CSV and JSON Lines, not Parquet.",
                "Leave it out, or choose another format.",
            )
        self._check = check
        own = None if descriptor is None else OwnDescriptor(Path(descriptor), checked=check, notice=notice)
        self._writer = PackageWriter(path, notice=notice, own=own, **options)
        choice = ContractChoice(read_contracts(contract, lambda _: "The setting contract"))
        super().__init__(self._writer, choice, notice=notice, reject=reject)

    @property
    def keeps_earlier_runs(self) -> bool:
        """Whether what earlier runs brought stays."""
        return self._writer.keeps_earlier_runs

    def publish(self) -> object:
        """Put the package in its place."""
        self.tell()
        return self._writer.publish(check=self._check)

    def abandon(self) -> None:
        """Publish nothing."""
        self._writer.abandon()
