"""What a name must end in for a pattern to match it: all that a list has to know of most patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from postgrey_exporter.lists.perl.anchor import STARTS

if TYPE_CHECKING:
    from postgrey_exporter.lists.perl.tree import Node


class Tail(NamedTuple):
    """One way in which a matching name can end."""

    places: tuple[int | None, ...]
    """Its last bytes; ``None`` for a byte that is not fixed."""
    before: tuple[Node, ...]
    """What the pattern asks for before them."""
    conditional: bool
    """Something in or behind the places was passed over that a name must also satisfy."""

    @property
    def is_whole(self) -> bool:
        """Whether the name is these bytes and nothing before."""
        return len(self.before) == 1 and self.before[0] in STARTS

    def literal_end(self) -> bytes:
        """Return the fixed bytes at the very end, up to the first from the right that is not."""
        if None not in self.places:
            return bytes(cast("tuple[int, ...]", self.places))
        fixed = bytearray()
        for byte in reversed(self.places):
            if byte is None:
                break
            fixed.append(byte)
        fixed.reverse()
        return bytes(fixed)

    def longest_run(self) -> tuple[bytes, int]:
        """Return the longest text of fixed bytes, and how many bytes follow it."""
        best = (b"", 0)
        run = bytearray()
        for place, byte in enumerate((*self.places, None)):
            if byte is not None:
                run.append(byte)
                continue
            if len(run) > len(best[0]):
                best = (bytes(run), len(self.places) - place)
            run.clear()
        return best
