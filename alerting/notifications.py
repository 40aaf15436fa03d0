"""From `notify` to what the mixin routes: plain JSON, with the files of the secrets and none of the secrets."""

from __future__ import annotations

from pathlib import Path

from alerting.secret_files import SecretFiles
from handrail.notify_settings import Email, Notify, OfficeHours, Slack, weekdays
from handrail.quantities import format_duration


def ways(notify: Notify, files: SecretFiles) -> dict[str, object]:
    """The ways to people as the mixin's `slack`, `email`, `forward` and `owners`; null for one that is not set."""
    return {
        "slack": _slack(notify.slack, files.slack_webhook_url),
        "email": _email(notify.email, files.email_password),
        "forward": {"url": notify.webhook.url, "tokenFile": _text(files.forward_token)} if notify.webhook else None,
        "owners": [
            {"name": name, "slack": _slack(owner.slack, files.owners_slack.get(name)), "email": list(owner.email)}
            for name, owner in notify.owners.items()
        ],
    }


def times(notify: Notify) -> dict[str, object]:
    """How often and when people are told, as the mixin's `notify`."""
    return {
        "groupWait": format_duration(notify.group_wait),
        "groupInterval": format_duration(notify.group_interval),
        "repeatInterval": format_duration(notify.repeat_interval),
        "warningRepeatInterval": format_duration(notify.warning_repeat_interval),
        "officeHours": _office_hours(notify.office_hours),
    }


def _slack(slack: Slack | None, file: Path | None) -> dict[str, object] | None:
    return {"urlFile": str(file), "channel": slack.channel} if slack and file else None


def _email(email: Email | None, password: Path | None) -> dict[str, object] | None:
    if email is None:
        return None
    return {
        "smarthost": email.smarthost,
        "from": email.sender,
        "to": list(email.to),
        "user": email.user,
        "passwordFile": _text(password),
        "requireTls": email.require_tls,
    }


def _office_hours(hours: OfficeHours | None) -> dict[str, object] | None:
    if hours is None:
        return None
    # One by one: Alertmanager's own ranges of days cannot go over the end of its week, which begins on Sunday.
    days = list(weekdays(hours.days))
    return {"weekdays": days, "start": hours.start, "end": hours.end, "timeZone": hours.time_zone}


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
