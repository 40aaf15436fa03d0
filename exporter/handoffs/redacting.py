"""What is handed over is redacted before it is written down, in the ledger too."""

from __future__ import annotations

import os

from handrail.redact import Redactor
from handrail.redact.key import redaction_key
from handrail.secret import SecretError
from handrail.settings import Settings


def redactor_of(settings: Settings) -> Redactor:
    """With the receiver's key, so that equal values look alike in what both write; else with its own."""
    try:
        return Redactor(redaction_key(settings.receiver.webhook_token))
    except SecretError:
        return Redactor(os.urandom(32))
