"""A log file and its rotated files, read exactly once."""
