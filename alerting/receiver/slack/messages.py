"""Which message of a channel is ours about an alert, and which address leads to a message in Slack. No I/O.

What a channel holds is untrusted, whoever wrote it: of a message nothing is used but its time stamp, its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from pydantic import BaseModel, Field, ValidationError

# Slack's shape of it: seconds, a dot, and six digits that tell apart messages of one second.
TS = r"^\d{1,12}\.\d{6}$"
# Workspaces, Enterprise Grid (acme.enterprise.slack.com) and GovSlack.
_HOSTS = (".slack.com", ".slack-gov.com")
_PATH = re.compile(r"/archives/[A-Z0-9]{2,30}/p\d{7,20}")
_THREAD = re.compile(r"(?:thread_ts=\d+\.\d+&cid=[A-Z0-9]{2,30})?")
_LONGEST = 500


class _Action(BaseModel):
    url: str = ""


class _Attachment(BaseModel):
    title: str = ""
    actions: tuple[_Action, ...] = ()


class _Message(BaseModel):
    ts: Annotated[str, Field(pattern=TS)]
    attachments: tuple[_Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """By what our message is known: it says FIRING, and a button leads to the ticket of this alert and agent."""

    public_url: str
    alertname: str
    agent: str | None

    def earliest(self, messages: Iterable[object]) -> str | None:
        """The time stamp of the first message that carries the mark; None when none does."""
        found = [message.ts for message in map(_parsed, messages) if message and self._is_on(message)]
        return min(found, key=float, default=None)

    def _is_on(self, message: _Message) -> bool:
        return any(
            attachment.title.startswith("[FIRING") and any(self._is_led_to(action.url) for action in attachment.actions)
            for attachment in message.attachments
        )

    def _is_led_to(self, url: str) -> bool:
        ours = urlsplit(f"{self.public_url}/ticket/")
        try:
            # Slack gives & back escaped; there is none in an address of one parameter, whose value is encoded.
            theirs = urlsplit(url)
        except ValueError:
            return False
        here = (theirs.scheme, theirs.netloc.lower()) == (ours.scheme, ours.netloc.lower())
        if not here or not theirs.path.startswith(ours.path):
            return False
        alertname, agent = unquote_plus(theirs.path.removeprefix(ours.path)), dict(parse_qsl(theirs.query)).get("agent")
        return (alertname, agent) == (self.alertname, self.agent)


def _parsed(message: object) -> _Message | None:
    try:
        return _Message.model_validate(message)
    except ValidationError:
        return None


def trusted_permalink(url: object) -> str | None:
    """The URL, if it is the address of a message in Slack and of nothing else; else None."""
    if not isinstance(url, str) or len(url) > _LONGEST or re.search(r"[^\x21-\x7e]", url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    # Not `hostname`: a port, or a name before an @, would be lost from sight.
    is_slack = parts.scheme == "https" and parts.netloc.endswith(_HOSTS) and "@" not in parts.netloc
    is_message = _PATH.fullmatch(parts.path) and _THREAD.fullmatch(parts.query) and not parts.fragment
    return url if is_slack and is_message else None
