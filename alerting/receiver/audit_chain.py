"""Any row of the audit log that was changed, removed, added or moved is found, in the database and in an export.

Rows are numbered from 1 without a gap, and the hash of each covers its content and the hash of the row before. What
was taken from the end leaves a whole chain behind: only an anchor, a number and a hash kept elsewhere, shows that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

GENESIS = "0" * 64
# Of a hash in a ticket: short enough for a line, and 48 bits that nobody meets by chance.
SHORT = 12

Kind = Literal["changed", "removed", "inserted", "reordered", "renumbered", "rewritten", "unreadable"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `at` is in epoch seconds; `detail` is JSON in its canonical form, which the hash covers as it stands."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: str
    previous_hash: str
    hash: str

    @property
    def digest(self) -> str:
        """What its hash has to be."""
        content = {"at": self.at, "actor": self.actor, "action": self.action}
        return chained(self.previous_hash, {**content, "subject": self.subject, "detail": self.detail})


@dataclass(frozen=True, slots=True)
class Anchor:
    """That a row had a hash, or one that begins so, said somewhere out of reach of the database."""

    id: int
    hash: str

    def __str__(self) -> str:
        return f"{self.id}:{self.hash}"

    @property
    def short(self) -> str:
        """As a ticket says it."""
        return f"{self.id}:{self.hash[:SHORT]}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the log: at which row (in a file that cannot be read: which line), and what."""

    id: int
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """How many rows there are, the last one as an anchor (None for an empty log), and everything that is wrong."""

    rows: int
    head: Anchor | None
    findings: tuple[Finding, ...]


_WRITTEN_ANCHOR = re.compile(r"\b(?:audit |anchor\W{1,4})(\d{1,18}):([0-9a-f]{12,64})\b")


def parse_anchor(text: str) -> Anchor:
    """The anchor in `12:9f86d081884c`; ValueError if it is none."""
    found = re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{12,64})", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not an anchor; write the row's number, a colon and at least {SHORT} digits")
    return Anchor(int(found[1]), found[2])


def anchors_in(text: str) -> list[Anchor]:
    """Every anchor that a log or a ticket in `text` holds."""
    return [Anchor(int(number), digits) for number, digits in _WRITTEN_ANCHOR.findall(text)]


def chained(previous: str, content: Mapping[str, object]) -> str:
    """The hash of a row with that content behind a row with the hash `previous`."""
    return hashlib.sha256(f"{previous}\n{canonical(content)}".encode()).hexdigest()


def canonical(value: Mapping[str, object]) -> str:
    """JSON in the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def check(entries: Iterable[Entry], anchors: Sequence[Anchor] = ()) -> Checked:
    """Everything that is wrong with a log that is given from its first row on, in the order of its numbers."""
    findings: list[Finding] = []
    wanted: dict[int, set[str]] = {}
    for anchor in anchors:
        wanted.setdefault(anchor.id, set()).add(anchor.hash)
    before: Entry | None = None
    walk, count = _Walk(), 0
    for before in entries:
        count += 1
        findings += walk.step(before)
        if any(not before.hash.startswith(hash_) for hash_ in wanted.pop(before.id, ())):
            findings.append(Finding(before.id, "rewritten", "an anchor says that it had another hash"))
    last = before.id if before else 0
    for number in sorted(wanted):
        where = f"an anchor names it, and the log ends at row {last}" if number > last else "an anchor names it"
        findings.append(Finding(number, "removed", where))
    return Checked(count, Anchor(before.id, before.hash) if before else None, tuple(findings))


class _Walk:
    """Row by row; remembers the two before."""

    def __init__(self) -> None:
        self._id = 0
        self._hashes = (GENESIS, GENESIS)  # of the last row, and of the one before it
        self._true_hash = GENESIS
        self._in_doubt = False

    def step(self, entry: Entry) -> list[Finding]:
        """What is wrong with this row, or with the way it follows from the last one."""
        true_hash = entry.digest
        whole = entry.hash == true_hash
        found = [] if whole else [Finding(entry.id, "changed", "its content is not what its hash says")]
        if (misplaced := self._misplaced(entry, whole=whole)) is not None:
            found.append(misplaced)
        self._id, self._hashes, self._true_hash = max(self._id, entry.id), (entry.hash, self._hashes[0]), true_hash
        self._in_doubt = bool(found)
        return found

    def _misplaced(self, entry: Entry, *, whole: bool) -> Finding | None:
        follows = entry.previous_hash == self._hashes[0]
        if entry.id <= self._id:
            return Finding(entry.id, "reordered", f"it stands behind row {self._id}")
        if entry.id > self._id + 1:
            if whole and follows:
                return Finding(entry.id, "renumbered", f"it follows row {self._id}, so its number was {self._id + 1}")
            return self._gap(entry)
        if follows or not whole:
            return None
        if self._in_doubt and entry.previous_hash in (self._true_hash, self._hashes[1]):
            return None  # it follows what stood here before, which has been said
        if self._id and entry.previous_hash == self._hashes[1]:
            return Finding(self._id, "inserted", f"row {entry.id} was written without it")
        return Finding(entry.id, "reordered", f"it was not written behind the row that is now {self._id}")

    def _gap(self, entry: Entry) -> Finding:
        first, last = self._id + 1, entry.id - 1
        missing = f"row {first} is" if first == last else f"rows {first} to {last} are"
        return Finding(first, "removed", f"{missing} missing before row {entry.id}")


class _Line(BaseModel):
    """A row as `handrail audit export` writes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: str
    previous_hash: str
    hash: str


def line_of(entry: Entry) -> str:
    """The row as one line of JSON."""
    return json.dumps(asdict(entry), ensure_ascii=False)


def entry_of(line: str) -> Entry:
    """The row that `line_of` wrote; ValueError if it is none."""
    try:
        # Not pydantic's own JSON: a float must come back exactly as it was written.
        return Entry(**_Line.model_validate(json.loads(line)).model_dump())
    except (ValueError, RecursionError) as error:
        raise ValueError("not a row of the audit log") from error
