"""What a whitelist's patterns match: what Perl says they match, or nothing and a reason."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lists.perl_strategies import common_patterns, host_patterns, hosts, plain_patterns, subjects, wild_patterns
from lists.real_perl import RealPerl
from postgrey_exporter.lists import pcre2
from postgrey_exporter.lists.pattern_errors import NotUnderstoodError, PatternError, RefusedError, Unsure
from postgrey_exporter.lists.patterns import ClientPattern

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def perl() -> Iterator[RealPerl]:
    with RealPerl() as running:
        yield running


POSIX = (
    *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper"),
    *("word", "xdigit"),
)


def matches(pattern: bytes, name: bytes) -> bool:
    """Match a name, which may have a line end: no client's has one, and what PCRE2 makes of it holds all the same."""
    tested = ClientPattern(pattern)
    return bool(tested.compiled().matches(name)) if b"\n" in name else tested.matches(name, name.lower())


def not_understood(pattern: str) -> Unsure | None:
    """Return the kind of what is not understood in a pattern, if anything is."""
    try:
        ClientPattern(pattern.encode())
    except NotUnderstoodError as error:
        return error.kind
    except RefusedError:
        pass
    return None


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param(r"outlook", "mail.outlook.example", True, id="not anchored"),
        pytest.param(r"OUTLOOK", "mail.Outlook.example", True, id="case does not matter"),
        pytest.param(r"^*.outbound\.example$", "a.outbound.example", True, id="a quantified anchor is no anchor"),
        pytest.param(r"^+mail", "a.mail", False, id="one that has to be there is one"),
        pytest.param(r"example\z", "mail.example", True, id="very end"),
        pytest.param(r"exa\hmple", "exa\tmple", True, id="horizontal blank"),
        pytest.param(r"^\Qmail\E$", "QmailE", True, id="quoting is two letters"),
        pytest.param(r"^\Qmail\E$", "mail", False, id="quoting does not quote"),
        pytest.param(r"^(?<n>mx)\k<n>$", "mxmx", True, id="named group"),
        pytest.param(r"^\x{6d}\x78$", "mx", True, id="characters by number"),
        pytest.param(r"^\154$", "l", True, id="a reference beyond the groups is an octal number"),
        pytest.param(r"^[a-\d]+$", "a-7", True, id="no range up to a class"),
        pytest.param(r"^[[:upper:]]+$", "ab", True, id="upper case is any case"),
        pytest.param(r"^[[:^upper:]]+$", "ab", False, id="what is not upper case has no case"),
        pytest.param(r"(?-i)^MAIL$", "mail", False, id="case matters when told so"),
        pytest.param(r"a(?-i)b|C", "c", False, id="a flag holds for the branches that follow"),
        pytest.param(r"^a{1,2}+a$", "aa", False, id="possessive quantifier"),
        pytest.param(r"^(?>a|ab)c$", "abc", False, id="atomic group"),
        pytest.param(r"^(\w+)-\1\.example$", "Pool-pool.example", True, id="a reference in another case"),
        pytest.param(r"\.example$", ".example\n", True, id="end before a line end"),
        pytest.param(r"\.example\z", ".example\n", False, id="very end is not before a line end"),
        pytest.param(r"\Ga", "ba", False, id="where the last match ended is the start"),
        pytest.param(r"(?xx)[a.]$", "a", True, id="a doubled flag"),
        pytest.param("(?<=a|bc)d", "bcd", True, id="looking behind by two widths"),
        pytest.param(r"\1(a)", "aa", False, id="a reference to a group to come"),
        pytest.param(r"(?:(a)|b)\1", "b", False, id="a reference to a group of another branch"),
        pytest.param(r"^(?-i)(a)(?i)\1$", "aA", True, id="a reference in any case to a group in one"),
        pytest.param("(" * 60 + "a" + ")" * 60, "a", True, id="many groups"),
        pytest.param(r"^[a-[:punct:]--z]$", "b", False, id="no range from a class on"),
        pytest.param(r"^a?(?:b)?+^", "ac", True, id="nothing is taken for good before its time"),
        pytest.param(r"(?:^)*a|(?<n>b)(?<n>c)\k<n>", "bcb", True, id="two groups of one name"),
    ],
)
def test_a_pattern_matches_as_in_perl(perl: RealPerl, pattern: str, name: str, *, expected: bool) -> None:
    raw, subject = pattern.encode(), name.encode()
    assert matches(raw, subject) is expected
    assert perl.matches(raw, [subject]) == [expected]


def test_bytes_beyond_ascii_have_no_case_and_are_no_letters() -> None:
    assert matches(b"caf\xe9", b"caf\xe9")
    assert not matches(b"caf\xe9", b"caf\xc9")
    assert not matches(rb"^\w$", b"\xe9")
    assert matches(rb"^[^a]$", b"\xe9")


EVERY_BYTE = [bytes((byte,)) for byte in range(256)]


