"""The audit log cannot be changed by accident, and what is changed on purpose is found."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from alerting.receiver import audit
from alerting.receiver.anchors import Anchors
from alerting.receiver.audit_chain import Anchor, Entry, anchors_in, check, entry_of, line_of, parse_anchor
from alerting.receiver.schema import MIGRATIONS
from alerting.receiver.schema import audit as table
from handrail import logs
from handrail.database import create_engine, migrate
from tests.postgresql import Unavailable, server
from tests.thorough import examples


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request, tmp_path_factory):
    """The receiver's tables, empty, on either database."""
    if request.param == "sqlite":
        made = create_engine(f"sqlite:///{tmp_path_factory.mktemp('audit')}/r.sqlite")
        migrate(made, MIGRATIONS)
        yield made
        made.dispose()
        return
    try:
        with server() as database:
            made = create_engine(database())
            migrate(made, MIGRATIONS)
            yield made
            made.dispose()
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def chain() -> list[Entry]:
    """Eight real rows."""
    made = create_engine("sqlite://")
    migrate(made, MIGRATIONS)
    with made.begin() as connection:
        for number in range(8):
            detail = {"reason": f"Grund {number} ✓", "kill": number} if number % 2 else {}
            action, subject = f"action {number % 3}", f"agent/{number}"
            audit.append(connection, 1.7e9 + number / 3, actor="someone", action=action, subject=subject, **detail)
        return list(audit.entries(connection))


def append(connection, number=0, **detail):
    audit.append(connection, 1.7e9 + number, actor="someone", action="did", subject="agent/a", **detail)


def test_the_database_refuses_to_change_or_delete_a_row(engine):
    """Whatever our own code tries; a row more is all that it takes."""
    with engine.begin() as connection:
        append(connection)
        append(connection)
    attempts = [update(table).values(actor="nobody"), delete(table), delete(table).where(table.c.id == 2)]
    for attempt in attempts:
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(attempt)
    if engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE audit")
    with engine.begin() as connection:
        assert audit.first_broken(connection) is None


def test_a_transaction_that_fails_leaves_no_gap(engine):
    """A number is the last one and one more, not the next of a sequence."""
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        append(connection)
        raise ZeroDivisionError
    with engine.begin() as connection:
        append(connection)
        assert audit.first_broken(connection) is None
        ids = list(connection.scalars(select(table.c.id).order_by(table.c.id)))
    assert ids == list(range(1, len(ids) + 1))


def test_writers_beside_each_other_make_one_chain(engine):
    """They take turns, on PostgreSQL too."""

    def write():
        for number in range(15):
            with engine.begin() as connection:
                append(connection, number)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.begin() as connection:
        checked = check(audit.entries(connection))
    assert checked.findings == ()
    assert checked.rows >= 45


def test_a_detail_is_redacted_and_cut(engine):
    """A person who pastes a token as the reason does not make it part of the log."""
    said = "leaked sk-abcdefghijklmnop1234 of ann@example.com \x00\ud800" + "x" * 5000
    with engine.begin() as connection:
        append(connection, reason=said)
        row = connection.execute(select(table).order_by(table.c.id.desc()).limit(1)).one()
        assert audit.first_broken(connection) is None
    assert "sk-abc" not in row.detail
    assert "ann@" not in row.detail
    assert len(row.detail) < 2100


def test_a_whole_chain_is_whole(chain):
    """And its last row is the anchor for tomorrow."""
    checked = check(chain, [Anchor(5, chain[4].hash), Anchor(8, chain[7].hash[:12])])
    assert (checked.rows, checked.head, checked.findings) == (8, Anchor(8, chain[7].hash), ())


FIELDS = [name for name in Entry.__slots__ if name != "id"]


@st.composite
def mutations(draw):
    """One thing done to a log of eight rows: (what, rows -> rows)."""
    kind = draw(st.sampled_from(["field", "id", "delete", "truncate", "swap", "swap contents", "insert", "rewrite"]))
    at = draw(st.integers(0, 7))
    if kind == "field":
        name = draw(st.sampled_from(FIELDS))
        value = draw(st.floats(0, 4e9) if name == "at" else st.text(max_size=70))
        return kind, lambda rows: [*rows[:at], replace(rows[at], **{name: value}), *rows[at + 1 :]]
    if kind == "id":
        number = draw(st.integers(1, 30))
        return kind, lambda rows: sorted(
            [*rows[:at], replace(rows[at], id=number), *rows[at + 1 :]], key=lambda row: row.id
        )
    if kind in ("delete", "truncate"):
        renumber = draw(st.booleans())
        cut = at + 1 if kind == "delete" else 8

        def remove(rows):
            left = [*rows[:at], *rows[cut:]]
            return [replace(row, id=i) for i, row in enumerate(left, start=1)] if renumber else left

        return kind, remove
    other = draw(st.integers(0, 7))
    if kind.startswith("swap"):

        def swap(rows):
            moved = list(rows)
            moved[at], moved[other] = moved[other], moved[at]
            return [replace(row, id=i) for i, row in enumerate(moved, start=1)] if kind == "swap contents" else moved

        return kind, swap
    actor = draw(st.text(min_size=1, max_size=5))
    return kind, lambda rows: forged(rows, at, actor, added=kind == "insert")


