"""Processes: start, connect, watch and stop them; relay what they say on stderr; say how each ended.

Rules that break runs when they are forgotten: a pipe end that stays open in the parent keeps the other side
waiting for ever; stderr that nobody reads blocks its writer; a Singer SDK tap answers SIGTERM with exit code
0, so a code of 0 proves nothing once a signal was sent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flow_singer.errors import FlowError
from flow_singer.process.interrupts import deferred
from flow_singer.process.lifeline import adopt_orphans, descendants, die_with_parent, end_descendants
from flow_singer.process.pipes import widen_pipe

GRACE_S = 10.0
"""How long a process may take to end after it was asked to."""

ORPHAN_S = 5.0
"""How long a pipe may stay open and silent after its process has ended: a grandchild may hold it."""


class Process:
    """A tap, a target or a stage, in a session of its own.

    Args:
        name: stands in front of each line it writes on stderr.
        command: its argv.
        env: its whole environment.
        stdin: a file descriptor, or `subprocess.PIPE`.
        stdout: likewise.
        show: gets each line of its stderr, without the newline.
        own_session: whether Ctrl-C on the terminal must not reach it directly.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        show: Callable[[str], None],
        own_session: bool = True,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=20)
        self.signalled = False
        self._show = show
        self._popen = subprocess.Popen(
            command,
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=own_session,
            preexec_fn=die_with_parent,  # noqa: PLW1509
            pass_fds=tuple(pass_fds),
        )
        self._own_session = own_session
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                widen_pipe(pipe.fileno())
        self._relay = threading.Thread(target=self._relay_stderr, name=f"stderr of {name}", daemon=True)
        self._relay.start()

    @property
    def stdin(self) -> int:
        """File descriptor that writes to it."""
        pipe = self._popen.stdin
        if pipe is None:
            raise ValueError(f"{self.name} was started without a pipe on stdin")
        return pipe.fileno()

    @property
    def stdout(self) -> int:
        """File descriptor that reads from it."""
        pipe = self._popen.stdout
        if pipe is None:
            raise ValueError(f"{self.name} was started without a pipe on stdout")
        return pipe.fileno()

    def close_stdin(self) -> None:
        """Tell it that no more will come."""
        if self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()

    def close_stdout(self) -> None:
        """Let it see a closed pipe; without this, a tap whose reader is gone waits for ever."""
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    def mute(self) -> None:
        """Show nothing of what it writes on stderr from now on."""
        self._show = lambda line: None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for it; None where it still runs after `timeout_s`. All it wrote on stderr has been shown."""
        try:
            code = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._relay.join(ORPHAN_S if code is not None else None)
        return code

    def stop(self, *, grace_s: float = GRACE_S, ask: bool = True) -> int:
        """End it and everything it started: SIGTERM where `ask` is true, SIGKILL after `grace_s` seconds."""
        if self.poll() is None:
            self.signalled = True
            if ask:
                self._signal(signal.SIGTERM)
            if self.wait(grace_s) is None:
                self._signal(signal.SIGKILL)
        code = self.wait()
        if self._own_session:  # what it left behind in its session
            self._signal(signal.SIGKILL)
        return -signal.SIGKILL if code is None else code

    def tell(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            self.signalled = True
            self._signal(signal.Signals(number))

    def kill(self) -> None:
        """End it at once."""
        self.signalled = True
        self._signal(signal.SIGKILL)
        self.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._own_session:
                os.killpg(self._popen.pid, number)
            else:
                self._popen.send_signal(number)

    def _relay_stderr(self) -> None:
        pipe = self._popen.stderr
        if pipe is None:
            return
        rest = b""
        while block := os.read(pipe.fileno(), 1 << 16):
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > _LONGEST_STDERR_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._show_line(line)
        if rest:
            self._show_line(rest)
        pipe.close()

    def _show_line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if text.strip():
            self.last_lines.append(text)  # whole: who shows a part of it takes the secrets out first
        self._show(text)


_LONGEST_STDERR_LINE = 1 << 16


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], *, error: type[FlowError], **options: Any
) -> Iterator[Process]:
    """Start a [`Process`][flow_singer.process.processes.Process]; at the end of the block it has ended, whatever came.

    Args:
        name, command, options: of the process.
        error: what to raise where it cannot be started.
    """
    process = None
    adopt_orphans()
    others = descendants(os.getpid())
    try:
        with deferred():
            try:
                process = Process(name, command, **options)
            except OSError as exc:
                raise error(f"{name} cannot be started: {exc.strerror}: {command[0]}.") from exc
        yield process
    finally:
        if process is not None:
            process.kill()
            end_descendants(without=others)  # what it left behind, also in sessions of their own


def describe_end(code: int, how: str = "exited") -> str:
    """`exited with code 3`, where `how` is "exited"; `was killed by SIGKILL`."""
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"{how} with code {code}"


def ended_silently(process: Process) -> Callable[[], bool]:
    """For `read_blocks(idle=...)`: true once the process has ended and its pipe stayed silent for a while."""
    since: float | None = None

    def idle() -> bool:
        nonlocal since
        if process.poll() is None:
            return False
        since = since or time.monotonic()
        return time.monotonic() - since >= ORPHAN_S

    return idle
