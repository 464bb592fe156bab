"""Patterns of the usual form, which are read late, mean and warn of what reading them at once would tell."""

from __future__ import annotations

import subprocess
import sys
from itertools import compress, product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lists.real_perl import RealPerl
from postgrey_exporter.lists.patterns import ClientPattern
from postgrey_exporter.lists.rewrite import rewrite
from postgrey_exporter.lists.usual import usual_tails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgrey_exporter.lists.usual import Tail

DEBIAN_LIST = Path("/etc/postgrey/whitelist_clients")


def words(*lines: str) -> list[str]:
    """Return the words of some lines, and the empty one."""
    return [word for line in lines for word in line.split()] + [""]


ATOMS = words(
    r"mail MX a 7 - _ \. \- \/ . \d \w [a-z] [0-9] [a-z0-9-] [^.] [12] [\d-] [\w.-] [A-Za-z]",
    r"[b-a] [a-] [-a] [a\-z] [a-c-e] [0-9-z] [] [^] [\d-z] [z-\d] [[:alpha:]] \D \s \\ \1 \Q \E \b",
    r"$ ^ ( ) (?:a|b) (mx\d+|mail.|) (a|(b)) (?:a?|b)* (?=a) (?-i) | { } , #",
)
QUANTIFIERS = words("* + ? *? +? ?? *+ ++ ?+ ** {2} {1,2} {")
STARTS = words(r"^ ^* (^|\.) (?:^|\.) (?:^|\.)* .*\. mail")
ENDS = words(r"$ \.example\.com$ \.Example.com$ .ab.exam.de$ com\$ \.com\z \.com$*")
PATTERNS = ["".join(parts).encode() for parts in product(STARTS, ATOMS, QUANTIFIERS, ENDS)]


@pytest.fixture(scope="module")
def perl() -> Iterator[RealPerl]:
    with RealPerl() as running:
        yield running


@pytest.mark.parametrize(
    ("pattern", "end", "is_whole"),
    [
        pytest.param(rb"\.Example\.com$", b".example.com", False, id="the end of a name"),
        pytest.param(rb"^mail-1\.example\.com$", b"mail-1.example.com", True, id="a whole name"),
        pytest.param(rb"^mail\d+\.example\.com$", b".example.com", False, id="digits"),
        pytest.param(rb"^mx[12]?.*?\.example\.com$", b".example.com", False, id="anything between"),
        pytest.param(rb"^[a-z0-9-]+\.example\.com$", b".example.com", False, id="a class"),
        pytest.param(rb"(^|\.)example\.com$", b"example.com", False, id="the name or what is below"),
        pytest.param(rb"mx.example\.com$", b"example.com", False, id="a dot that may be anything"),
        pytest.param(rb"mx\d.example.com$", b"com", False, id="dots that nobody escaped"),
        pytest.param(rb"^mx.example.com$", b"com", True, id="a whole name with such dots"),
        pytest.param(rb"^(?:mail|mx-?)\d+\.example\.com$", b".example.com", False, id="one of several words"),
        pytest.param(rb"mx*example\.com$", b"example.com", False, id="a letter that may be missing"),
    ],
)
def test_what_people_write_is_told_at_a_glance(pattern: bytes, end: bytes, *, is_whole: bool) -> None:
    (tail,) = usual_tails(pattern)

    assert (tail.literal_end(), tail.is_whole) == (end, is_whole)


def test_what_is_told_at_a_glance_holds_of_what_perl_matches(perl: RealPerl) -> None:
    fronts = ("", "mail", "MX", "mx7", "a-7", ".", "x.mail.", "b", "z9_", "maila")
    ends = ("", ".example.com", "mail.Example.com", "x.ab.exam.de", "zabyexam.de", ".com", "7", "a.")
    names = [f"{front}{end}".encode() for front in fronts for end in ends]
    told = [pattern for pattern in PATTERNS if usual_tails(pattern)]
    for pattern in told:
        assert rewrite(pattern).plain_letters == ()
        tested = ClientPattern(pattern)
        judged = perl.matches(pattern, names)
        assert judged is not None, pattern
        assert [tested.matches(name, name.lower()) for name in names] == judged, pattern
        for name in compress(names, judged):
            assert any(has_tail(name.lower(), tail) for tail in tested.tails), pattern
    assert len(told) > 1000


