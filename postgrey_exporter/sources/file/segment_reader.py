"""Reads a segment's file from the segment's offset on: a plain file through its tail, an archive as a stream."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from postgrey_exporter.sources.blocks import LineReader
from postgrey_exporter.sources.compression import reading_errors
from postgrey_exporter.sources.file.logfile import HEAD_SIZE, MovedError, digest, skip
from postgrey_exporter.sources.file.tail import LogTail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgrey_exporter.sources.file.logfile import LogFile
    from postgrey_exporter.sources.file.segment import Segment


def open_tail(segment: Segment, file: LogFile, block_size: int) -> bool:
    """Open the plain file of a segment. Returns whether it still has all that was read of it.

    Raises `MovedError`, `LogFileError`.
    """
    try:
        tail = LogTail(file.path, file.head, block_size)
    except OSError as error:
        raise MovedError(str(error)) from error
    with reading_errors(file.path):
        try:
            if tail.stat().st_ino != file.stat.st_ino:
                raise MovedError(f"{file.path}: was moved")
            complete = _go_to_offset(segment, tail, file)
        except BaseException:
            tail.close()
            raise
    segment.tail = tail
    segment.file_id = file.id
    return complete


def adopt(segment: Segment, tail: LogTail) -> bool:
    """Continue a segment in a file that is open already. Returns whether the file holds what was read."""
    if tail.stat().st_size < segment.offset or digest(tail.head()[: segment.head_size]) != segment.fingerprint:
        return False
    if not segment.before_digest and tail.checksum_up_to(segment.offset) != segment.checksum:
        return False
    tail.go_to(segment.offset, segment.checksum)
    if segment.before_digest and digest(tail.before) != segment.before_digest:
        return False
    segment.tail = tail
    return True


def check_tail(segment: Segment) -> bool:
    """Close a segment's open file if it lost what was read; otherwise update the head if it has grown.

    Returns whether a file is open.
    """
    if segment.tail is not None and not _update_head(segment, segment.tail):
        segment.close()
    return segment.tail is not None


def follow(segment: Segment, tail: LogTail) -> Iterator[bytes]:
    """Yield the whole lines of an open file beyond the offset. Raises `OSError`."""
    there = tail.stat().st_size
    for block in tail:
        _advance(segment, tail)
        yield block
    if check_tail(segment):
        segment.size = max(segment.size, there)


def finish(segment: Segment, tail: LogTail) -> Iterator[bytes]:
    """Yield the last line if it has no end, as one that will get none. Raises `OSError`."""
    line = tail.fragment()
    if tail.offset > segment.offset:
        _advance(segment, tail)
        segment.unfinished = True
    if line:
        yield line


def unpack(segment: Segment, file: LogFile, block_size: int) -> Iterator[bytes]:
    """Yield the whole lines of an archive beyond the offset.

    Raises `MovedError`, `LogFileError`; `DamagedError` after what comes before the damage.
    """
    with file.content() as stream:
        skipped, checksum = skip(stream, segment.offset)
        if skipped < segment.offset:
            segment.shorten(file, skipped, checksum)
        elif checksum != segment.checksum:
            raise _mismatch(segment, file)
        segment.set_head(file.head)
        segment.file_id = file.id
        segment.before_digest = ""
        reader = LineReader(stream, checksum, block_size)
        for block in reader:
            segment.offset, segment.checksum = skipped + reader.consumed, reader.checksum
            segment.unfinished = reader.unfinished
            yield block


def _go_to_offset(segment: Segment, tail: LogTail, file: LogFile) -> bool:
    """Set an open file to the segment's offset. Returns whether it still has all that was read."""
    size = tail.stat().st_size
    complete = size >= segment.offset
    if not tail.head().startswith(file.head):
        raise MovedError(f"{file.path}: was written anew")
    if not complete:
        segment.shorten(file, size, tail.checksum_up_to(size))
    elif not segment.verified and tail.checksum_up_to(segment.offset) != segment.checksum:
        raise _mismatch(segment, file)
    tail.go_to(segment.offset, segment.checksum)
    if segment.before_digest and digest(tail.before) != segment.before_digest:
        raise MovedError(f"{file.path}: was written anew")
    return complete


def _mismatch(segment: Segment, file: LogFile) -> MovedError:
    segment.held[file.version] = False
    return MovedError(f"{file.path}: begins like another file")


def _advance(segment: Segment, tail: LogTail) -> None:
    segment.offset, segment.checksum = tail.offset, tail.checksum
    segment.size = max(segment.size, segment.offset)
    segment.unfinished = False
    if segment.head_size < min(HEAD_SIZE, segment.offset):
        _update_head(segment, tail)


def _update_head(segment: Segment, tail: LogTail) -> bool:
    """Read the head again while it grows. Returns whether the file still has what was read."""
    head = None
    with suppress(OSError):
        head = tail.head() if segment.head_size < HEAD_SIZE else None
    if not tail.intact():
        return False
    if head is not None:
        segment.set_head(head)
    return True
