"""A credential of which only the settings and its file tell anything: nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.credentials import Facts, known_of
from exporter.health import FailureReason
from handrail.secret import Secret
from handrail.settings import Settings


class PlainSecret:
    """A Credential. It is used by another process, so whether it works is not known here."""

    def __init__(self, name: str, secret: Secret) -> None:
        self.name = name
        self._secret = secret
        self._facts = known_of(secret)

    @property
    def facts(self) -> Facts:
        """What the last look found."""
        return self._facts

    def look(self) -> None:
        """Look when the file was written."""
        self._facts = known_of(self._secret)

    def what_to_do(self, reason: FailureReason) -> str:
        """Nothing refuses it here."""
        return f"{reason}: write a new one to {self._secret.where}"


def plain_secrets(settings: Settings) -> Iterator[PlainSecret]:
    """Every credential of the settings that is no source's."""
    if settings.tickets.jira:
        yield PlainSecret("jira", settings.tickets.jira.token)
    for _, name, secret in settings.notify.secrets():
        yield PlainSecret(name, secret)
    yield PlainSecret("receiver/webhook", settings.receiver.webhook_token)
    yield PlainSecret("receiver/operator", settings.receiver.operator_token)
    for agent in settings.agents:
        if agent.handoff_token:
            yield PlainSecret(f"handoff/{agent.name}", agent.handoff_token)
