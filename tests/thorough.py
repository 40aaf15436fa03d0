"""How many examples a property is tried with."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("HANDRAIL_TIMES", "1"))


def examples(few: int) -> int:
    """So few while one works on something, many times as many in `make test-slow`."""
    return few * TIMES