def forged(rows, at, actor, *, added):
    """By somebody who knows how to hash: a row with a right hash, among or in place of the others."""
    new = replace(rows[at], actor=rows[at].actor + actor)
    new = replace(new, hash=new.digest)
    left = [*rows[:at], new, *rows[at + (0 if added else 1) :]]
    return [replace(row, id=i) for i, row in enumerate(left, start=1)]


@pytest.mark.property
@settings(max_examples=examples(300))
@given(mutation=mutations())
def test_any_single_change_is_found(chain, mutation):
    """Against the anchor of the last row: a field, a row deleted, swapped, inserted, forged, an end cut off."""
    _, mutate = mutation
    before, after = list(chain), mutate(list(chain))
    findings = check(after, [Anchor(8, chain[7].hash[:12])]).findings
    assert bool(findings) == (after != before)


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (lambda rows: [*rows[:2], replace(rows[2], actor="x"), *rows[3:]], [(3, "changed")]),
        (lambda rows: [*rows[:2], replace(rows[2], hash="0" * 64), *rows[3:]], [(3, "changed")]),
        (lambda rows: [*rows[:2], *rows[4:]], [(3, "removed")]),
        (lambda rows: rows[1:], [(1, "removed")]),
        (lambda rows: rows[:5], [(8, "removed")]),
        (lambda rows: [], [(8, "removed")]),
        (lambda rows: forged(rows, 3, "x", added=True), [(4, "inserted"), (8, "rewritten")]),
        (lambda rows: forged(rows, 7, "x", added=False), [(8, "rewritten")]),
        (lambda rows: [*rows[:7], replace(rows[7], id=9)], [(9, "renumbered"), (8, "removed")]),
        (lambda rows: [*rows[:3], rows[4], rows[3], *rows[5:]], [(4, "removed"), (4, "reordered")]),
    ],
)
def test_a_finding_says_which_row_and_what(chain, mutate, said):
    """One change is one finding, or what the anchor says beside it; the rows behind it are not blamed."""
    findings = check(mutate(list(chain)), [Anchor(8, chain[7].hash[:12])]).findings
    assert [(finding.id, finding.kind) for finding in findings] == said


def test_what_is_taken_from_the_end_needs_an_anchor(chain):
    """Without one the rest is a whole chain, which is why anchors are kept elsewhere."""
    assert check(chain[:5]).findings == ()
    assert [finding.id for finding in check(chain[:5], [Anchor(7, chain[6].hash)]).findings] == [7]


def test_a_line_of_an_export_is_the_row(chain):
    """To the last bit of its time."""
    assert [entry_of(line_of(row)) for row in chain] == chain
    for wrong in ("", "{}", "[" * 10_000, json.dumps({**json.loads(line_of(chain[0])), "more": 1})):
        with pytest.raises(ValueError, match="not a row"):
            entry_of(wrong)


def test_anchors_are_found_in_tickets_and_logs(chain, engine):
    """As the receiver writes them; other numbers with colons are none."""
    with engine.begin() as connection:
        append(connection)
    with capture_logs() as said:
        anchors = Anchors(engine, logs.get_logger("receiver"))
        anchors.say()
        anchors.say()
    assert [event["event"] for event in said] == ["audit_anchor"], "what was said is not said again"
    head = audit.head(engine)
    assert anchors_in(json.dumps(said[0])) == [head]
    assert anchors_in(f"at 12:00 audit {head.short}, 12:abcdefabcdef") == [Anchor(head.id, head.hash[:12])]
    assert parse_anchor(f" {head} ") == head
    for wrong in ("12", "12:abc", "0:" + "a" * 12, "x:" + "a" * 12):
        with pytest.raises(ValueError, match="not an anchor"):
            parse_anchor(wrong)


def test_a_tampered_database_is_found_where_the_triggers_are_gone(engine):
    """Who may write the schema may remove them; the chain still tells."""
    with engine.connect() as connection:
        append(connection)
        append(connection)
        row = connection.execute(select(table).order_by(table.c.id.desc()).limit(1)).one()
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP TRIGGER audit_append_only ON audit")
        else:
            connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.execute(update(table).where(table.c.id == row.id).values(actor="nobody"))
        assert audit.first_broken(connection) == row.id
        connection.execute(update(table).where(table.c.id == row.id).values(actor="someone"))
        assert audit.first_broken(connection) is None
        connection.execute(insert(table).values(**{**row._mapping, "id": row.id + 1}))
        assert audit.first_broken(connection) == row.id, "of two that follow the same row one is too many"
        connection.rollback()


def test_a_ticket_names_the_end_of_the_log_at_its_creation(bench, notification):
    """So that rows that were written before it cannot be taken away unseen."""
    bench.alert(notification())
    bench.drain()
    (anchor,) = anchors_in(json.dumps(bench.jira.issues[0].description))
    with bench.receiver.engine.begin() as connection:
        rows = list(audit.entries(connection))
    assert anchor.id == 1, "the decision to open it"
    assert check(rows, [anchor]).findings == ()
    assert check([], [anchor]).findings != ()


def test_the_number_of_rows_is_a_metric(bench, notification):
    """It survives a restart, so that Prometheus sees a fall and nothing else."""
    assert bench.metric("handrail_audit_rows_total") == 0
    bench.alert(notification())
    bench.drain()
    rows = bench.metric("handrail_audit_rows_total")
    assert rows == len(bench.rows(table)) > 1
    bench.restart()
    assert bench.metric("handrail_audit_rows_total") == rows
