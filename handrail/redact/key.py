"""The key of the placeholders: the same in every part of Handrail that reads the same token."""

from __future__ import annotations

import hashlib

from handrail.secret import Secret


def redaction_key(webhook_token: Secret) -> bytes:
    """Of the receiver's webhook token; SecretError when it cannot be read."""
    return hashlib.sha256(b"redaction:" + webhook_token.read().encode()).digest()
