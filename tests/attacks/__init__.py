"""What strangers can send and write, against real processes: a module a kind.

In every run at a small size, by ``make attack`` at full length.
"""
