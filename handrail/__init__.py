"""The floor: settings, values and edges that every other part stands on. Imports nothing of ours."""

from __future__ import annotations

__version__ = "0.1.0"
