"""How a file's content is recognised: its first bytes, digests and checksums, and the comparison of two files."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

from isal.isal_zlib import crc32

from postgrey_exporter.sources.blocks import BLOCK_SIZE
from postgrey_exporter.sources.compression import LogFileError, open_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_SIZE: Final = 1024
"""Bytes at a file's start that identify its content: a few lines with their times."""


def digest(content: bytes) -> str:
    """Return a short digest of some bytes of a log. The bytes themselves hold addresses and are not kept."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def head_of(stream: IO[bytes]) -> bytes:
    """Return the first `HEAD_SIZE` bytes of a stream, or all there are.

    NULs before them are skipped: a file that copytruncate emptied begins with NULs if its writer does not append.
    Returns what comes before the damage of an archive; raises only if that is nothing.
    """
    read = getattr(stream, "read1", stream.read)
    size = HEAD_SIZE
    head = b""
    try:
        while len(head) < HEAD_SIZE and (more := read(size)):
            head = (head + more).lstrip(b"\0")
            size = HEAD_SIZE if head else BLOCK_SIZE
    except Exception:
        if not head:
            raise
    return head[:HEAD_SIZE]


def skip(stream: IO[bytes], size: int) -> tuple[int, int]:
    """Read ``size`` bytes of a stream, or all there are; return their number and their CRC-32."""
    skipped = checksum = 0
    while skipped < size and (content := stream.read(min(BLOCK_SIZE, size - skipped))):
        skipped += len(content)
        checksum = crc32(content, checksum)
    return skipped, checksum


def bytes_beyond(longer: Path, shorter: Path) -> int | None:
    """Return how many bytes a file holds beyond the content of another one, counted up to `BLOCK_SIZE`.

    Returns ``None`` if the longer file does not begin with the shorter one, or can't be read. Of a damaged shorter
    file only what comes before the damage is compared.
    """
    try:
        with open_log(longer) as long:
            for content in _blocks(shorter):
                if _read_exactly(long, len(content)) != content:
                    return None
            return len(long.read(BLOCK_SIZE))
    except LogFileError:
        return None


def _blocks(path: Path) -> Iterator[bytes]:
    with suppress(LogFileError), open_log(path) as stream:
        while content := stream.read(BLOCK_SIZE):
            yield content


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    content = b""
    while len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content
