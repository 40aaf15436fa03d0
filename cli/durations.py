"""Durations as options: spelled as in the configuration."""

from __future__ import annotations

from datetime import timedelta

import click

from handrail.quantities import parse_duration


class Duration(click.ParamType[timedelta]):
    """`2h`, `7d`, more than nothing."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            found = parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not found:
            self.fail(f"{value!r} is no time at all", param, ctx)
        return found
