"""What the operator chose, read from text, and the places where nothing was chosen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest

from postgrey_exporter import settings
from postgrey_exporter.settings import default_state, list_paths, parse_duration, parse_moment, parse_zone

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = datetime(2024, 7, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("90s", 90, id="seconds"),
        pytest.param("5m", 300, id="minutes"),
        pytest.param("36h", 36 * 3600, id="hours"),
        pytest.param("7d", 7 * 86400, id="days"),
        pytest.param("2w", 14 * 86400, id="weeks"),
        pytest.param("1d12h", 36 * 3600, id="days-and-hours"),
        pytest.param("0s", 0, id="nothing"),
        pytest.param("007d", 7 * 86400, id="leading-zeros"),
        pytest.param("36500d", 36500 * 86400, id="a-century"),
    ],
)
def test_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "d",
        "7 d",
        " 7d",
        "7D",
        "-7d",
        "1.5d",
        "7days",
        "7y",
        "\u0667d",
        "7d\n",
        "9" * 5000 + "d",
    ],
)
def test_nonsense_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write it like 7d, 36h or 90m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["101w" * 100, "999999999w", "999999999999d"])
def test_a_duration_of_centuries_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is too long: more than a hundred years"):
        parse_duration(text)


def test_a_zone_is_known_by_its_name() -> None:
    assert parse_zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "name", ["", "Nowhere/Nothing", "Europe", "../etc/passwd", "/etc/localtime", "CEST+2", "x\0"]
)
def test_nonsense_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no known time zone; name one like Europe/Berlin"):
        parse_zone(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("7d", "2024-06-24T12:00:00+00:00", id="ago"),
        pytest.param("2024-06-30", "2024-06-30T00:00:00+02:00", id="date"),
        pytest.param("2024-01-15", "2024-01-15T00:00:00+01:00", id="date-in-winter"),
        pytest.param("2024-06-30T14:00:00", "2024-06-30T14:00:00+02:00", id="time"),
        pytest.param("2024-06-30 14:00", "2024-06-30T14:00:00+02:00", id="time-with-a-blank"),
        pytest.param("2024-06-30T14:00:00Z", "2024-06-30T14:00:00+00:00", id="time-with-a-zone"),
        pytest.param("2024-06-30T14:00:00-05:00", "2024-06-30T14:00:00-05:00", id="time-with-an-offset"),
    ],
)
def test_moment(text: str, expected: str) -> None:
    assert parse_moment(text, NOW, ZoneInfo("Europe/Berlin")) == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "30.6.2024", "2024-06-31", "12:00", "1e9"])
def test_nonsense_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time; write it like 2026-06-30"):
        parse_moment(text, NOW, UTC)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31"])
def test_a_moment_at_the_end_of_the_calendar_is_refused_or_read(text: str) -> None:
    for zone in (None, UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")):
        try:
            assert parse_moment(text, NOW, zone) != NOW
        except ValueError as error:
            assert "is no time" in str(error)  # noqa: PT017 - either is right


# --- where the state lies


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        pytest.param(
            {"STATE_DIRECTORY": "/var/lib/x", "XDG_STATE_HOME": "/xdg", "HOME": "/home/me"},
            "/var/lib/x/state.sqlite3",
            id="systemd",
        ),
        pytest.param(
            {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}, "/var/lib/x/state.sqlite3", id="systemd-two-folders"
        ),
        pytest.param(
            {"XDG_STATE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/postgrey-exporter/state.sqlite3", id="xdg"
        ),
        pytest.param({"HOME": "/home/me"}, "/home/me/.local/state/postgrey-exporter/state.sqlite3", id="home"),
        pytest.param(
            {"STATE_DIRECTORY": "", "XDG_STATE_HOME": "", "HOME": "/home/me"},
            "/home/me/.local/state/postgrey-exporter/state.sqlite3",
            id="empty-variables",
        ),
    ],
)
def test_default_state(environment: dict[str, str], state: str) -> None:
    assert default_state(environment) == Path(state)


# --- which lists are watched


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Have the system's folders lie below ``tmp_path``; the function makes a file there."""
    folders = [(f"{tmp_path}{folder}", name) for folder, name in settings.WHITELIST_FOLDERS]
    monkeypatch.setattr(settings, "WHITELIST_FOLDERS", tuple(folders))
    monkeypatch.setattr(settings, "IGNORE_FILES", tuple(f"{tmp_path}{path}" for path in settings.IGNORE_FILES))

    def make(name: str) -> Path:
        path = Path(f"{tmp_path}{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    return make


def test_named_lists_are_watched_and_no_others(system: Callable[[str], Path]) -> None:
    system("/etc/postgrey/whitelist_clients")
    named = [Path("/a"), Path("/b")], [Path("/c")]

    paths = list_paths(*named)

    assert (paths.whitelist, paths.ignore, paths.optional) == ((Path("/a"), Path("/b")), (Path("/c"),), frozenset())


@pytest.mark.parametrize(
    "whitelist",
    [
        pytest.param("/etc/postgrey/whitelist_clients", id="debian"),
        pytest.param("/etc/postfix/postgrey_whitelist_clients", id="fedora"),
        pytest.param("/usr/local/etc/postgrey/postgrey_whitelist_clients", id="freebsd"),
    ],
)
def test_the_systems_whitelist_and_its_local_one_are_watched(system: Callable[[str], Path], whitelist: str) -> None:
    path = system(whitelist)
    local = path.with_name(f"{path.name}.local")

    paths = list_paths([], [])

    assert paths.whitelist == (path, local)
    assert {path, local} <= paths.optional


@pytest.mark.usefixtures("system")
def test_without_any_file_debians_places_are_watched_and_may_be_missing(tmp_path: Path) -> None:
    etc = tmp_path / "etc"

    paths = list_paths([], [])

    assert paths.whitelist == (etc / "postgrey/whitelist_clients", etc / "postgrey/whitelist_clients.local")
    assert paths.ignore == (etc / "postgrey-exporter/ignore",)
    assert paths.optional == {*paths.whitelist, *paths.ignore}
    assert system


def test_the_articles_ignore_file_is_watched_where_there_is_one(system: Callable[[str], Path]) -> None:
    articles = system("/etc/nagios-plugins/postgrey_no_whitelist")
    assert list_paths([], []).ignore == (articles,)

    own = system("/etc/postgrey-exporter/ignore")
    assert list_paths([], []).ignore == (own, articles)


def test_naming_one_kind_of_list_leaves_the_other_at_its_default(system: Callable[[str], Path]) -> None:
    whitelist = system("/etc/postgrey/whitelist_clients")

    paths = list_paths([], [Path("/mine")])

    assert paths.whitelist[0] == whitelist
    assert paths.ignore == (Path("/mine"),)
    assert Path("/mine") not in paths.optional