def has_tail(name: bytes, tail: Tail) -> bool:
    places = tail.places
    before, end = name[: len(name) - len(places)], name[len(name) - len(places) :]
    return (
        len(end) == len(places)
        and all(place in {None, byte} for place, byte in zip(places, end, strict=True))
        and not (tail.is_whole and before)
        and not (tail.begins_label and before and not before.endswith(b"."))
    )


@pytest.mark.parametrize(
    ("pattern", "ends"),
    [
        pytest.param(rb"\.(?:example|sample)\.com$", {b".example.com", b".sample.com"}, id="before the end"),
        pytest.param(rb"^mx\.(example\.com|sample\.net)$", {b"mx.example.com", b"mx.sample.net"}, id="up to the end"),
        pytest.param(rb"\.example\.(com|)\z", {b".example.com", b".example."}, id="an empty branch"),
        pytest.param(rb"^[a-z]{1,3}\d{2}\.example\.com\Z", {b".example.com"}, id="counts"),
    ],
)
def test_each_branch_at_the_end_is_an_end(pattern: bytes, ends: set[bytes]) -> None:
    assert {tail.literal_end() for tail in usual_tails(pattern)} == ends


def test_a_pattern_read_late_matches_as_one_read_at_once() -> None:
    names = [
        f"{front}.Example.com".encode() for front in ("mail", "MAILmail", "mx", "mail.a", "a-", "mail7", "7_", "")
    ]
    told = [
        pattern for pattern in PATTERNS if pattern.endswith((rb"\.example\.com$", b"e.com$")) and usual_tails(pattern)
    ]
    for pattern in told:
        # A group around all of it is not of the usual form.
        late, at_once = ClientPattern(pattern), ClientPattern(b"(?:" + pattern + b")")
        matched = [(late.matches(name, name.lower()), at_once.matches(name, name.lower())) for name in names]
        assert [(pattern, one) for one, other in matched if one is not other] == []
    assert len(told) > 500


def test_a_pattern_that_is_not_needed_is_not_compiled_nor_is_what_compiles_it_imported() -> None:
    program = """
import sys
from postgrey_exporter.lists import Lists, read_whitelist
lists = Lists([read_whitelist(rb"/^mail\\d+\\.example\\.com$/", "list")])
assert not lists.covers("mail.example.net", "192.0.2.1")
print("postgrey_exporter.lists.rewrite" in sys.modules)
assert lists.covers("mail1.example.com", "192.0.2.1")
print("postgrey_exporter.lists.rewrite" in sys.modules)
"""

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\nTrue\n"


def test_a_long_pattern_that_is_not_of_the_usual_form_is_told_quickly() -> None:
    for pattern in (
        b"a" * 4000 + b"*$",
        rb"\." * 2000 + b"*+$",
        b"[a-z]" * 800 + b"(",
        b"a" * 254 + b"(",
        b"(a|" * 80,
        b"(a*" * 60 + b")" * 60 + b"$",
    ):
        assert usual_tails(pattern) == ()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        pytest.param(rb"^Mail\.example\.com$", b"MAIL.Example.com", id="whole"),
        pytest.param(rb"^Mail\d+\.example\.com$", b"MAIL7.Example.com", id="read late"),
        pytest.param(rb"\.Example\.com$", b"a.EXAMPLE.com", id="an end"),
    ],
)
def test_case_does_not_matter(pattern: bytes, name: bytes) -> None:
    assert ClientPattern(pattern).matches(name, name.lower())


@pytest.mark.skipif(
    not DEBIAN_LIST.exists(), reason="needs /etc/postgrey/whitelist_clients: apt-get install postgrey"
)
def test_the_whitelist_of_debian_is_in_force_before_any_pattern_is_read() -> None:
    program = f"""
import sys
from pathlib import Path
from postgrey_exporter.lists import Lists, read_whitelist
lists = Lists([read_whitelist(Path({str(DEBIAN_LIST)!r}).read_bytes(), "list")])
print(lists.is_empty, "postgrey_exporter.lists.pcre2" in sys.modules)
"""

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "False False\n"
