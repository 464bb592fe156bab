"""Which names are those of a log's rotated files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.sources.file.rotation import rotated_names

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("log", "name", "ours"),
    [
        ("mail.log", "mail.log.1", True),
        ("mail.log", "mail.log.0", True),
        ("mail.log", "mail.log.12.gz", True),
        ("mail.log", "mail.log.0.bz2", True),
        ("mail.log", "mail.log.1.zst", True),
        ("mail.log", "mail.log-20240630", True),
        ("mail.log", "mail.log-20240630.gz", True),
        ("mail.log", "mail.log-2024063014", True),
        ("mail.log", "mail.log-20240630-1719700000.xz", True),
        ("mail.log", "mail.log_2024-06-30T14:00:00Z", True),
        ("mail.log", "mail.log.2024-06-30", True),
        ("mail.log", "mail.log-2024-w26", True),
        ("mail.log", "mail.log-14h30m", True),
        ("mail.log", "mail-20240630.log", True),
        ("mail.log", "mail.1.log.gz", True),
        ("maillog", "maillog-20240630", True),
        ("mail", "mail-20240630.xz", True),
        ("mail", "mail.1", True),
        ("mail.log", "mail.log", False),
        ("mail.log", "mail.log.gz", False),
        ("mail.log", "mail.log.bz2", False),
        ("mail.log", "mail.log.offset", False),
        ("mail.log", "mail.log.1.offset", False),
        ("mail.log", "mail.log.1~", False),
        ("mail.log", "mail.log-errors", False),
        ("mail.log", "mail.log-errors.1", False),
        ("mail.log", "mail.logs.1", False),
        ("mail.log", "mail.err.1", False),
        ("mail.log", "mailxlog.1", False),
        ("mail", "mail.log", False),
        ("mail", "mail.log.1", False),
        ("mail", "mail.err.1.gz", False),
        ("mail", "mail1", False),
    ],
)
def test_a_rotated_name(tmp_path: Path, log: str, name: str, *, ours: bool) -> None:
    (tmp_path / name).touch()
    assert list(rotated_names(tmp_path / log)) == ([tmp_path / name] if ours else [])


def test_folders_below_belong_to_the_log_unless_they_have_one_of_the_same_name(tmp_path: Path) -> None:
    for name in ("old/mail.log.1", "other/mail.log.1", "other/mail.log", "old/mail.err.1"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(rotated_names(tmp_path / "mail.log")) == [tmp_path / "old/mail.log.1"]


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(rotated_names(tmp_path / "none" / "mail.log"))
