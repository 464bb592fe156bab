"""The systemd journal."""
