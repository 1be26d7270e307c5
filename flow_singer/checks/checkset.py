"""All that is expected of the streams of a run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from flow_singer.checks.expectations import Expectation
from flow_singer.checks.findings import Finding, sentences
from flow_singer.checks.othervalues import OtherValues
from flow_singer.checks.streamchecks import StreamChecks, Verdict, by_stream
from flow_singer.errors import DataError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch


class BrokenExpectationError(DataError):
    """Data broke an expectation whose `on_failure` is raise."""

    def __init__(self, findings: list[Finding]) -> None:
        places = ", ".join(dict.fromkeys(one.place for one in findings if one.place))
        super().__init__(
            sentences(findings),
            f"Correct the data, or what is expected of them ({places}). With on_failure: drop, clear or warn the "
            "run goes on.",
        )
        self.findings = findings


class Checks:
    """Holds streams to what is expected of them.

    Args:
        expectations: of all streams.
        judges: whether nothing is dropped, cleared or raised, but all is found.
        resumed: streams of which this run brings only what is new.
        now: seconds since 1970, for `freshness`.
    """

    def __init__(
        self,
        expectations: Iterable[Expectation],
        *,
        judges: bool = False,
        resumed: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        if judges:
            expectations = [
                one if one.on_failure == "warn" else replace(one, on_failure="raise") for one in expectations
            ]
        self._judges = judges
        self._now = now
        own: Mapping[str, list[Expectation]] = by_stream(expectations)
        others = [OtherValues(one) for found in own.values() for one in found if one.word == "references"]
        for other in others:
            other.is_skipped = other.stream in resumed
        self._others = others
        streams = dict.fromkeys([*own, *(other.stream for other in others)])
        self.streams = {name: StreamChecks(name, own.get(name, []), others) for name in streams}
        self._met: dict[str, None] = {}
        for name, checks in self.streams.items():
            checks.resumed = name in resumed

    def __bool__(self) -> bool:
        return bool(self.streams)

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        return [finding for checks in self.streams.values() for finding in checks.findings]

    @property
    def errors(self) -> int:
        """How many errors that is."""
        return sum(one.errors for one in self.findings if one.is_error)

    @property
    def is_settled(self) -> bool:
        """Whether nothing that is still to come can make what came so far bad."""
        now = self._now()
        return all(checks.is_settled(now) for checks in self.streams.values())

    def of(self, stream: str) -> StreamChecks:
        """The checks of one stream, which may have none."""
        if stream not in self.streams:
            self.streams[stream] = StreamChecks(stream, [])
        return self.streams[stream]

    def meet(self, stream: str) -> None:
        """Note that there is such a stream; what is expected of `a_b` may mean `a-b`, as names of functions do."""
        self._met[stream] = None
        name = re.sub(r"\W", "_", stream)
        if stream not in self.streams and name in self.streams and not self.streams[name].met:
            self.streams[stream] = self.streams.pop(name)
            self.streams[stream].rename(stream)

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA.

        Raises:
            BrokenExpectationError: it lacks a column.
            DataError, ConfigError: an expectation has no meaning for it.
        """
        self.meet(schema.stream)
        self._stop(self.of(schema.stream).schema(schema))

    def look(self, batch: Batch) -> Verdict:
        """Look at the next records of a stream.

        Raises:
            BrokenExpectationError: they break an expectation.
        """
        verdict = self.of(batch.schema.stream).look(batch)
        self._stop(verdict.failed)
        return verdict

    def finish(self) -> None:
        """Look at each stream as a whole; call it at the proper end.

        Raises:
            BrokenExpectationError: one breaks an expectation.
        """
        now = self._now()
        self._stop([finding for checks in self.streams.values() for finding in checks.finish(now)])

    def notices(self, *, findings: bool = True) -> list[str]:
        """What a person should hear at the end.

        Args:
            findings: whether that includes what was found, but for what raises.
        """
        found = [one.sentence() for one in self.findings if findings and one.action != "raise"]
        for name, checks in self.streams.items():
            if checks.expectations and not checks.met:
                near = did_you_mean([repr(one) for one in near_names(name, self._met)[:1]])
                found.append(
                    f"Stream '{name}' never came, so nothing of what is expected of it was looked at. {near}".rstrip()
                )
            elif checks.resumed and (words := checks.totals):
                found.append(
                    f"Stream '{name}' goes on from a bookmark and brings only what is new: {', '.join(words)} not looked at."
                )
        for other in self._others:
            if other.is_skipped:
                found.append(
                    f"Stream '{other.stream}' goes on from a bookmark and brings only what is new: references of "
                    f"stream '{other.expects.stream}' not looked at."
                )
        return found

    def close(self) -> None:
        """Forget everything."""
        for checks in self.streams.values():
            checks.close()
        for other in self._others:
            other.close()

    def _stop(self, failed: list[Finding]) -> None:
        if failed and not self._judges:
            raise BrokenExpectationError(failed)
