"""Reads postgrey's entries in the systemd journal."""