@pytest.mark.parametrize(
    "pattern",
    [
        *(rf"^\{letter}$" for letter in "dDwWsShHvVNRaefnrtQ"),
        *(rf"^[\{letter}]$" for letter in "dDwWsShHvVaefnrtbQR1"),
        *(f"^[{caret}[:{name}:]]$" for name in POSIX for caret in ("", "^")),
        *(f"^[[:^{name}:]]$" for name in POSIX),
        *(f"(?-i)^[[:{name}:]]$" for name in POSIX),
        *("^.$", "(?s)^.$", "^[^a]$", r"^[\x00-\x1f]$", r"^[\xe0-\xff]$", r"^\cA$", r"^\c?$", r"^[\c[]$", r"^\177$"),
        *(
            r"^[W-c]$",
            r"^[^W-c]$",
            r"(?-i)^[W-c]$",
            r"\b",
            r"\B",
            r"^\b",
            r"\B$",
            r"^[\w-~]$",
            r"^[!-\d]$",
            r"^[a\]]$",
        ),
    ],
)
def test_a_class_has_the_bytes_that_it_has_in_perl(perl: RealPerl, pattern: str) -> None:
    ours = [matches(pattern.encode(), byte) for byte in EVERY_BYTE]
    assert perl.matches(pattern.encode(), EVERY_BYTE) == ours


@pytest.mark.parametrize(
    "pattern",
    [
        *("*a", "+a", "a|?b", "(*a", "a**", "a+++", "a{2}{3}", "(a", "a)", "[a", "[]", "[b-a]", "[[:foo:]]", "a\\"),
        *("(?i", "(?:a", r"\C", r"(?=\K)", "(?:)*?*", "(?i)*"),
    ],
)
def test_what_perl_refuses_is_refused(perl: RealPerl, pattern: str) -> None:
    with pytest.raises(PatternError) as refused:
        ClientPattern(pattern.encode())
    assert isinstance(refused.value, RefusedError) or pattern == "(*a"
    assert perl.matches(pattern.encode(), []) is None


SIGNS = {
    Unsure.BRACES: r"\{",
    Unsure.COMMAND: r"\(\*|\(\?[^:=!<>'imsxn]|\\K[*+?{]",
    Unsure.ESCAPE: r"\\[xcogk89]",
    Unsure.FLAG: r"\(\?[a-z^-]",
    Unsure.ODD: r"[+}]\+|\?\+|\*\+|\[|\(\?<?[=!]",
    Unsure.PCRE2: r"\(\?<[=!]|\{2,1\}|\\x\{100|\\[4-7]|\[.*-|\\[89]|\[\[|\(\?P?[<']",
    Unsure.POSIX: r"\[[:.=]",
    Unsure.REFERENCE: r"\\[1-9gk]|\(\?P=",
    Unsure.UNICODE: r"\\[XpPN]|\\[bB]\{",
}
"""For each kind of construct that is not judged: how it looks. Whatever looks otherwise has to be understood."""


def test_each_kind_that_is_not_judged_has_a_sign() -> None:
    assert set(SIGNS) == set(Unsure) - {Unsure.SIZE}


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        pytest.param("a{,2}", Unsure.BRACES, id="a count without its lower end"),
        pytest.param("a{b", Unsure.BRACES, id="a brace that counts nothing"),
        pytest.param("a{2,1}", Unsure.PCRE2, id="a count that runs backwards"),
        pytest.param("(?R)", Unsure.COMMAND, id="recursion"),
        pytest.param("(?|a|b)", Unsure.COMMAND, id="branch reset"),
        pytest.param("(?(1)a|b)", Unsure.COMMAND, id="condition"),
        pytest.param("(*ACCEPT)", Unsure.COMMAND, id="verb"),
        pytest.param("(?{1})", Unsure.COMMAND, id="code"),
        pytest.param(r"a\K+", Unsure.COMMAND, id="a repeated start of what is found"),
        pytest.param(r"\x{zz}", Unsure.ESCAPE, id="no number"),
        pytest.param("(?u)a", Unsure.FLAG, id="a character set"),
        pytest.param("(?U)a", Unsure.COMMAND, id="a flag of PCRE2's own"),
        pytest.param("(?<=a+)d", Unsure.PCRE2, id="any width"),
        pytest.param("(?=9?)d", Unsure.ODD, id="a condition that holds anywhere"),
        pytest.param("(?!){1,}d", Unsure.ODD, id="a repeated condition"),
        pytest.param("^++a", Unsure.ODD, id="a possessive anchor"),
        pytest.param(r"[^\w\W]*", Unsure.ODD, id="a class of nothing"),
        pytest.param("[[.a.]]", Unsure.POSIX, id="collating symbol"),
        pytest.param(r"(a\1)", Unsure.REFERENCE, id="a group in the middle of it"),
        pytest.param(r"(a)*\1", Unsure.REFERENCE, id="a repeated group"),
        pytest.param(r"\pL", Unsure.UNICODE, id="property"),
        pytest.param(r"\x{100}", Unsure.PCRE2, id="a character beyond bytes"),
        pytest.param(r"\N{U+41}", Unsure.UNICODE, id="a named character"),
        pytest.param("a" * 5000, Unsure.SIZE, id="too long"),
        pytest.param("(" * 300 + ")" * 300, Unsure.PCRE2, id="too deep"),
    ],
)
def test_what_is_not_certain_is_not_understood(pattern: str, kind: Unsure) -> None:
    with pytest.raises(NotUnderstoodError) as error:
        ClientPattern(pattern.encode())
    assert error.value.kind is kind
    assert kind.value in str(error.value)


