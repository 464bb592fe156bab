"""Log files of any kind as a stream of bytes: plain, gzip, bzip2, xz or zstd, told by their content."""

from __future__ import annotations

import bz2
import importlib
import lzma
import os
import stat
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final, Literal, cast

from postgrey_exporter.errors import PostgreyExporterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_SIZE: Final = 1 << 20
"""Bytes read at a time; also the longest line that is looked at, the rest of a longer one is passed over."""

Kind = Literal["plain", "gzip", "bzip2", "xz", "zstd"]

_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_LOOK: Final = 4096


class LogFileError(PostgreyExporterError):
    """A log file can't be read: missing, forbidden, no regular file, or damaged."""


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for unbuffered reading; never blocks on a FIFO.

    Raises `LogFileError` for anything that is no regular file, and `OSError` as `open` does.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise LogFileError(f"{path}: is {what}; name a log file")
    return os.fdopen(descriptor, "rb", buffering=0)


def kind_of(head: bytes) -> Kind:
    """Tell by the first bytes how a file is compressed."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "plain")


def looks_binary(head: bytes) -> bool:
    """Tell whether the first bytes are those of a binary file.

    A run of NULs at the start is none: copytruncate leaves one when the writer does not append.
    """
    return b"\0" in head.lstrip(b"\0")


@contextmanager
def open_log(path: Path) -> Iterator[IO[bytes]]:
    """Open a log for reading as plain bytes, whatever its compression.

    Raises `LogFileError`, also while reading inside the ``with`` block, with one line that says what is wrong.
    """
    with reading_errors(path), open_regular(path) as raw, unpacked(raw) as stream:
        yield stream


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a log is opened or read into `LogFileError`."""
    try:
        yield
    except OSError as error:
        raise LogFileError(explain_os_error(path, error)) from error
    except (EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise LogFileError(f"{path}: the archive is damaged or cut short ({error})") from error


def unpacked(raw: IO[bytes]) -> IO[bytes]:
    """Wrap a seekable file so that it reads as plain bytes from its start, whatever its compression."""
    head = raw.read(_LOOK)
    raw.seek(0)
    return decompressed(raw, kind_of(head))


def decompressed(raw: IO[bytes], kind: Kind) -> IO[bytes]:
    """Wrap an open file so that it reads as plain bytes. Each library is loaded when it is needed."""
    if kind == "gzip":
        from isal import igzip  # noqa: PLC0415

        return cast("IO[bytes]", igzip.IGzipFile(fileobj=raw, mode="rb"))  # type: ignore[no-untyped-call]
    if kind == "bzip2":
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if kind == "xz":
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    if kind == "zstd":
        return _zstd(raw)
    return raw


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    for module in ("compression.zstd", "backports.zstd"):
        try:
            library = importlib.import_module(module)
        except ImportError:
            continue
        return cast("IO[bytes]", library.ZstdFile(raw))
    raise LogFileError(f"{raw.name}: zstd archives need an extra: pip install 'postgrey-exporter[zstd]'")


def whole_lines(stream: IO[bytes], size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield blocks of whole lines; the end of the stream ends the last line.

    Of a line longer than ``size`` the first ``size`` bytes are kept, so that it still counts as one.
    """
    rest = b""
    passing_over = False
    while chunk := stream.read(size):
        if passing_over:
            newline = chunk.find(b"\n")
            if newline < 0:
                continue
            chunk = chunk[newline + 1 :]
            passing_over = False
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
            if len(rest) >= size:
                yield rest[:size] + b"\n"
                rest = b""
                passing_over = True
    if rest:
        yield rest + b"\n"


def explain_os_error(path: Path, error: OSError) -> str:
    """Say in one line what hindered the reading of a file, and who may read it."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file"
    if isinstance(error, PermissionError):
        return f"{path}: permission denied{_group_hint(path)}"
    return f"{path}: {error.strerror or error}"


def _group_hint(path: Path) -> str:
    import grp  # noqa: PLC0415

    for place in (path, path.parent):
        try:
            about = place.stat()
        except OSError:
            continue
        if about.st_mode & stat.S_IRGRP:
            try:
                group = grp.getgrgid(about.st_gid).gr_name
            except KeyError:
                group = str(about.st_gid)
            return f"; group {group!r} may read it: add the exporter's user to that group"
    return "; only its owner may read it"
