"""All parts of one log: which file holds which part after a look, what is new, what was rotated, what is gone."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postgrey_exporter.sources.file.likeness import HEAD_SIZE, digest
from postgrey_exporter.sources.file.part import DAY, Part, State

if TYPE_CHECKING:
    from postgrey_exporter.sources.file.folder import Folder, LogFile, Look

_log = logging.getLogger(__name__)

FORGET_SECONDS: Final = 7 * DAY
"""How long a part that was read stays known after its file is gone, in case it comes back under another name."""

_FIRST_LINE_SIZE: Final = 256


class Matching(NamedTuple):
    """Which file holds what, as far as can be told."""

    log_part: Part | None
    """What the log itself holds: a part that is known, or a new one."""
    new: list[LogFile]
    """Rotated files of which nothing is known."""
    on_its_way: bool
    """Whether some file may be a copy that is being made, so that another look is due soon."""


class Register:
    """The parts of one log, and what has befallen them."""

    def __init__(self, name: str) -> None:
        """Take the log's name, for messages."""
        self._name = name
        self.parts: list[Part] = []
        self.rotations = 0
        self.lost_bytes = 0
        """Bytes known to have been in a part and gone before they were read."""
        self.gaps = 0
        """Parts that were gone before their end was known to be read."""

    @property
    def live(self) -> Part | None:
        """The part that the log itself holds, or held when it was last there."""
        return next((part for part in self.parts if part.state is State.LIVE), None)

    def restore(self, saved: dict[str, Any]) -> None:
        """Go back to what `saved` returned. Files that are open stay open where they hold what is restored."""
        tails = {part.tail.stat().st_ino: part.tail for part in self.parts if part.tail is not None}
        self.parts = [Part.restored(part) for part in saved.get("parts", [])]
        self.rotations = saved.get("rotations", 0)
        self.lost_bytes = saved.get("lost_bytes", 0)
        self.gaps = saved.get("gaps", 0)
        for part in self.parts:
            tail = tails.get(part.stamp.inode)
            if tail is not None and part.adopt(tail):
                del tails[part.stamp.inode]
        for tail in tails.values():
            tail.close()

    def saved(self) -> dict[str, Any]:
        """Return what is kept over a restart, in JSON's types."""
        return {
            "rotations": self.rotations,
            "lost_bytes": self.lost_bytes,
            "gaps": self.gaps,
            "parts": [part.saved() for part in self.parts],
        }

    def match(self, look: Look, folder: Folder, now: float) -> Matching:
        """Find the file of each part, as far as can be told by content; decide nothing yet."""
        files = [*([look.log] if look.log else []), *look.rotated]
        free = self._place(files, look.log, now)
        live = self.live
        if live is not None and live.place is None and live.tail is None:
            free = _without_short_copy(live, free, now)
        new, on_its_way = self._new_files(free, look.log, folder, now)
        log_part = next((part for part in self.parts if part.place is not None and part.place is look.log), None)
        if log_part is None and look.log is not None:
            log_part = Part.of(look.log, State.LIVE, now)
        return Matching(log_part, [file for file in new if file is not look.log], on_its_way)

    def accept(self, matching: Matching, look: Look, folder: Folder, now: float, since: float) -> None:
        """Take a matching for granted: begin new parts, note rotation and loss.

        Files from before ``since`` are not read.
        """
        was_live = self.live
        for file in matching.new:
            self.parts.append(Part.of(file, State.OLD if file.stat.st_mtime < since else State.ROTATED, now))
        if matching.log_part is not None:
            if matching.log_part not in self.parts:
                self.parts.append(matching.log_part)
            matching.log_part.state = State.LIVE
        self._note_rotation(was_live, matching.log_part)
        if not matching.on_its_way:
            self._note_loss(look, folder, now)
        self.parts = [part for part in self.parts if not _forgotten(part, now)]

    def note_end(self, part: Part, state: State) -> None:
        """Note that a part was read to its end."""
        missing = part.settle(state)
        if missing:
            self.lost_bytes += missing
            _log.error("%s: %d bytes that were written to it are in no file any more", self._name, missing)

    def note_shrinking(self) -> None:
        """Note that the log lost its end, and goes on in the same file."""
        self.gaps += 1
        _log.error(
            "%s: is shorter than what was read of it, though its beginning is the same: reading goes on at its end; "
            "lines that came since then may be lost",
            self._name,
        )

    def _place(self, files: list[LogFile], log: LogFile | None, now: float) -> list[LogFile]:
        """Find each part's file; return the files that are no part's."""
        for part in self.parts:
            part.place = None
            part.check_open_file()
        free = {file.full_stamp: file for file in files}
        for part, tail in [(part, part.tail) for part in self.parts if part.tail is not None]:
            file = next((file for file in files if tail.is_open(file.stat)), None)
            if file is not None and file.full_stamp in free:
                part.put(free.pop(file.full_stamp), now)
        for part, file in self._fitting(list(free.values()), log):
            if part.place is None and file.full_stamp in free:
                part.put(free.pop(file.full_stamp), now)
        return list(free.values())

    def _fitting(self, files: list[LogFile], log: LogFile | None) -> list[tuple[Part, LogFile]]:
        """Return which part could be in which file, the likeliest first.

        That is: the same file rather than another, one that holds all that was read, a part of which more is known,
        a plain file rather than a compressed copy of it. Where it is not the same file and there is a choice, the
        file has to hold what was read; otherwise that is found out when it is read on.
        """
        heads: defaultdict[int, defaultdict[str, list[Part]]] = defaultdict(lambda: defaultdict(list))
        for part in self.parts:
            if part.place is None:
                heads[part.head_size][part.head_digest].append(part)
        pairs = [
            (part, file)
            for file in files
            for size, parts in heads.items()
            if len(file.head) >= size
            for part in parts.get(digest(file.head[:size]), ())
            if not (part.tail is not None and file is log) and part.fits(file)
        ]
        same = [pair for pair in pairs if pair[1].stamp == pair[0].stamp]
        found = {id(one) for pair in same for one in pair}
        others = [pair for pair in pairs if not found & {id(pair[0]), id(pair[1])}]
        choices = Counter(id(one) for pair in others for one in pair)
        others = [
            (part, file)
            for part, file in others
            if (choices[id(part)] == choices[id(file)] == 1 and not part.is_scrap) or part.is_held_by(file)
        ]
        return [*same, *sorted(others, key=lambda pair: _likelihood(pair, log))]

    def _new_files(
        self, free: list[LogFile], log: LogFile | None, folder: Folder, now: float
    ) -> tuple[list[LogFile], bool]:
        """Return the files that are no copy of another, and whether one may be a copy that is being made."""
        by_first_line: defaultdict[bytes, list[LogFile]] = defaultdict(list)
        for part in self.parts:
            if part.place is not None:
                by_first_line[_first_line(part.place)].append(part.place)
        new: list[LogFile] = []
        on_its_way = False
        for file in sorted(free, key=lambda file: (file is not log, not file.plain, -file.stat.st_size)):
            same_start = by_first_line[_first_line(file)]
            likeness = min((_copied(folder, other, file) for other in same_start), default=_NO_COPY)
            if file is log:
                likeness = _NO_COPY
            elif likeness == _NO_COPY and b"\n" not in file.head:
                likeness = _MAY_BE_COPY
            if likeness == _MAY_BE_COPY and not file.settled(now):
                on_its_way = True
            elif likeness != _COPY:
                new.append(file)
                same_start.append(file)
        return new, on_its_way

    def _note_rotation(self, was_live: Part | None, log_part: Part | None) -> None:
        """Let go of the part that the log held. While the log is missing none takes its place."""
        if was_live is None or was_live is log_part or (log_part is None and was_live.place is None):
            return
        was_live.state = State.ROTATED
        self.rotations += 1
        _log.info("%s was rotated", self._name)

    def _note_loss(self, look: Look, folder: Folder, now: float) -> None:
        """Look farther for what is missing, and say so where it is gone.

        A file that can't be read may hold it, unless it was written before the part was last seen.
        """
        missing = [
            part
            for part in self.parts
            if part.state is State.ROTATED
            and part.place is None
            and part.tail is None
            and look.unknown_until < part.seen - DAY
        ]
        if not missing:
            return
        taken = {part.place.full_stamp for part in self.parts if part.place is not None}
        others = [file for file in folder.neighbours() if file.full_stamp not in taken]
        for part in missing:
            for file in others:
                if len(file.head) >= part.head_size and digest(file.head[: part.head_size]) == part.head_digest:
                    same_file = file.stamp == part.stamp
                    if (same_file or part.head_size == HEAD_SIZE) and part.fits(file):
                        part.put(file, now)
                        break
            else:
                self._lose(part)

    def _lose(self, part: Part) -> None:
        known = part.unread_bytes or (0 if part.offset else part.stamp.size)
        part.state = State.LOST
        self.lost_bytes += known
        self.gaps += 1
        _log.error(
            "%s: a rotated file was deleted, or moved elsewhere, before its end was read: lost are %d bytes that are "
            "known, and whatever was written to it after that; reading goes on. Keep rotated logs for longer than "
            "the exporter may be down",
            self._name,
            known,
        )


