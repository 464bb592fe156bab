"""Perl itself as the judge of what a pattern matches, built as postgrey builds it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final, Self

from support import parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

# A pattern and its subjects come in hexadecimal on one line; R is refused, D died while matching, M has a digit each.
_PROGRAM: Final = r"""
    use strict; $| = 1; $SIG{__WARN__} = sub {};
    while (<STDIN>) {
        chomp; my ($line, @subjects) = map { pack "H*", $_ } split / /, $_, -1;
        $line =~ /^\/(\S+)\/$/ or die;
        my $pattern = eval { qr{$1}i };
        if (!$pattern) { print "R\n"; next }
        print eval { "M" . join "", map { $_ =~ $pattern ? 1 : 0 } @subjects } // "D", "\n";
    }
"""


class RealPerl:
    """One Perl process that is asked about one pattern after another."""

    def __enter__(self) -> Self:
        program = parts.require("perl")
        self._process = subprocess.Popen(
            [program, "-T", "-w", "-e", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def matches(self, pattern: bytes, subjects: Sequence[bytes]) -> list[bool] | None:
        """Tell for each subject whether it matches; ``None`` when Perl refuses the pattern, or dies of it."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        question = " ".join(part.hex() for part in (b"/" + pattern + b"/", *subjects))
        process.stdin.write(f"{question}\n".encode())
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        assert answer, "perl ended"
        return [digit == ord("1") for digit in answer[1:]] if answer.startswith(b"M") else None
