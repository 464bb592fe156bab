"""Finds the segment that each file holds after a scan, by content, and the files that hold new segments."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.sources.file.logfile import HEAD_SIZE, digest
from postgrey_exporter.sources.file.segment import Segment, Stage
from postgrey_exporter.sources.file.segment_reader import check_tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postgrey_exporter.sources.file.folder import Folder, Scan
    from postgrey_exporter.sources.file.logfile import LogFile

_FIRST_LINE_SIZE: Final = 256


class Matching(NamedTuple):
    """Which file holds what, as far as the content tells."""

    log_segment: Segment | None
    """The segment that the log itself holds, known or new."""
    new: list[LogFile]
    """Rotated files that hold no known segment."""
    is_copying: bool
    """Whether some file may be a copy in the making, so that another scan is due soon."""


def match(segments: Sequence[Segment], live: Segment | None, scan: Scan, folder: Folder, now: float) -> Matching:
    """Set the file of each segment; ``live`` is the one that the log held.

    New segments are not added yet, and nothing is counted as rotated or lost.
    """
    log = scan.log
    free = _place(segments, [*([log] if log else []), *scan.rotated], log, now)
    if live is not None and live.file is None and live.tail is None:
        free = _without_short_copy(live, free, now)
    new, is_copying = _new_files(segments, free, log, folder, now)
    log_segment = next((segment for segment in segments if segment.file is not None and segment.file is log), None)
    if log_segment is None and log is not None:
        log_segment = Segment.of(log, Stage.LIVE, now)
    return Matching(log_segment, [file for file in new if file is not log], is_copying)


def _place(segments: Sequence[Segment], files: list[LogFile], log: LogFile | None, now: float) -> list[LogFile]:
    """Set each segment's file; return the files that are left over."""
    free = {file.version: file for file in files}
    by_inode = {(file.stat.st_dev, file.stat.st_ino): file for file in files}
    for segment in segments:
        segment.file = None
        check_tail(segment)
    for segment in segments:
        if segment.tail is not None:
            about = segment.tail.stat()
            file = by_inode.get((about.st_dev, about.st_ino))
            if file is not None and file.version in free:
                segment.put(free.pop(file.version), now)
    for segment, file in _fitting(segments, list(free.values()), log):
        if segment.file is None and file.version in free:
            segment.put(free.pop(file.version), now)
    return list(free.values())


def _fitting(segments: Sequence[Segment], files: list[LogFile], log: LogFile | None) -> list[tuple[Segment, LogFile]]:
    """Return the segments and the files that may hold them, the likeliest pairs first.

    A segment is likelier in its own file than in another one, in a file that holds all that was read, and in a plain
    file than in a compressed copy of it; a segment of which more is known goes first. If it is not its own file and
    there is a choice, the file must hold what was read; without a choice, that is verified when the file is read.
    """
    by_head: defaultdict[int, defaultdict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
    for segment in segments:
        if segment.file is None:
            by_head[segment.head_size][segment.fingerprint].append(segment)
    pairs = [
        (segment, file)
        for file in files
        for size, alike in by_head.items()
        if len(file.head) >= size
        for segment in alike.get(digest(file.head[:size]), ())
        if not (segment.tail is not None and file is log) and segment.fits(file)
    ]
    same = [(segment, file) for segment, file in pairs if file.id == segment.file_id]
    found = {id(one) for pair in same for one in pair}
    others = [pair for pair in pairs if not found & {id(pair[0]), id(pair[1])}]
    choices = Counter(id(one) for pair in others for one in pair)
    others = [
        (segment, file)
        for segment, file in others
        if (choices[id(segment)] == choices[id(file)] == 1 and not segment.is_scrap) or segment.is_held_by(file)
    ]
    return [*same, *sorted(others, key=lambda pair: _unlikelihood(pair[0], pair[1], log))]


def _unlikelihood(segment: Segment, file: LogFile, log: LogFile | None) -> tuple[float, ...]:
    """Return a sort key that puts a likelier pair before a less likely one."""
    ends_before = file.plain and file.stat.st_size < segment.offset
    # If the log was just copied, the log is not the copy.
    went_elsewhere = segment.stage is Stage.LIVE and file is not log
    return (ends_before, -segment.head_size, -segment.offset, went_elsewhere, not file.plain, -file.stat.st_mtime)


def _without_short_copy(live: Segment, free: list[LogFile], now: float) -> list[LogFile]:
    """Put the segment of an emptied log into the copy that copytruncate made when the log had only a few bytes."""
    for file in free:
        if len(file.head) < live.head_size and live.head.startswith(file.head):
            live.put(file, now)
            return [other for other in free if other is not file]
    return free


def _new_files(
    segments: Sequence[Segment], free: list[LogFile], log: LogFile | None, folder: Folder, now: float
) -> tuple[list[LogFile], bool]:
    """Return the files that are no copy of another one, and whether some file may be a copy in the making."""
    by_first_line: defaultdict[bytes, list[LogFile]] = defaultdict(list)
    for segment in segments:
        if segment.file is not None:
            by_first_line[_first_line(segment.file)].append(segment.file)
    new: list[LogFile] = []
    is_copying = False
    for file in sorted(free, key=lambda file: (file is not log, not file.plain, -file.stat.st_size)):
        alike = by_first_line[_first_line(file)]
        missing = {folder.bytes_missing(original, file) for original in alike if file is not log} - {None}
        # A short file that lacks the original's end is a copy in the making, or one that was left unfinished. It may
        # also be a log of its own that begins with the same lines, if these have no time; then it will grow.
        if 0 in missing or (missing and len(file.head) == HEAD_SIZE):
            continue
        if file is not log and (missing or b"\n" not in file.head) and not file.settled(now):
            is_copying = True
        else:
            new.append(file)
            alike.append(file)
    return new, is_copying


def _first_line(file: LogFile) -> bytes:
    return file.head.partition(b"\n")[0][:_FIRST_LINE_SIZE]
