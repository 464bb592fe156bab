"""The state file's tables and how older versions of them are brought up to date.

A migration is a numbered step; the file's ``user_version`` says how many of them it has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.errors import PostgreyExporterError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

APPLICATION_ID: Final = 0x70677279
"""``pgry``: by this the file is known to be ours (https://www.sqlite.org/pragma.html#pragma_application_id)."""

CLIENT_BY_DOMAIN: Final = "CREATE INDEX client_by_domain ON client (domain, verdict, network)"

_FIRST: Final = f"""
-- Where each source goes on. The position is the source's own, in JSON.
CREATE TABLE source (
    name TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    last_event REAL
) WITHOUT ROWID;

CREATE TABLE source_lines (
    source TEXT NOT NULL,
    outcome TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (source, outcome)
) WITHOUT ROWID;

CREATE TABLE decision (
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (action, reason)
) WITHOUT ROWID;

-- The same by hour, for as long as the window reaches.
CREATE TABLE decision_hour (
    hour INTEGER NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (hour, action, reason)
) WITHOUT ROWID;

-- Every domain that was greylisted since 'kept_hour', and those of before that still have a label. The counters are
-- those of the label: a domain without one has its attempts in the domain 'other'. 'unreviewed' is the sum over the
-- window of what clients with verdict 0 were greylisted.
CREATE TABLE domain (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    labelled INTEGER NOT NULL,
    new INTEGER NOT NULL DEFAULT 0,
    early_retry INTEGER NOT NULL DEFAULT 0,
    ineffective INTEGER NOT NULL DEFAULT 0,
    unreviewed INTEGER NOT NULL DEFAULT 0,
    last_hour INTEGER NOT NULL
);

CREATE INDEX domain_by_label ON domain (last_hour) WHERE labelled;
CREATE INDEX domain_by_unreviewed ON domain (unreviewed) WHERE unreviewed > 0;

-- The id is a keyed hash of name and address: nothing has to be looked up to count an attempt, and the two are not
-- kept once more in an index. The verdict is what the lists say: 0 uncovered, 1 whitelist, 2 ignore. 'attempts' is
-- how often it was greylisted inside the window: what its domain gains or loses when it is judged otherwise.
CREATE TABLE client (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    domain INTEGER NOT NULL REFERENCES domain (id),
    network INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    last_hour INTEGER NOT NULL,
    attempts INTEGER NOT NULL
);

{CLIENT_BY_DOMAIN};

-- Greylisted attempts. By hour first: what is written together lies together, and old hours go in one piece.
CREATE TABLE attempt (
    hour INTEGER NOT NULL,
    client INTEGER NOT NULL REFERENCES client (id),
    new INTEGER NOT NULL,
    early_retry INTEGER NOT NULL,
    PRIMARY KEY (hour, client)
) WITHOUT ROWID;

-- Messages of the window: what became of a mail that was greylisted, see messages.Message. Several with one key are
-- one after another.
CREATE TABLE message (
    domain INTEGER NOT NULL REFERENCES domain (id),
    key INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    network INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    accepted REAL,
    reported INTEGER,
    line INTEGER NOT NULL,
    PRIMARY KEY (domain, key, first)
) WITHOUT ROWID;

-- Deliveries by their delay: how many took at most 'most' seconds and more than the next smaller bound.
CREATE TABLE delivery (
    most REAL PRIMARY KEY,
    total INTEGER NOT NULL,
    seconds REAL NOT NULL
) WITHOUT ROWID;

-- Single values: 'first_hour' of the window, which all sums are over, 'kept_hour' from which on things are kept,
-- 'newest' for the time of the newest decision not ahead of the clock, 'lists' by which the verdicts were made,
-- 'looked_at' for when the sources were last looked at, 'latest_look' and 'behind_since' as in clock.Looks, 'secret'
-- that senders and recipients are hashed with, 'given_up' for how many open messages were dropped because there were
-- too many.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;
"""

# 'future' counts decisions that were stamped more than a day ahead of the present, and dated by their arrival. What
# was counted before there was this rule is dated by the latest look.
_FUTURE_STAMPS: Final = """
ALTER TABLE source ADD COLUMN future INTEGER NOT NULL DEFAULT 0;
CREATE TEMP TABLE look AS
    SELECT value AS moment, CAST(value AS INTEGER) / 3600 AS hour FROM meta WHERE key = 'looked_at';
INSERT INTO attempt
    SELECT look.hour, client, sum(new), sum(early_retry) FROM attempt JOIN look
    WHERE attempt.hour > look.hour + 25 GROUP BY client
    ON CONFLICT DO UPDATE SET new = new + excluded.new, early_retry = early_retry + excluded.early_retry;
DELETE FROM attempt WHERE hour > (SELECT hour + 25 FROM look);
INSERT INTO decision_hour
    SELECT look.hour, action, reason, sum(total) FROM decision_hour JOIN look
    WHERE decision_hour.hour > look.hour + 25 GROUP BY action, reason
    ON CONFLICT DO UPDATE SET total = total + excluded.total;
DELETE FROM decision_hour WHERE hour > (SELECT hour + 25 FROM look);
UPDATE client SET last_hour = (SELECT hour FROM look) WHERE last_hour > (SELECT hour + 25 FROM look);
UPDATE domain SET last_hour = (SELECT hour FROM look) WHERE last_hour > (SELECT hour + 25 FROM look);
DELETE FROM message WHERE last > (SELECT moment + 90000 FROM look);
UPDATE source SET last_event = (SELECT moment FROM look) WHERE last_event > (SELECT moment + 90000 FROM look);
INSERT INTO meta SELECT 'newest', max(last_event) FROM source;
INSERT INTO meta SELECT 'latest_look', moment FROM look;
DROP TABLE look;
"""

# Clients are judged again before more is counted: then those with names below no public suffix find their domains.
_JUDGE_AGAIN: Final = "DELETE FROM meta WHERE key = 'lists'"

# In the order of what is shown: of a million equal domains it gives the first thousand without sorting them.
_SHOWN_FIRST: Final = """
DROP INDEX domain_by_unreviewed;
CREATE INDEX domain_by_unreviewed ON domain (unreviewed DESC) WHERE unreviewed > 0;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST, _FUTURE_STAMPS, _JUDGE_AGAIN, _SHOWN_FIRST)


class NewerStateError(PostgreyExporterError):
    """The state file was written by a newer version of this program."""


class ForeignStateError(PostgreyExporterError):
    """The file is an SQLite database of some other program."""


def migrate(connection: sqlite3.Connection, name: str, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a state file to the present version, in one transaction a step. Raises as `checked_version` does."""
    version = checked_version(connection, name, migrations)
    for number, step in enumerate(migrations[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;{step};PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={number};COMMIT"
        )


def checked_version(connection: sqlite3.Connection, name: str, migrations: Sequence[str] = MIGRATIONS) -> int:
    """Return how many migrations a state file has seen. Raises `NewerStateError`, `ForeignStateError`."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application != APPLICATION_ID and not empty:
        raise ForeignStateError(f"{name}: is another program's database; name another file with --state")
    if version > len(migrations):
        raise NewerStateError(
            f"{name}: was written by a newer version (format {version}, this one knows {len(migrations)}); "
            "install that version again, or name another file with --state"
        )
    return version
