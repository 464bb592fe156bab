"""Opens log files as streams of plain bytes: plain, gzip, bzip2, xz or zstd, recognised by their content."""

from __future__ import annotations

import importlib
import io
import os
import re
import stat
import sys
import zlib
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

from postgrey_exporter.errors import PostgreyExporterError

if TYPE_CHECKING:
    import bz2
    import lzma
    from collections.abc import Callable, Iterator
    from pathlib import Path

Kind = Literal["plain", "gzip", "bzip2", "xz", "zstd"]

_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_LOOK: Final = 4096
_PIECE: Final = 1 << 15
_MOST_XZ_MEMORY: Final = 96 << 20
"""Bytes that unpacking xz may take: ``xz -9`` makes archives that take 65 MiB, others may ask for 4 GiB."""
_ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd")
_CONTROLS: Final = bytes(set(range(1, 32)) - set(b"\t\n\f\r\x1b"))
_MOST_CONTROLS: Final = 0.05
"""Share of control characters, at most, in a text; random bytes have twice as many."""
_LINE: Final = 256
"""Bytes of a long line: of a shorter text the share tells nothing."""
_NUL_RUNS: Final = re.compile(rb"\0+")


class LogFileError(PostgreyExporterError):
    """A log file can't be read: it is missing, forbidden, no regular file, or damaged."""


class DamagedError(LogFileError):
    """An archive is damaged or cut short."""


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for unbuffered reading. Never blocks on a FIFO.

    Raises `LogFileError` if it is no regular file, and `OSError` as `open` does.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise LogFileError(f"{path}: is {what}; name a log file")
    return os.fdopen(descriptor, "rb", buffering=0)


def kind_of(head: bytes) -> Kind:
    """Return how a file is compressed, by its first bytes."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "plain")


def looks_binary(head: bytes) -> bool:
    """Tell whether a file's first bytes have NULs in more than one place, or many control characters.

    A single run of NULs is a hole in a log, as copytruncate and power failures leave it. What `shred` has overwritten
    is no log any more.
    """
    texts = sum(bool(piece) for piece in _NUL_RUNS.split(head))
    controls = len(head) - len(head.translate(None, delete=_CONTROLS))
    return texts > 2 or controls > _MOST_CONTROLS * max(len(head), _LINE)  # noqa: PLR2004 - the text before and after a hole


@contextmanager
def open_log(path: Path) -> Iterator[IO[bytes]]:
    """Open a log as a stream of plain bytes, whatever its compression.

    Raises `LogFileError`, also inside the ``with`` block while reading.
    """
    with reading_errors(path), open_regular(path) as raw, unpacked(raw) as stream:
        yield stream


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Raise `LogFileError` for any error while a log is opened or read, and `DamagedError` for damage."""
    try:
        yield
    except _reading_errors() as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise LogFileError(explain_os_error(path, error)) from error
        raise DamagedError(f"{path}: the archive is damaged or cut short ({error})") from error
    except ModuleNotFoundError as error:
        raise LogFileError(f"{path}: zstd archives need an extra: pip install 'postgrey-exporter[zstd]'") from error


def _reading_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of files and of the decompressors that are loaded."""
    own = (
        ("isal.igzip_lib", "IsalError"),
        ("lzma", "LZMAError"),
        *((module, "ZstdError") for module in _ZSTD_MODULES),
    )
    loaded = [getattr(sys.modules[module], name) for module, name in own if sys.modules.get(module)]
    return (OSError, EOFError, ValueError, zlib.error, *loaded)


def unpacked(raw: IO[bytes]) -> IO[bytes]:
    """Wrap a seekable file so that it reads as plain bytes from its start, whatever its compression."""
    head = raw.read(_LOOK)
    raw.seek(0)
    return decompressed(raw, kind_of(head))


def decompressed(raw: IO[bytes], kind: Kind) -> IO[bytes]:
    """Wrap an open file so that it reads as plain bytes. Loads only the library that is needed."""
    if kind == "gzip":
        return cast("IO[bytes]", _Gunzip(raw))
    if kind == "bzip2":
        import bz2  # noqa: PLC0415

        return cast("IO[bytes]", _Streams(raw, bz2.BZ2Decompressor))
    if kind == "xz":
        import lzma  # noqa: PLC0415

        return cast("IO[bytes]", _Streams(raw, partial(lzma.LZMADecompressor, memlimit=_MOST_XZ_MEMORY)))
    if kind == "zstd":
        return _zstd(raw)
    return raw


class _Unpacker(io.RawIOBase):
    """A stream of which `read1` returns at most so many bytes, and none at the end."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self.read1(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def read1(self, size: int) -> bytes:
        raise NotImplementedError


class _Streams(_Unpacker):
    """Decompresses xz or bzip2 in bounded memory. Several streams are one log, with NULs between them or behind."""

    def __init__(self, raw: IO[bytes], another: Callable[[], lzma.LZMADecompressor | bz2.BZ2Decompressor]) -> None:
        self._raw = raw
        self._another = another
        self._decoder = another()

    def read1(self, size: int) -> bytes:
        while True:
            following = b""
            if self._decoder.eof:
                following = self._decoder.unused_data.lstrip(b"\0")
                while not following and (more := self._raw.read(_PIECE)):
                    following = more.lstrip(b"\0")
                if not following:
                    return b""
                self._decoder = self._another()
            elif self._decoder.needs_input and not (following := self._raw.read(_PIECE)):
                raise EOFError("the end is missing")
            if content := self._decoder.decompress(following, size):
                return content


class _Gunzip(_Unpacker):
    """Decompresses gzip with isal; at damage, starts again with zlib.

    isal is several times faster, but does not return what comes just before the damage. zlib does.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        from isal import igzip  # noqa: PLC0415

        self._raw = raw
        self._stream = cast("IO[bytes]", igzip.IGzipFile(fileobj=raw, mode="rb"))  # type: ignore[no-untyped-call]
        self._handed_out = 0
        self._fast = raw.seekable()

    def read1(self, size: int) -> bytes:
        try:
            content = self._next(size)
        except _reading_errors():
            if not self._fast:
                raise
            self._begin_again()
            content = self._next(size)
        self._handed_out += len(content)
        return content

    def _next(self, size: int) -> bytes:
        content: bytes = self._stream.read1(size)  # type: ignore[attr-defined]
        return content

    def _begin_again(self) -> None:
        import gzip  # noqa: PLC0415

        self._fast = False
        self._raw.seek(0)
        self._stream = cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw))
        missing = self._handed_out
        while missing and (skipped := self._next(missing)):
            missing -= len(skipped)


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    first, last = _ZSTD_MODULES
    try:
        library = importlib.import_module(first)
    except ModuleNotFoundError:
        library = importlib.import_module(last)
    return cast("IO[bytes]", library.ZstdFile(raw))


def explain_os_error(path: Path, error: OSError) -> str:
    """Return one line about an error of reading a file: what is wrong, and who may read it."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file"
    if isinstance(error, PermissionError):
        return f"{path}: permission denied{_group_hint(path)}"
    return f"{path}: {error.strerror or error}"


def _group_hint(path: Path) -> str:
    """Return which group may read a file, or its folder if that is forbidden."""
    import grp  # noqa: PLC0415

    try:
        try:
            about = path.stat()
        except PermissionError:
            about = path.parent.stat()
        group = grp.getgrgid(about.st_gid).gr_name
    except OSError:
        return ""
    except KeyError:
        group = str(about.st_gid)
    if about.st_mode & stat.S_IRGRP:
        return f"; group {group!r} may read it: add the exporter's user to that group"
    return "; only its owner may read it"
