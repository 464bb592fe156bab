r"""Rewrites a Perl pattern so that PCRE2 reads it as Perl does, or tells why that is not certain.

postgrey builds each pattern with ``qr{$1}i`` from a line of the file (read_clients_whitelists in postgrey 1.37): the
text reaches Perl as a value, so ``$``, ``@``, ``\Q`` and ``\E`` do not interpolate. PCRE2 is written after Perl and
means the same by nearly all of it. The tests put both to the same patterns and names. What is left:

- ``\Q`` and its like are the plain letter to Perl here; PCRE2 quotes or refuses: the backslash goes.
- ``^*`` and any other quantifier of an anchor is refused by PCRE2: the anchor gets a group, ``(?:^)*``.
- ``[\w-~]``: a hyphen beside a class is itself to Perl, and a broken range to PCRE2: it is escaped.
- Two groups of one name need the flag ``(?J)``. In front of all it also takes away what PCRE2 alone reads at the very
  start, such as ``(*UTF)``.

What is left out by `Unsure` means different things to the two, or to two versions of one of them.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from postgrey_exporter.lists.pattern_errors import NotUnderstoodError, RefusedError, Unsure

PREFIX: Final = b"(?J)"

_LONGEST_PATTERN: Final = 4096
_SHORTEST_NEEDLE: Final = 3
_NAME: Final = rb"[A-Za-z_][0-9A-Za-z_]*"
_CODE: Final = rb"\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{1,2}|o\{[0-7]+\}|c[A-Za-z@\[\]^_?]|[aefnrt])"
_COUNT: Final = rb"(?:0|[1-9][0-9]{0,8})"
_TOKEN: Final = re.compile(
    rb"(?P<literal>[^\\\[(){*+?|^$.]|\\[^0-9A-Za-z])"
    rb"|(?P<quantifier>(?:[*+?]|\{" + _COUNT + rb"(?:,(?:" + _COUNT + rb")?)?\})[+?]?)"
    rb"|(?P<one>\.|\\[dDwWsShHvVR]|\\N(?!\{)|\\0[0-7]{0,2}|" + _CODE + rb")"
    rb"|(?P<anchor>[\^$]|\\[AzZG]|\\[bB](?!\{))"
    rb"|(?P<plain>\\[EFIJLMOQTUYijlmquy])"
    rb"|(?P<bar>\|)|(?P<close>\))|(?P<keep>\\K)|(?P<refused>\\C|\\\Z|\(\?[a-z]*\Z)|(?P<brackets>\[)"
    rb"|(?P<reference>\\[1-9][0-9]*|\\g(?:-?[1-9][0-9]*|\{-?[1-9][0-9]*\}|\{" + _NAME + rb"\})"
    rb"|\\k(?:<" + _NAME + rb">|'" + _NAME + rb"'|\{" + _NAME + rb"\})|\(\?P=" + _NAME + rb"\))"
    rb"|(?P<look>\(\?<?[=!])|(?P<capture>\((?![?*])|\(\?P?<" + _NAME + rb">|\(\?'" + _NAME + rb"')"
    rb"|(?P<group>\(\?(?:[:>]|\^?[imsxn]*(?:-[imsxn]*)?:))|(?P<flags>\(\?\^?[imsxn]*(?:-[imsxn]*)?\))",
    re.DOTALL,
)
_FLAG: Final = re.compile(rb"\(\?[a-z^-]")
_POSIX: Final = rb"\[:\^?[a-z]+:\]"
_ITEM: Final = re.compile(
    rb"(?P<set>" + _POSIX + rb"|\\[dDwWsShHvV])"
    rb"|(?P<byte>" + _CODE + rb"|\\[0-7]{1,3}|\\b|\\[^0-9A-Za-z]|\[(?![:.=])|[^\\\[])"
    rb"|(?P<plain>\\[ABEFGIJKLMOQRTUXYZijlmquyz89])",
    re.DOTALL,
)


class Rewritten(NamedTuple):
    """A pattern for PCRE2, and what its text tells."""

    text: bytes
    plain_letters: tuple[str, ...]
    """Escapes that Perl reads as the plain letter, with a warning of its own."""
    needles: tuple[tuple[bytes, ...], ...]
    """Lower-case texts by branch: a matching name holds all of one branch. Empty where that is not known."""
    negated: tuple[bytes, ...]
    """The classes that begin with ``[^``: Perl dies of one that no byte is in."""


def rewrite(pattern: bytes) -> Rewritten:
    """Return for PCRE2 what stands between a whitelist's slashes. Raises `NotUnderstoodError`."""
    if len(pattern) > _LONGEST_PATTERN:
        raise NotUnderstoodError(Unsure.SIZE, _place(pattern, 0))
    return _Rewriter(pattern).read()


class _Part:
    """A part of a pattern that can be repeated: one place, or a group."""

    def __init__(self, kind: str, *, takes: bool = False) -> None:
        self.kind = kind
        self.captures = kind == "capture"
        self.takes = takes
        """Whether it surely takes a byte: of a group, the branch that is being read."""
        self.every_branch_takes = True

    def end_branch(self) -> None:
        self.every_branch_takes = self.every_branch_takes and self.takes
        self.takes = False


class _Rewriter:
    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._at = 0
        self._out = [PREFIX]
        self._groups = [_Part("")]
        self._last: _Part | None = None
        """What a quantifier that comes next would repeat; it is no part of its group before that is known."""
        self._captures = 0
        self._has_reference = False
        self._repeats_capture = False
        self._plain_letters: list[str] = []
        self._negated: list[bytes] = []
        self._run = bytearray()
        self._needles: list[list[bytes]] = [[]]

    def read(self) -> Rewritten:
        while self._at < len(self._pattern):
            start = self._at
            found = _TOKEN.match(self._pattern, start)
            if not found or not found.lastgroup:
                raise self._unsure(self._kind_at(start), start)
            self._at = found.end()
            kind, token = found.lastgroup, found[0]
            is_octal = token[1:].isdigit() and int(token[1:]) > max(9, self._captures)
            self._take("one" if kind == "reference" and is_octal else kind, token, start)
        self._end_run()
        if self._has_reference and self._repeats_capture:
            # What a group holds that matched in an earlier round only, Perl and PCRE2 don't agree on.
            raise self._unsure(Unsure.REFERENCE, 0)
        needles = tuple(map(tuple, self._needles)) if all(self._needles) else ()
        plain_letters = tuple(dict.fromkeys(self._plain_letters))
        return Rewritten(b"".join(self._out), plain_letters, needles, tuple(self._negated))

    def _take(self, kind: str, token: bytes, start: int) -> None:
        if kind in {"literal", "plain"}:
            self._literal(kind, token)
            return
        if kind == "quantifier":
            del self._run[-1:]
        self._end_run()
        match kind:
            case "quantifier":
                self._quantifier(token, start)
            case "look" | "capture" | "group" | "flags":
                self._open(kind, token, start)
            case "bar":
                self._bar(token)
            case "close" if len(self._groups) > 1:
                self._close(token, start)
            case "brackets":
                brackets = self._brackets(start)
                self._negated += [brackets] * brackets.startswith(b"[^")
                self._put(kind, brackets, takes=True)
            case "keep" if any(group.kind == "look" for group in self._groups):
                raise RefusedError(f"{_place(self._pattern, start)}: not here")
            case "reference" if any(group.kind == "capture" for group in self._groups):
                raise self._unsure(Unsure.REFERENCE, start)
            case _:
                self._has_reference = self._has_reference or kind == "reference"
                self._put(kind, token, takes=kind == "one")

    def _literal(self, kind: str, token: bytes) -> None:
        if kind == "plain":
            self._plain_letters.append(token.decode("ascii"))
            token = token[1:]
        self._put(kind, token, takes=True)
        if len(self._groups) == 1:
            self._run += token[-1:].lower()

    def _put(self, kind: str, text: bytes, *, takes: bool) -> None:
        self._out.append(text)
        self._settle()
        self._last = _Part(kind, takes=takes)

    def _settle(self) -> None:
        """Make the last part one of its group."""
        if self._last is not None:
            group = self._groups[-1]
            group.takes = group.takes or self._last.takes
            group.captures = group.captures or self._last.captures
            self._last = None

    def _quantifier(self, token: bytes, start: int) -> None:
        last = self._last
        if last is None and token.startswith(b"{"):
            raise self._unsure(Unsure.BRACES, start)
        if last is not None and last.kind != "quantifier":
            if last.kind == "keep":
                raise self._unsure(Unsure.COMMAND, start)
            if last.kind == "look" or (token[1:].endswith(b"+") and not last.takes):
                raise self._unsure(Unsure.ODD, start)
            if last.kind == "anchor":
                self._out[-1] = b"(?:" + self._out[-1] + b")"
            last.kind = "quantifier"
            last.takes = last.takes and not token.startswith((b"*", b"?", b"{0"))
            self._repeats_capture = self._repeats_capture or last.captures
        self._out.append(token)

    def _bar(self, token: bytes) -> None:
        self._out.append(token)
        self._settle()
        self._groups[-1].end_branch()
        if len(self._groups) == 1:
            self._needles.append([])

    def _close(self, token: bytes, start: int) -> None:
        self._out.append(token)
        self._settle()
        group = self._groups.pop()
        group.end_branch()
        if group.kind == "look" and not group.every_branch_takes:
            raise self._unsure(Unsure.ODD, start)
        group.takes = group.every_branch_takes and group.kind != "look"
        self._last = group

    def _open(self, kind: str, token: bytes, start: int) -> None:
        if kind in {"group", "flags"} and b"x" in token.partition(b"-")[0] and b"\x85" in self._pattern:
            # Perl takes it for a blank.
            raise self._unsure(Unsure.FLAG, start)
        self._out.append(token)
        self._settle()
        self._captures += kind == "capture"
        if kind != "flags":
            self._groups.append(_Part(kind))

    def _end_run(self) -> None:
        if len(self._run) >= _SHORTEST_NEEDLE:
            self._needles[-1].append(bytes(self._run))
        self._run.clear()

    def _brackets(self, start: int) -> bytes:
        """Return a bracketed class whose ``[`` has been taken, with the hyphens beside a set of bytes escaped."""
        out = [b"["]
        if self._pattern.startswith(b"^", self._at):
            out.append(b"^")
            self._at += 1
        first = True
        while first or not self._pattern.startswith(b"]", self._at):
            first = False
            is_set = self._item(out, start)
            while self._hyphen_follows():
                self._at += 1
                out.append(b"\\-")
                if is_set:
                    break
                hyphen = len(out) - 1
                is_set = self._item(out, start)
                if not is_set:
                    out[hyphen] = b"-"
                    break
        self._at += 1
        return b"".join(out) + b"]"

    def _hyphen_follows(self) -> bool:
        following = self._pattern[self._at : self._at + 2]
        return following[:1] == b"-" and following not in {b"-", b"-]"}

    def _item(self, out: list[bytes], start: int) -> bool:
        """Take a member of a bracketed class; tell whether it is a set, which begins and ends no range."""
        found = _ITEM.match(self._pattern, self._at)
        if not found:
            if self._pattern[self._at :] in {b"", b"\\"}:
                raise RefusedError(f"{_place(self._pattern, start)}: the [ is not closed")
            raise self._unsure(self._kind_at(self._at, in_brackets=True), self._at)
        item = found[0]
        self._at = found.end()
        if found.lastgroup == "plain":
            self._plain_letters.append(item.decode("ascii"))
            item = item[1:]
        out.append(b"\\" + item if item in {b"[", b"-", b"]", b"^"} else item)
        return found.lastgroup == "set"

    def _kind_at(self, at: int, *, in_brackets: bool = False) -> Unsure:
        rest = self._pattern[at : at + 3]
        if rest.startswith((b"\\p", b"\\P", b"\\N", b"\\X", b"\\b", b"\\B")):
            return Unsure.UNICODE
        if rest.startswith(b"\\"):
            return Unsure.ESCAPE
        if in_brackets:
            return Unsure.POSIX
        if rest.startswith(b"{"):
            return Unsure.BRACES
        return Unsure.FLAG if _FLAG.match(rest) else Unsure.COMMAND

    def _unsure(self, kind: Unsure, start: int) -> NotUnderstoodError:
        return NotUnderstoodError(kind, _place(self._pattern, start))


def _place(pattern: bytes, start: int) -> str:
    """Return a short quotation from a place on, for a message."""
    return pattern[start : start + 12].decode("latin-1")
