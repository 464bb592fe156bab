def keep_large_apart() -> None:
    """Have large pieces of memory in mappings of their own, which grow without a copy and are given back whole.

    For a program whose tables grow all the time: left to itself, glibc takes the heap for all below 32 MB once such a
    piece was freed, and a fifth of that becomes holes. One whose tables come and go is slower by it.
    """

def give_back_free() -> None:
    """Give the system what is free, of all threads: what one of them freed, another one can't have."""
