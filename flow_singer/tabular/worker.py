"""The second process of [`ParallelDecoder`][flow_singer.tabular.parallel.ParallelDecoder].

A request is a line of JSON on stdin; its record lines lie in a file in memory. An answer is 8 bytes on stdout, the
size of the batch that lies in another such file (see [`wire`][flow_singer.tabular.wire]); 0 says that a line could not be decoded.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Sequence

import msgspec

from flow_singer.errors import FlowError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.memory import set_up_memory
from flow_singer.tabular.parallel import SIZE_BYTES, Request, read_at
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.tabular.startup import arrow_without_pandas
from flow_singer.tabular.wire import write_batch


def main(descriptors: list[int]) -> None:
    """Answer requests until there are no more.

    Args:
        descriptors: pairs of files, in turn: one that holds the lines, one for the batch.
    """
    arrow_without_pandas()
    set_up_memory()
    os.write(1, bytes(SIZE_BYTES))  # it is up
    request_decoder = msgspec.json.Decoder(Request)
    decoders: dict[int, RecordDecoder] = {}
    files = [open(one, "wb", closefd=False) for one in descriptors[1::2]]  # noqa: SIM115 - open to the end
    slots = itertools.cycle(zip(descriptors[::2], files, strict=True))
    for line, (lines, file) in zip(sys.stdin.buffer, slots, strict=False):
        request = request_decoder.decode(line)
        if request.schema is not None:
            decoders[request.decoder] = RecordDecoder(StreamSchema(request.schema, read=request.read))
        size = 0
        with contextlib.suppress(FlowError):  # the first process finds it again, and knows what to do
            batch = decoders[request.decoder].decode(_parts(lines, request.parts))
            file.seek(0)
            write_batch(batch, file)
            size = file.tell()
            file.flush()
        os.write(1, size.to_bytes(SIZE_BYTES, "little"))


def _parts(lines: int, extents: Sequence[tuple[int, int]]) -> list[Part]:
    starts = itertools.accumulate((size for size, _ in extents), initial=0)
    return [
        Part(read_at(lines, start, size), [(1, count)])
        for start, (size, count) in zip(starts, extents, strict=False)
    ]


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
