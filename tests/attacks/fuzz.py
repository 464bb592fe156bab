"""Lines that were tampered with, by the quick way and by the long way: ``python -m attacks.fuzz SECONDS``.

Both have to tell the same of every block of lines, and neither may raise. Prints how many lines were tried.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from typing import Final

from support.agreement import assert_agree, reference_of
from support.oddlines import CLIENTS, HEADERS, HOSTS, STAMPS, TAGS, TRAILERS, VERDICTS, usual_line
from support.tallies import SECRET, tally_of

from postgrey_exporter.lists import Lists
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sample import week

SEEN: Final = 1_719_792_000.0
_LINES: Final = 25
_WORDS: Final = (
    *(piece.encode("utf-8", "surrogateescape") for piece in (*STAMPS, *HOSTS, *TAGS)),
    *(
        text.encode("utf-8", "surrogateescape")
        for text in (*VERDICTS.values(), *CLIENTS.values(), *TRAILERS.values())
    ),
    *(
        b"\0",
        b"\n",
        b"\r",
        b" ",
        b",",
        b"=",
        b"[",
        b"]",
        b"message repeated 2147483647 times: [ ",
        b"9" * 20,
        b"\xff",
    ),
    *(b"x" * 600, b"y" * 3000, b"." * 300, b"," * 20_000),
)


class Fuzz:
    """Made-up blocks of lines, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._real = [line.encode() for line in week(SEEN)]
        self._usual = [
            usual_line(header, verdict, client, trailer)
            for header in HEADERS
            for verdict in VERDICTS
            for client in CLIENTS
            for trailer in TRAILERS
        ]

    def block(self) -> bytes:
        return b"".join(self._line() for _ in range(_LINES))

    def _line(self) -> bytes:
        choose = self._random
        line = bytearray(choose.choice(choose.choice((self._real, self._usual))).rstrip(b"\n"))
        for _ in range(choose.choice((0, 1, 1, 2, 3, 8))):
            at = choose.randrange(len(line) + 1)
            until = min(len(line), at + choose.choice((0, 1, 1, 3, 20)))
            kind = choose.randrange(4)
            if kind == 0:
                line[at:until] = b""
            elif kind == 1:
                line[at:until] = choose.randbytes(until - at + 1)
            elif kind == 2:
                line[at:until] = choose.choice(_WORDS)
            elif until > at:
                line[at] ^= 1 << choose.randrange(8)
        return bytes(line) + b"\n"


def check(block: bytes, cut: int = 0) -> None:
    """Compare what both ways tell of some lines. Raises `AssertionError` with the block.

    The quick way gets the lines before ``cut``, and then the rest with what those have left.
    """
    parser = Parser(secret=SECRET)
    tally = tally_of()
    before = parser.read(block[:cut], SEEN, SEEN)
    tally.add(before)
    carry = before.carry
    tally.add(parser.read(block[cut:], SEEN, SEEN, lambda: carry))
    parsed = parser.parse(block, SEEN, SEEN)
    assert +Counter(tally.lines) == parsed.lines, block
    assert tally.future == parsed.future, block
    try:
        assert_agree(tally, reference_of(tally, parsed.decisions), Lists(), SEEN)
    except BaseException as error:
        raise AssertionError(block) from error


def main(seconds: float, seed: int) -> None:
    fuzz = Fuzz(seed)
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end:
        block = fuzz.block()
        check(block, block.index(b"\n", len(block) // 3) + 1)
        tried += _LINES
    print(tried)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32))
