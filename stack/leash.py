"""Runs a program that dies when the process that started it dies, even by kill -9. A script; imports nothing of ours.

`python leash.py PARENT_PID PROGRAM ARGUMENTS…`: the program takes this process' place, so its id stays the same.
Linux only has what this needs; elsewhere the next `up` or `down` ends what a killed supervisor left behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Ties this process to its parent and becomes the program."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the line above took hold
            raise SystemExit(1)
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise SystemExit(f"{program[0]} cannot be run: {error.strerror}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
