"""What keeps a list from being changed."""

from __future__ import annotations

from postgrey_exporter.errors import PostgreyExporterError


class ListEditError(PostgreyExporterError):
    """A list file can't be changed; it is as it was."""


class ListPermissionError(ListEditError):
    """It can't be changed by this user."""


class ListChangedError(ListEditError):
    """Someone else changed it meanwhile; it is as they left it."""
