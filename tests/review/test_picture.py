from __future__ import annotations

from review.picture import PICTURE, drawn, session


def test_the_picture_in_the_readme_is_what_a_terminal_shows() -> None:
    assert PICTURE.read_text() == drawn(session()), "draw it anew: PYTHONPATH=tests python -m review.picture"
