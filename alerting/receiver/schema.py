"""The receiver's tables. Times are epoch seconds; texts a model wrote are redacted before they get here."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    inspect,
)

metadata = MetaData()

# Every notification that was answered 200, as it came; `processed_at` is empty until it has been decided.
inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("received_at", Double, nullable=False),
    Column("body", Text, nullable=False),
    Column("processed_at", Double),
    Column("decision", Text),
    Index("inbox_undecided", "processed_at", "id"),
)

# What could not be understood, cut to a bounded size, for a person to look at.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("received_at", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
)

# One row per incident and episode; an incident that fires again after it resolved is a new episode.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("alertname", Text, nullable=False),
    Column("agent", Text),
    Column("state", Text, nullable=False),  # firing | resolved
    Column("digest", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("resolved_at", Double),
    Column("ticket_key", Text),
    Column("report", Text, nullable=False),  # JSON of what the ticket says
    # Who told of it last: the Alertmanager's URL and its group.
    Column("sender", Text),
    Column("group_key", Text),
    Column("muted", Text),  # silenced, inhibited, muted: those that its ticket was told of already
    UniqueConstraint("key", "episode"),
)

# Every alert of an incident as it was last understood, also after the incident ended: by it a late copy is told apart.
alerts = Table(
    "alerts",
    metadata,
    Column("key", Text, primary_key=True),  # of the incident
    Column("fingerprint", Text, primary_key=True),
    Column("firing", Boolean, nullable=False),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double),
    Column("ended_seen_at", Double),
    Column("held_at", Double),
)

# What remains to be done to the world outside, in lanes that do not wait for each other.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("lane", Text, nullable=False),  # tickets | kills | slack
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),  # items of one subject are done in order
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),  # ready | leased | done | dead | dropped
    Column("run_at", Double, nullable=False),
    Column("lease_until", Double),
    Column("lease_owner", Text),  # named anew with every lease
    Column("attempts", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_error", Text),
    Index("outbox_due", "lane", "state", "run_at"),
    Index("outbox_subject", "subject", "id"),
)

handoffs = Table(
    "handoffs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("incident_id", Integer),
    Column("run_hash", Text),
    Column("origin", Text),  # agent | exporter
    UniqueConstraint("agent", "idempotency_key"),
    Index("handoffs_by_run", "agent", "run_hash"),
    Index("handoffs_by_incident", "incident_id"),
)

# Requests about a run that the other side, agent or exporter, had handed over already.
handoff_joins = Table(
    "handoff_joins",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("handoff_id", Text, nullable=False),
)

# Incidents whose hour is over and whose ticket was told how many hand-offs there were.
handoff_windows = Table(
    "handoff_windows",
    metadata,
    Column("incident_id", Integer, primary_key=True, autoincrement=False),
    Column("handed_over", Integer, nullable=False),
)

# The flag an agent reads. `revision` counts its changes and is the ETag.
flags = Table(
    "flags",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("changed_at", Double, nullable=False),
)

kills = Table(
    "kills",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("action", Text, nullable=False),  # disable | enable
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Double, nullable=False),
    Column("state", Text, nullable=False),  # requested | acting | confirmed | not_confirmed
    Column("acted_at", Double),
    Column("confirmed_at", Double),
    Column("proof", Text),
    Column("previous", Text),  # what to give back to the switch when the agent is enabled again
    Column("incident_id", Integer),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
)


drills = Table(
    "drills",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("drill", Text, nullable=False),
    Column("scenario", Text, nullable=False),
    Column("alertname", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("detect_seconds", Double),
    Column("at", Double, nullable=False),
)

# Who is signed in on the pages; `id` is made of the cookie and the token that the session began with.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("ends_at", Double, nullable=False),
)


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


def _drills(connection: Connection) -> None:
    drills.create(connection, checkfirst=True)


def _append_only(connection: Connection) -> None:
    """The database refuses to change, delete or empty the audit log, whoever asks."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        )
        return
    for event in ("update", "delete"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER audit_no_{event} BEFORE {event.upper()} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


def _leases(connection: Connection) -> None:
    _add(connection, outbox.c.lease_owner)
    _index(connection, inbox, "inbox_undecided")


def _alerts(connection: Connection) -> None:
    alerts.create(connection, checkfirst=True)
    for column in (incidents.c.sender, incidents.c.group_key, incidents.c.muted):
        _add(connection, column)


def _add(connection: Connection, column: Column[object]) -> None:
    """Add the column, unless the table was made with it."""
    table = column.table.name
    if column.name not in {known["name"] for known in inspect(connection).get_columns(table)}:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column.name} {column.type.compile()}")


def _index(connection: Connection, table: Table, name: str) -> None:
    """Add the index, unless the table was made with it."""
    next(index for index in table.indexes if index.name == name).create(connection, checkfirst=True)


def _handoff_joins(connection: Connection) -> None:
    """What the exporter and an agent hand over of one run is one hand-off."""
    _add(connection, handoffs.c.run_hash)
    _add(connection, handoffs.c.origin)
    _index(connection, handoffs, "handoffs_by_run")
    _index(connection, handoffs, "handoffs_by_incident")
    handoff_joins.create(connection, checkfirst=True)
    handoff_windows.create(connection, checkfirst=True)


def _sessions(connection: Connection) -> None:
    sessions.create(connection, checkfirst=True)


MIGRATIONS = (_first, _drills, _append_only, _leases, _handoff_joins, _alerts, _sessions)