_COPY, _MAY_BE_COPY, _NO_COPY = range(3)


def _copied(folder: Folder, original: LogFile, file: LogFile) -> int:
    """Tell whether a file is a copy of another: whole, or of its beginning.

    A beginning is a copy that is being made, or that was left unfinished. A short one can as well be a log of its own
    that happens to begin with the same lines, when they carry no time; it tells by growing.
    """
    excess = folder.excess(original, file)
    if excess is None:
        return _NO_COPY
    return _COPY if excess == 0 or len(file.head) == HEAD_SIZE else _MAY_BE_COPY


def _without_short_copy(was_live: Part, free: list[LogFile], now: float) -> list[LogFile]:
    """Put the part of a log that was emptied where copytruncate kept the little that there was when it copied."""
    for file in free:
        if len(file.head) < was_live.head_size and was_live.head.startswith(file.head):
            was_live.put(file, now)
            return [other for other in free if other is not file]
    return free


def _likelihood(pair: tuple[Part, LogFile], log: LogFile | None) -> tuple[float, ...]:
    """Return what sorts a likelier pair before a less likely one."""
    part, file = pair
    ends_before = file.plain and file.stat.st_size < part.offset
    # Where a copy was just made of the log, the log is not the copy.
    went_elsewhere = part.state is State.LIVE and file is not log
    return (ends_before, -part.head_size, -part.offset, went_elsewhere, not file.plain, -file.stat.st_mtime)


def _first_line(file: LogFile) -> bytes:
    return file.head.partition(b"\n")[0][:_FIRST_LINE_SIZE]


def _forgotten(part: Part, now: float) -> bool:
    gone = part.place is None and part.tail is None and part.state not in {State.LIVE, State.ROTATED}
    return gone and now - part.seen >= FORGET_SECONDS
