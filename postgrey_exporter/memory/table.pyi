def keep_large_apart() -> None:
    """Keep large pieces of memory in mappings of their own, which grow without a copy and are given back whole.

    glibc's heap would be a fifth holes where tables grow all the time; where they come and go, it is faster.
    """

def give_back_free() -> None:
    """Give the system what is free, of all threads: what one of them freed, another one can't have."""
