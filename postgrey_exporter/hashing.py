"""Keyed hashes: numbers that stand for what is not to be kept, or would take too much room."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct
from typing import Final

KEY_SIZE: Final = 32
"""Bytes of a secret."""

_NUMBER: Final = Struct(">q")


class KeyedHash:
    """Hashes with one secret: who does not know it can neither tell what a number stands for nor make two alike."""

    __slots__ = ("_begun",)

    def __init__(self, secret: bytes) -> None:
        """Take a secret of `KEY_SIZE` bytes."""
        self._begun = blake2b(digest_size=_NUMBER.size, key=secret)

    def number(self, text: bytes) -> int:
        """Return the hash of a text, a signed number of 64 bits as SQLite keeps it.

        Of ten million texts two have the same number with a probability of one in 300,000.
        """
        hashed = self._begun.copy()
        hashed.update(text)
        number: int = _NUMBER.unpack(hashed.digest())[0]
        return number
