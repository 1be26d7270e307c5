"""A signal ends Flow wherever it strikes, and never between a process and its handle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from flow_singer.errors import FlowError
from flow_singer.process.interrupts import Interrupted, deferred, interruptible
from flow_singer.process.processes import running


def test_the_first_signal_raises_and_the_second_does_not_disturb() -> None:
    def run() -> None:
        with interruptible():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGHUP)
                time.sleep(0.3)  # longer than it takes until a lost exception comes again

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in watched]
    with pytest.raises(Interrupted) as caught:
        run()
    assert caught.value.exit_code == 143
    assert [signal.getsignal(number) for number in watched] == before
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


def test_a_signal_whose_exception_python_throws_away_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    class Finalised:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def run() -> None:
        with interruptible():
            Finalised()
            time.sleep(10)

    with pytest.raises(Interrupted) as caught:
        run()
    assert caught.value.exit_code == 143
    assert capsys.readouterr().err == ""


def test_a_deferred_signal_comes_at_the_end_of_the_block() -> None:
    steps = []

    def run() -> None:
        with interruptible():
            with deferred():
                signal.raise_signal(signal.SIGTERM)
                time.sleep(0.3)
                steps.append("inside")
            steps.append("behind")

    with pytest.raises(Interrupted):
        run()
    assert steps == ["inside"]


def test_no_signal_no_exception() -> None:
    with interruptible(), deferred():
        pass


def test_a_process_has_ended_when_its_block_is_left() -> None:
    started = []

    def run() -> None:
        options = {"env": {}, "show": print, "stdout": subprocess.DEVNULL}
        with interruptible(), running("x", ["sleep", "60"], error=FlowError, **options) as process:
            started.append(process)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        run()
    assert [process.poll() for process in started] == [-signal.SIGKILL]


SCRIPT = """
import os, signal
from flow_singer.errors import FlowError
from flow_singer.process.interrupts import interruptible
from flow_singer.process.processes import Process, running

relay = Process._relay_stderr

def stop_and_relay(self):
    os.kill(os.getpid(), signal.SIGTERM)
    relay(self)

Process._relay_stderr = stop_and_relay
options = {"env": os.environ, "show": print, "stdout": 1}
with interruptible(), running("x", ["sleep", "60"], error=Exception, **options):
    signal.pause()
"""


def test_a_signal_while_a_process_is_being_started_ends_it_too() -> None:
    """The signal comes when the process runs and the handle to it is not yet made."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, timeout=90, check=False)
    assert b"Interrupted: SIGTERM" in done.stderr


def test_a_signal_that_comes_twice_at_once_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    """As Ctrl-C, which reaches the whole group, and its supervisor, which passes it on."""

    def run() -> None:
        with interruptible():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGHUP])
            time.sleep(5)

    with pytest.raises(Interrupted):
        run()
    assert "race" not in capsys.readouterr().err
