"""The state: one SQLite file with counts, the window and the reading positions."""
