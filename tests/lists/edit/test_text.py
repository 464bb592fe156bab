from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import require

from postgrey_exporter.lists.edit.text import appended, comment, diff, without

LINES = ("# why", r"/\.example\.com$/")

# Line ends, comments and bytes of any encoding, in any order.
CONTENT = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"#", b" ", b"a.example", b"/x/", b"\xe9", b"\xc3\xa9", b"\0"])
    | st.binary(max_size=4)
).map(b"".join)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"# why\n/\\.example\\.com$/\n", id="empty"),
        pytest.param(b"a\n", b"a\n# why\n/\\.example\\.com$/\n", id="last newline"),
        pytest.param(b"a", b"a\n# why\n/\\.example\\.com$/", id="no last newline"),
        pytest.param(b"a\r\nb\r\n", b"a\r\nb\r\n# why\r\n/\\.example\\.com$/\r\n", id="CRLF"),
        pytest.param(b"a\r\nb", b"a\r\nb\r\n# why\r\n/\\.example\\.com$/", id="CRLF without the last one"),
        pytest.param(b"a\r\nb\n", b"a\r\nb\n# why\n/\\.example\\.com$/\n", id="the last line end counts"),
        pytest.param(b"caf\xe9\n", b"caf\xe9\n# why\n/\\.example\\.com$/\n", id="ISO-8859-1"),
        pytest.param(b"a\rb\r", b"a\rb\r\n# why\n/\\.example\\.com$/", id="a carriage return is no line end"),
    ],
)
def test_lines_are_added_in_the_files_own_manner(before: bytes, after: bytes) -> None:
    assert appended(before, LINES) == after


@given(CONTENT)
def test_every_byte_stays_and_the_lines_follow(before: bytes) -> None:
    after = appended(before, LINES)
    assert after.startswith(before)
    assert [line.strip(b"\r") for line in after.split(b"\n") if line][-2:] == [line.encode() for line in LINES]
    assert after.endswith(b"\n") == (not before or before.endswith(b"\n"))


@given(CONTENT)
def test_taking_lines_out_again_gives_the_same_bytes(before: bytes) -> None:
    assert without(appended(before, LINES), LINES) == before


@given(CONTENT.map(lambda text: text + b"\n"), CONTENT)
def test_taking_lines_out_leaves_what_others_added_behind_them(before: bytes, behind: bytes) -> None:
    assert without(appended(before, LINES) + behind, LINES) == before + behind


def test_the_last_of_equal_lines_is_taken_out() -> None:
    once = b"# why\nexample.com\n"
    assert without(once + b"a\n" + once + b"b\n", ("# why", "example.com")) == once + b"a\nb\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"# why\n\n/\\.example\\.com$/\n", id="apart"),
        pytest.param(b"# why\n/\\.example\\.com$/ \n", id="edited"),
        pytest.param(b"/\\.example\\.com$/\n", id="half"),
    ],
)
def test_lines_that_do_not_stand_together_are_not_taken_out(text: bytes) -> None:
    assert without(text, LINES) is None


@given(st.text())
def test_a_comment_is_one_printable_line(text: str) -> None:
    line = comment(text)
    assert line.startswith("# ")
    assert line.isprintable()
    assert len(line) <= 302


def test_a_comment_is_written_in_the_encoding_of_the_file() -> None:
    assert appended("grüße\n".encode(), ["# é"]).endswith("# é\n".encode())
    assert appended(b"gr\xfc\xdfe\n", ["# é", "# €"]).endswith(b"# \xe9\n# ?\n")


@given(CONTENT)
def test_a_diff_tells_of_nothing_but_the_lines(before: bytes) -> None:
    text = diff(Path("list"), before, appended(before, LINES))
    changes = [line for line in text.split(b"\n") if line[:1] in {b"+", b"-"}][2:]
    assert len([line for line in changes if line[:1] == b"+"]) - len(
        [line for line in changes if line[:1] == b"-"]
    ) == len(LINES)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(None, id="new file"),
        pytest.param(b"", id="empty"),
        pytest.param(b"a\nb\nc\nd\n", id="plain"),
        pytest.param(b"a\nb", id="no last newline"),
        pytest.param(b"a\r\nb\r\n", id="CRLF"),
        pytest.param(b"caf\xe9\n\0\n", id="odd bytes"),
    ],
)
def test_patch_makes_of_a_diff_what_would_be_written(tmp_path: Path, before: bytes | None) -> None:
    program = require("patch")
    path = tmp_path / "list"
    if before is not None:
        path.write_bytes(before)
    after = appended(before or b"", LINES)
    change = diff(path, before, after)
    subprocess.run([program, "--binary", "-p0", "-s", str(path)], input=change, check=True, cwd=tmp_path)
    assert path.read_bytes() == after
