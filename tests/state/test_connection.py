"""Opening the state: damage is set aside, what is not ours or too new is left alone, and each is said in one line."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from postgrey_exporter.state import schema
from postgrey_exporter.state.connection import StateError, open_readable, open_writable
from postgrey_exporter.state.schema import APPLICATION_ID, ForeignStateError, NewerStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TABLES: Final = {"attempt", "client", "decision", "decision_hour", "domain", "meta", "source", "source_lines"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def begin(path: Path) -> None:
    """Make a state with something in it."""
    with closing(open_writable(path)) as db:
        db.executemany("INSERT INTO meta VALUES (?, ?)", [(str(number), "x" * 500) for number in range(200)])


def files(folder: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# --- a good state


def test_a_missing_state_is_made_for_its_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        open_writable(path).close()
    finally:
        os.umask(old)

    assert tables(path) >= TABLES
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_taken_for_a_state_to_be_made(path: Path) -> None:
    path.touch()

    open_writable(path).close()

    assert tables(path) >= TABLES


def test_a_commit_is_on_disk_when_it_returns(path: Path) -> None:
    with closing(open_writable(path)) as db:
        settings = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert settings == ["wal", 2]


def test_a_state_is_known_by_its_mark_and_version(path: Path) -> None:
    begin(path)

    with closing(sqlite3.connect(path)) as db:
        marks = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    assert marks == [APPLICATION_ID, len(schema.MIGRATIONS)]


def test_an_older_state_is_brought_up_to_date_with_what_it_holds(path: Path) -> None:
    begin(path)
    steps = ("CREATE TABLE second (x)", "ALTER TABLE second ADD COLUMN third")

    with closing(open_writable(path, migrations=schema.MIGRATIONS + steps)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        kept = db.execute("SELECT count(*) FROM meta").fetchone()[0]
        db.execute("SELECT third FROM second")

    assert (version, kept) == (len(schema.MIGRATIONS) + 2, 201)


def test_a_migration_that_fails_half_way_leaves_its_step_undone(path: Path) -> None:
    begin(path)
    before = tables(path)
    good, bad = "CREATE TABLE second (x)", "CREATE TABLE third (x); INSERT INTO nowhere VALUES (1)"

    with pytest.raises(StateError, match=r"state\.sqlite3: .*nowhere"):
        open_writable(path, migrations=(*schema.MIGRATIONS, good, bad))

    assert tables(path) == before | {"second"}
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS) + 1


def test_what_an_older_state_holds_of_the_future_is_dated_by_its_last_look(path: Path) -> None:
    look, far = 500_000 * 3600 + 60, 70_389_527
    with closing(open_writable(path, migrations=schema.MIGRATIONS[:1])) as db:
        db.executescript(f"""
            INSERT INTO meta VALUES ('looked_at', {look}), ('first_hour', 499832);
            INSERT INTO source VALUES ('log', '{{}}', 253402300799.0), ('other', '{{}}', {look + 80_000});
            INSERT INTO domain VALUES (1, 'example.com', 1, 9, 0, 0, 9, {far});
            INSERT INTO client VALUES (5, 'a.example.com', '192.0.2.1', 1, 7, 0, {far}, 9);
            INSERT INTO attempt VALUES (500000, 5, 2, 1), (500020, 5, 1, 0), ({far}, 5, 3, 2);
            INSERT INTO decision_hour VALUES (500000, 'greylist', 'new', 4), ({far}, 'greylist', 'new', 5);
            INSERT INTO message VALUES (1, 2, {look}, {look}, 7, 0, NULL, NULL, 0);
            INSERT INTO message VALUES (1, 3, 2e11, 2e11, 7, 0, NULL, NULL, 0);
        """)  # noqa: S608

    with closing(open_writable(path)) as db:

        def told(query: str) -> list[tuple[object, ...]]:
            return db.execute(query).fetchall()

        assert told("SELECT * FROM attempt") == [(500_000, 5, 5, 3), (500_020, 5, 1, 0)]
        assert told("SELECT hour, total FROM decision_hour") == [(500_000, 9)]
        assert told("SELECT last_hour, attempts FROM client") == [(500_000, 9)]
        assert told("SELECT last_hour FROM domain") == [(500_000,)]
        assert told("SELECT key FROM message") == [(2,)]
        assert told("SELECT last_event, future FROM source") == [(look, 0), (look + 80_000, 0)]
        assert told("SELECT value FROM meta WHERE key = 'latest_look'") == [(look,)]


# --- damage


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    return content[:8192] + b"\xde\xad" * 4096 + content[16384:]


def nothing_but_junk(content: bytes) -> bytes:
    return b"junk" * (len(content) // 4)


def no_magic(content: bytes) -> bytes:
    return b"x" * 16 + content[16:]


@pytest.mark.parametrize("damage", [cut_short, overwritten, nothing_but_junk, no_magic])
def test_a_damaged_state_is_set_aside_whole_and_a_new_one_begun(
    path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    begin(path)
    path.write_bytes(damaged := damage(path.read_bytes()))

    with caplog.at_level(logging.ERROR):
        open_writable(path).close()

    aside = path.with_name("state.sqlite3.damaged-1")
    assert aside.read_bytes() == damaged
    assert tables(path) >= TABLES
    assert f"{path}: the state is damaged" in caplog.text
    assert f"it is kept as {aside}" in caplog.text
    assert len(caplog.records) == 1


def test_each_damaged_state_is_kept(path: Path) -> None:
    for _ in range(3):
        path.write_bytes(b"junk" * 4096)
        open_writable(path).close()

    assert sorted(files(path.parent)) == ["state.sqlite3", *(f"state.sqlite3.damaged-{n}" for n in (1, 2, 3))]


def test_a_state_under_a_name_of_the_users_is_set_aside_when_its_mark_is_left(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    begin(path)
    path.write_bytes(damaged := cut_short(path.read_bytes()))

    open_writable(path).close()

    assert (tmp_path / "mine.db.damaged-1").read_bytes() == damaged


# --- what is not to be touched


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE invoice (amount)")


def foreign_in_wal_mode(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE invoice (amount)")


def foreign_with_a_mark(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 252006674")
        db.execute("CREATE TABLE invoice (amount)")


def of_a_newer_version(path: Path) -> None:
    begin(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 4711")


def text(path: Path) -> None:
    path.write_text("To whom it may concern:\n" * 400)


@pytest.mark.parametrize("opening", [open_writable, open_readable])
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        pytest.param(foreign, ForeignStateError, "is another program's database; name another file", id="foreign"),
        pytest.param(foreign_in_wal_mode, ForeignStateError, "is another program's database", id="foreign-wal"),
        pytest.param(foreign_with_a_mark, ForeignStateError, "is another program's database", id="foreign-mark"),
        pytest.param(of_a_newer_version, NewerStateError, "was written by a newer version (format 4711,", id="newer"),
        pytest.param(text, StateError, "is no state of this program; name another file with --state", id="text"),
    ],
)
def test_what_is_not_ours_or_newer_is_refused_and_left_byte_for_byte(
    tmp_path: Path,
    make: Callable[[Path], None],
    error: type[Exception],
    words: str,
    opening: Callable[[Path], sqlite3.Connection],
) -> None:
    path = tmp_path / "mine.db"
    make(path)
    before = path.read_bytes()

    with pytest.raises(error) as raised:
        opening(path)

    assert str(raised.value).startswith(f"{path}: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
    assert all(file.startswith("mine.db") and "damaged" not in file for file in files(tmp_path))


# --- what can't be opened


def test_a_folder_as_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="the state can't be written: Is a directory; name a writable file"):
        open_writable(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateError, match="can't be written: Not a directory; name a writable file with --state"):
        open_writable(tmp_path / "file" / "state.sqlite3")


def test_a_missing_state_can_not_be_read(path: Path) -> None:
    with pytest.raises(StateError, match="there is no state here; run `postgrey-exporter serve` or `collect` first"):
        open_readable(path)
    assert not path.exists()


def test_an_empty_state_can_not_be_read(path: Path) -> None:
    path.touch()

    with pytest.raises(StateError, match="the state is empty still"):
        open_readable(path)


def test_a_name_with_signs_of_a_url_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "50%3f?mode=rw#1"
    begin(path)

    with closing(open_readable(path)) as db:
        assert db.execute("SELECT count(*) FROM meta").fetchone() == (201,)


def test_a_reader_can_not_write(path: Path) -> None:
    begin(path)

    with closing(open_readable(path)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM meta")
