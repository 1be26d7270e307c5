"""A target on the Singer SDK that writes nothing: the floor under every target built on it."""

from __future__ import annotations

from singer_sdk import Target
from singer_sdk.sinks import BatchSink


class NoopSink(BatchSink):
    def process_batch(self, context):
        pass


class NoopTarget(Target):
    name = "target-noop"
    config_jsonschema = {"properties": {}}  # noqa: RUF012 (as the SDK declares it)
    default_sink_class = NoopSink


if __name__ == "__main__":
    NoopTarget.cli()
