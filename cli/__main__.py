"""`python -m cli` is `handrail`."""

from __future__ import annotations

from cli.main import main

main()
