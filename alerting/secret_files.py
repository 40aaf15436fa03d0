"""Which files Alertmanager reads its secrets from: it gets their names, and never a secret in its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from handrail.secret import Secret
from handrail.settings import Settings


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The files in which Alertmanager finds its secrets, written into its configuration as given here.

    They should be absolute: Alertmanager looks for a relative one beside its own configuration.
    """

    webhook_token: Path
    slack_webhook_url: Path | None = None
    email_password: Path | None = None
    forward_token: Path | None = None
    owners_slack: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, file: Callable[[str, Secret], Path]) -> Self:
        """The files of everything these settings name; `file` says where a secret is, by a name for a copy of it."""
        notify = settings.notify
        password, token = notify.email and notify.email.password, notify.webhook and notify.webhook.token
        return cls(
            webhook_token=file("webhook_token", settings.receiver.webhook_token),
            slack_webhook_url=file("slack_webhook_url", notify.slack.webhook_url) if notify.slack else None,
            email_password=file("email_password", password) if password else None,
            forward_token=file("forward_token", token) if token else None,
            owners_slack={
                name: file(f"slack_webhook_url_{name}", owner.slack.webhook_url)
                for name, owner in notify.owners.items()
                if owner.slack
            },
        )