@given(common_patterns)
def test_everything_that_people_write_is_understood(pattern: str) -> None:
    ClientPattern(pattern.encode())


@given(plain_patterns)
@settings(max_examples=100)
def test_of_what_is_understood_only_odd_combinations_are_not(pattern: str) -> None:
    # A count after a flag, or after \b or \N, where Perl reads something else into the brace.
    braces = {Unsure.BRACES, Unsure.UNICODE} if re.search(r"(\)|\\[bBN])\{", pattern) else set()
    behind = {Unsure.PCRE2} if "(?<" in pattern else set()
    assert not_understood(pattern) in {None, Unsure.ODD, Unsure.SIZE} | behind | braces


@given(wild_patterns)
@settings(max_examples=100)
def test_what_is_not_understood_has_the_sign_of_its_kind(pattern: str) -> None:
    kind = not_understood(pattern)
    assert kind in {None, Unsure.SIZE} or re.search(SIGNS[kind], pattern)


@given(plain_patterns | wild_patterns, st.lists(subjects, min_size=5, max_size=20))
@settings(max_examples=250)
def test_a_pattern_matches_what_it_matches_in_perl(perl: RealPerl, pattern: str, names: list[str]) -> None:
    for encoding in ("utf-8", "iso-8859-1"):
        raw = pattern.encode(encoding)
        encoded = [name.encode(encoding) for name in names]
        judged = perl.matches(raw, encoded)
        try:
            tested = ClientPattern(raw).compiled()
        except RefusedError:
            assert judged is None
        except NotUnderstoodError:
            pass
        else:
            ours = [tested.matches(name) for name in encoded]
            assert judged is not None
            assert [our for our in ours if our is not None] == [
                their for our, their in zip(ours, judged, strict=True) if our is not None
            ]


@given(host_patterns, st.lists(hosts, min_size=5, max_size=20))
@settings(max_examples=100)
def test_a_pattern_for_hosts_matches_the_hosts_it_matches_in_perl(
    perl: RealPerl, pattern: str, names: list[str]
) -> None:
    raw, encoded = pattern.encode(), [name.encode() for name in names]
    assert perl.matches(raw, encoded) == [matches(raw, name) for name in encoded]


@pytest.mark.parametrize(
    ("pattern", "name", "other"),
    [
        pytest.param(r"^(?:(?:a|aa)+)+$", "a" * 200 + "b", "aaa", id="nested repetition"),
        pytest.param(r"^(?:(?:mail|mx|m|ail)+\d*)+$", "mail" * 40 + "!", "mailmx", id="nested branches"),
        pytest.param(r"(?=(?:a|a)*b)a", "a" * 200, "ab", id="lookahead"),
        pytest.param(r"(.*)(.*)(.*)(.*)\1\2\3\4x$", "ab" * 100 + "x", "aax", id="references"),
    ],
)
def test_a_name_that_takes_for_ever_is_undecided_and_the_pattern_stays_in_force(
    pattern: str, name: str, other: str
) -> None:
    tested = ClientPattern(pattern.encode())
    assert not tested.matches(name.encode(), name.encode())
    assert tested.undecided == 1
    assert tested.matches(other.encode(), other.encode())
    assert not tested.matches(name.encode(), name.encode())
    assert tested.undecided == 2


@pytest.mark.parametrize("pattern", [r"^(?:\w+\.)*example\.com$", r"^(?:a|b)+\.com$", r".*a.*b.*c.*d.*e$"])
def test_a_pattern_that_could_take_for_ever_but_does_not_decides(pattern: str) -> None:
    tested = ClientPattern(pattern.encode())
    name = b"mail.pool-7.a.b.c.d.e.example.com"
    tested.matches(name, name)
    assert tested.undecided == 0


def test_without_pcre2_one_line_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(file: str) -> None:
        raise OSError(file)

    monkeypatch.setattr(pcre2, "PyDLL", missing)
    pcre2.loaded.cache_clear()
    try:
        usual = ClientPattern(rb"\.example\.com$")
        assert not usual.matches(b"mx.example.net", b"mx.example.net")
        with pytest.raises(pcre2.LibraryMissingError, match="apt-get install libpcre2-8-0"):
            usual.matches(b"mx.example.com", b"mx.example.com")
        with pytest.raises(pcre2.LibraryMissingError, match="apt-get install libpcre2-8-0"):
            ClientPattern(b"(?=mx)mx")
    finally:
        pcre2.loaded.cache_clear()


def test_threads_match_at_once(perl: RealPerl) -> None:
    tested = ClientPattern(rb"^(\w+)-\1\.example")
    names = [f"{'ab'[n % 2]}{n}-{'ab'[n % 2]}{n % 7}.example".encode() for n in range(200)]
    expected = perl.matches(rb"^(\w+)-\1\.example", names)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: [tested.matches(name, name) for name in names], range(40)))
    assert found == [expected] * 40
