"""FIFOs at which a test meets a process of a pipe, without waiting for one that will never come.

An open() of a FIFO waits for the other side for ever. These wait as long as the process lives whose doing
the other side is.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
import time
from pathlib import Path
from typing import TextIO

_STEP_S = 0.01


def make(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


def release(path: Path, process: subprocess.Popen[bytes]) -> bool:
    """Open the FIFO for writing and close it, so that its reader goes on; whether there was a reader."""
    while process.poll() is None:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: nobody has opened it for reading yet
                raise
            time.sleep(_STEP_S)
        else:
            return True
    return False


def listen(path: Path, process: subprocess.Popen[bytes]) -> TextIO:
    """Open the FIFO for reading when its writer has said something.

    Raises:
        AssertionError: the process ended and nobody had written.
    """
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    while not select.select([reading], [], [], _STEP_S)[0]:
        if process.poll() is not None:
            os.close(reading)
            raise AssertionError(f"the process ended with {process.returncode}, and nobody wrote to {path}")
    os.set_blocking(reading, True)
    return open(reading)
