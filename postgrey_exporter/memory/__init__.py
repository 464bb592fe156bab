"""Compiled containers and calls of the C library: what parsing and counting keep their records in."""
