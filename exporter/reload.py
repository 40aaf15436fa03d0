"""Takes over a configuration that was read again; one that cannot be used changes nothing but a metric and the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter.self_metrics import Standing
from handrail.clock import Clock
from handrail.logs import Logger
from handrail.settings import Settings, SettingsError


def needs_restart(before: Settings, after: Settings) -> Iterator[str]:
    """The settings that differ and that only a new start can take over."""
    for name in ("listen", "database_url"):
        if getattr(before.exporter, name) != getattr(after.exporter, name):
            yield f"exporter.{name}"


class Reloader:
    """`read` gives the new settings or SettingsError; `change` takes them over."""

    def __init__(
        self,
        started_with: Settings,
        change: Callable[[Settings], None],
        *,
        standing: Standing,
        clock: Clock,
        logger: Logger,
    ) -> None:
        self._started_with = started_with
        self._change = change
        self._standing = standing
        self._clock = clock
        self._logger = logger

    def reload(self, read: Callable[[], Settings]) -> bool:
        """Whether the settings that `read` gives hold from now on."""
        try:
            settings = read()
            self._change(settings)
        except SettingsError as error:
            for problem in error.problems:
                self._logger.error("config_problem", line=problem.line, path=problem.path, text=problem.text)
            self._logger.error("config_reload_failed", problems=len(error.problems), text="the old one still holds")
            self._standing.reload_successful = False
            return False
        self._standing.reload_successful = True
        self._standing.reloaded_at = self._clock.now().timestamp()
        if waiting := list(needs_restart(self._started_with, settings)):
            self._logger.warning("restart_needed", settings=waiting, text="these take effect at the next start")
        self._logger.info("config_reloaded", agents=len(settings.agents))
        return True
