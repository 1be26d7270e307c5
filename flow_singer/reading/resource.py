"""The rows of one resource as batches, or as RECORD lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flow_singer.errors import DataError, RecordError
from flow_singer.reading.csvrows import CsvDialect, CsvFile, check_header
from flow_singer.reading.delimiters import by_unsaid_delimiter
from flow_singer.reading.excelrows import sheet_parts
from flow_singer.reading.jsonmisfits import mended
from flow_singer.reading.jsonrows import inline_rows, json_parts, jsonl_parts, row_parts
from flow_singer.reading.newerthan import ReplicationKey
from flow_singer.reading.ownsheets import own_rows
from flow_singer.reading.parquetrows import parquet_batches
from flow_singer.reading.places import Place, Stamp, unchanged
from flow_singer.reading.promises import check_file, check_rows
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.resourcedescription import Part as FilePart
from flow_singer.reading.resourcedescription import ResourceDescription
from flow_singer.reading.textrows import Misfits, text_batch
from flow_singer.singer.linenumbers import count_lines
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, filtered
from flow_singer.tabular.parts import Part, parts_of
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.tabular.recordlines import batch_lines


class SourceStream:
    """A stream of a source.

    Args:
        description: of its resource.
        place: where its files lie.
        settings: what a person said.
        notice: called with what a person should hear.

    Attributes:
        name: of the stream.
        schema: its SCHEMA.
        rows: how many rows are promised; None: nothing is.
        descriptor: of the resource.
        files: whose rows it has, with what is promised of them; none where the rows stand in the descriptor.
        place: where they lie.
    """

    def __init__(
        self,
        description: ResourceDescription,
        place: Place,
        settings: ReadSettings,
        notice: Callable[[str], None],
    ) -> None:
        self.name: str = description.schema.stream
        self.schema: StreamSchema = description.schema
        self.rows = description.rows
        self.descriptor = description.descriptor
        self.files: Sequence[FilePart] = description.parts
        self.place = place
        self._description, self._settings, self._notice = description, settings, notice
        self._misfits = Misfits(settings.on_error)
        self._is_sure = False  # whether the file that is read is known to be what its description says
        self._since: Stamp | None = None

    def only(self, file: FilePart, since: Stamp | None) -> SourceStream:
        """The same stream with the rows of one of its files alone.

        Args:
            file: one of `files`.
            since: its stamp, from when it may not have changed; None: from the beginning of its rows.
        """
        description = replace(self._description, parts=(file,), rows=None)
        made = SourceStream(description, self.place, self._settings, self._notice)
        made._since = since
        return made

    def batches(self) -> Generator[Batch, None, None]:
        """The rows.

        Raises:
            DataError: a file is not what its description says, or cannot be read.
            ConfigError: a setting is wrong.
        """
        decoder = RecordDecoder(self.schema)
        for one in self._pieces():
            yield one if isinstance(one, Batch) else self._decoded(decoder, one)

    def lines(self) -> Iterator[tuple[bytes | memoryview, int]]:
        """The rows as RECORD lines: some of them, and how many they are.

        Raises:
            DataError, ConfigError: as `batches`.
        """
        decoder = RecordDecoder(self.schema)
        never_null = [
            f"{json.dumps(one.name)}:null".encode()
            for one in self.schema.properties.values()
            if not one.nullable and one.name not in self.schema.required
        ]
        for one in self._pieces():
            if isinstance(one, Batch):
                yield batch_lines(one), one.count
            elif not any(text in one.data for text in never_null) and (self._is_sure or decoder.fits(one)):
                yield one.data, count_lines(one.lines)
            else:
                batch = self._decoded(decoder, one)
                yield batch_lines(batch), batch.count

    def chosen_lines(
        self, key: ReplicationKey | None, chosen: Collection[str] | None
    ) -> Iterator[tuple[memoryview, int]]:
        """Some of the rows, or of the columns, as RECORD lines.

        Args:
            key: leaves out rows that are older than its bookmark; None: no row is.
            chosen: names of the columns that stay; None: all do.

        Raises:
            DataError, ConfigError: as `batches`.
        """
        for batch in self.batches():
            kept = None if key is None else key.newer(batch)
            if kept is not None:
                batch = filtered(batch, kept)
            if chosen is not None:
                batch.columns = {name: one for name, one in batch.columns.items() if name in chosen}
            if batch.count:
                yield batch_lines(batch), batch.count

    def _decoded(self, decoder: RecordDecoder, part: Part) -> Batch:
        try:
            return decoder.decode([part])
        except RecordError:
            pass
        try:
            return decoder.decode([mended(part, decoder.schema, self._misfits)])
        except RecordError as exc:
            message = exc.message.replace("Line ", "row or line ", 1)
            raise DataError(
                f"{self._title()}: {message}",
                "Correct the schema or the file; say the column's type with 'types'; or say what becomes of such "
                "values: 'on_error': 'null' or 'skip'.",
            ) from exc

    def _title(self) -> str:
        return f"resource {self._description.name!r} of {self.place.title}"

    def _pieces(self) -> Iterator[Batch | Part]:
        """Batches of a stream, or RECORD lines that are to be decoded first."""
        found = self._description
        count = 0
        misfits = self._misfits = Misfits(self._settings.on_error)
        if found.inline is not None:
            columns = [one.column for one in found.fields]
            rows = inline_rows(found.inline, columns, self._title())
            for part in row_parts(rows, title=self._title(), stream=self.name):
                count += count_lines(part.lines)
                yield part
        for one in found.parts:
            here = 0
            file = self.place.file(one.path)
            title = f"{one.path} of {self.place.title}"
            if one.path.startswith(("/", "http")):
                title = self.place.name(one.path)
            is_kept = check_file(one, file, title, trust=self._settings.trust, notice=self._notice)
            is_as_described = found.was_read_whole and one.stamp == self.place.stamp(one.path)
            self._is_sure = is_as_described or (found.is_flows and is_kept)
            with unchanged(self.place, one.path, file, title, self._since):
                for piece in self._of_file(one, file, title, misfits):
                    here += piece.count if isinstance(piece, Batch) else count_lines(piece.lines)
                    yield piece
            left_out = misfits.skipped
            if not left_out:
                check_rows(one.rows, here, title, trust=self._settings.trust, notice=self._notice)
            count += here
        if len(found.parts) != 1 and not misfits.skipped:
            check_rows(found.rows, count, self._title(), trust=self._settings.trust, notice=self._notice)
        for text in misfits.notices(self._title()):
            self._notice(text)

    def _of_file(self, one: FilePart, file: Path, title: str, misfits: Misfits) -> Iterator[Batch | Part]:
        found = self._description
        packed = found.is_gzip
        try:
            match found.format:
                case "csv":
                    yield from self._csv(one, file, title, misfits)
                case "jsonl":
                    lines = jsonl_parts(
                        file, title=title, is_gzip=packed, encoding=found.encoding, stream=self.name
                    )
                    yield from self._renamed(parts_of([part]) for part in lines)
                case "json":
                    rows = json_parts(
                        file, title=title, is_gzip=packed, encoding=found.encoding, stream=self.name
                    )
                    yield from self._renamed([part] for part in rows)
                case "parquet":
                    yield from parquet_batches(file, title, found, self._settings, misfits, self._notice)
                case "xlsx" if found.is_flows:
                    places = range(len(found.fields))
                    for some in own_rows(file, title, found, self._settings, self._notice):
                        yield text_batch(some, found, places, misfits, title, sure=self._is_sure)
                case "xlsx":
                    sheet = sheet_parts(file, title, found.dialect, found.fields, self.name)
                    yield from self._renamed([part] for part in sheet)
        except OSError as exc:
            raise DataError(f"{title} cannot be read: {exc.strerror or exc}.", "Get the file again.") from exc

    def _renamed(self, groups: Any) -> Iterator[Batch | Part]:
        """The lines; decoded, where columns are called otherwise in the file than in the stream."""
        names = {one.column: one.name for one in self._description.fields if one.column != one.name}
        if not names:
            for group in groups:
                yield from group
            return
        inner = self._under_file_names(names)
        decoder = RecordDecoder(inner)
        for group in groups:
            for part in group:
                batch = self._decoded(decoder, part)
                columns = {names.get(name, name): column for name, column in batch.columns.items()}
                yield Batch(self.schema, columns, batch.undeclared, {}, batch.count, batch.lines)

    def _under_file_names(self, names: dict[str, str]) -> StreamSchema:
        back = {name: column for column, name in names.items()}
        schema = self.schema.json_schema
        properties = {back.get(name, name): one for name, one in schema["properties"].items()}
        message = {
            **self.schema.message,
            "schema": {**schema, "properties": properties},
            "key_properties": [],
        }
        message.pop("bookmark_properties", None)
        return StreamSchema(message)

    def _csv(self, one: FilePart, file: Path, title: str, misfits: Misfits) -> Iterator[Batch]:
        found = self._description
        own_null = None
        if found.is_flows:
            own_null = next((field.missing[0] for field in found.fields if field.missing), "")
        dialect = CsvDialect.of(found.dialect, path=one.path, null=own_null)
        source = CsvFile(file, title, found.is_gzip, found.encoding, dialect, self._settings.on_error)
        columns = [field.column for field in found.fields]
        source = by_unsaid_delimiter(source, columns, found.dialect, self._notice)
        header = source.header()
        if header == [] and source.dialect.header_rows:
            raise DataError(f"{title} is empty: it has no header.", "Get the file again.")
        places = check_header(header, columns, title=title, trust=self._settings.trust, notice=self._notice)
        width = len(columns) if header is None else len(header)
        for rows in source.rows(width):
            yield text_batch(rows, found, places, misfits, title, sure=self._is_sure)
        if source.skipped:
            misfits.skipped += source.skipped
