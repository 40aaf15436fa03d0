"""What this process has met while it used the ledger: errors by reason, and whether the last write went well."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from handrail.database_trouble import REASONS, Reason, reason_of


class LedgerHealth:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: Counter[Reason] = Counter()
        self._writable = True

    @property
    def writable(self) -> bool:
        """Whether the last write was done; True before the first."""
        return self._writable

    @property
    def errors(self) -> dict[Reason, int]:
        """Errors by reason, also those that never occurred."""
        with self._lock:
            return {reason: self._errors[reason] for reason in REASONS}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count an error of the block, and let it pass."""
        try:
            yield
        except SQLAlchemyError as error:
            with self._lock:
                self._errors[reason_of(error)] += 1
            raise

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The same for a block that writes."""
        try:
            with self.reading():
                yield
        except SQLAlchemyError:
            self._writable = False
            raise
        self._writable = True
