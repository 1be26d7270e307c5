"""The Singer SDK's own tests of a tap, which are made while pytest collects."""

from __future__ import annotations

import signal
import warnings
from typing import Any

from singer_sdk import Tap
from singer_sdk.testing import SuiteConfig, get_tap_test_class


def sdk_suite(
    tap: type[Tap], suite: SuiteConfig, *, include_stream_tests: bool = True, **config: Any
) -> type:
    """The class of these tests.

    Args:
        tap: what is tested.
        suite: how.
        include_stream_tests: whether its records are, too.
        **config: of the tap.
    """
    # A tap takes over SIGINT and SIGTERM when it is made; while collecting, they are pytest's.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Python 3.* end of life", FutureWarning)
            return get_tap_test_class(
                tap,
                config=config,
                suite_config=suite,
                include_stream_tests=include_stream_tests,
                parse_env_config=False,
            )
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
