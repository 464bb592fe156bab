KEY_SIZE: int
"""Bytes of a secret."""

class KeyedHash:
    """Hashes with one secret: who does not know it can neither tell what a number stands for nor make two alike.

    It never changes, so any threads may share it.
    """

    def __init__(self, secret: bytes) -> None:
        """Take a secret of `KEY_SIZE` bytes; raises `ValueError` for another size."""

    def number(self, text: bytes) -> int:
        """Return the hash of a text, a signed number of 64 bits as SQLite keeps it.

        Of ten million texts two have the same number with a probability of one in 300,000.
        """
