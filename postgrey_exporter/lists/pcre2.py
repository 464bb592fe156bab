"""Matches patterns by the system's PCRE2 (libpcre2-8), by ctypes, under limits that no pattern and no name can pass.

The library is loaded when the first pattern is compiled. JIT is not used: it needs memory that is both writable and
executable, which the service's unit forbids.
"""

from __future__ import annotations

from ctypes import PyDLL, byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p, create_string_buffer
from functools import cache
from typing import Final, NamedTuple

from postgrey_exporter.errors import PostgreyExporterError

MOST_STEPS: Final = 500_000
"""Steps of backtracking for one name, all places where a match may begin together: some ten milliseconds."""

_FILES: Final = ("libpcre2-8.so.0", "libpcre2-8.so", "libpcre2-8.0.dylib", "libpcre2-8.dylib")
"""What Linux, the BSDs and macOS call it; `ctypes.util.find_library` would start a compiler or ldconfig."""
_MOST_HEAP: Final = 4096
"""KiB that one match may take."""
_DEEPEST: Final = 50_000

# Constants of pcre2.h.
_CASELESS: Final = 0x00000008
_NO_AUTO_POSSESS: Final = 0x00004000
_NEVER_BACKSLASH_C: Final = 0x00100000
_ANCHORED: Final = 0x80000000
_NEWLINE_LF: Final = 2
_BSR_UNICODE: Final = 1
_INFO_ALLOPTIONS: Final = 0
_INFO_FIRSTCODETYPE: Final = 5
_STARTS_A_LINE: Final = 2
_NO_MATCH: Final = -1
_LONGEST_MESSAGE: Final = 200


class LibraryMissingError(PostgreyExporterError):
    """The library is not installed."""


class CompileError(ValueError):
    """PCRE2 refuses a pattern; the message is its own."""

    def __init__(self, message: str, code: int, offset: int) -> None:
        """Take the number of the error, and how many bytes of the pattern were read."""
        super().__init__(message)
        self.code = code
        self.offset = offset


class Regex:
    """A compiled pattern of bytes: case-insensitive, unanchored, without Unicode."""

    __slots__ = ("_code", "_has_one_start")

    def __init__(self, pattern: bytes) -> None:
        """Compile a pattern. Raises `CompileError`, `LibraryMissingError`."""
        self._code: int | None = None
        library, compile_context, _, _ = loaded()
        code, offset = c_int(), c_size_t()
        # Without the second, PCRE2 10.42 finds no ``a?(?:b)?+^`` in ``ac``.
        options = _CASELESS | _NO_AUTO_POSSESS | _NEVER_BACKSLASH_C
        self._code = library.pcre2_compile_8(
            pattern, len(pattern), options, byref(code), byref(offset), compile_context
        )
        if self._code is None:
            text = create_string_buffer(_LONGEST_MESSAGE)
            library.pcre2_get_error_message_8(code, text, _LONGEST_MESSAGE)
            raise CompileError(text.value.decode("ascii", "replace"), code.value, offset.value)
        self._has_one_start = bool(self._info(_INFO_ALLOPTIONS) & _ANCHORED) or (
            self._info(_INFO_FIRSTCODETYPE) == _STARTS_A_LINE
        )

    def matches(self, name: bytes) -> bool | None:
        """Tell whether a name without line ends matches; ``None`` where a limit was reached before that is known."""
        library, _, match_context, match_data = loaded()
        size = len(name)
        # PCRE2 counts anew from each place where a match may begin.
        library.pcre2_set_match_limit_8(
            match_context, MOST_STEPS if self._has_one_start else MOST_STEPS // (size + 1)
        )
        found: int = library.pcre2_match_8(self._code, name, size, 0, 0, match_data, match_context)
        return None if found < _NO_MATCH else found != _NO_MATCH

    def __del__(self) -> None:
        """Give the memory back."""
        if self._code is not None:
            loaded().library.pcre2_code_free_8(self._code)

    def _info(self, what: int) -> int:
        value = c_uint32()
        loaded().library.pcre2_pattern_info_8(self._code, what, byref(value))
        return value.value


class _Loaded(NamedTuple):
    """The library, and what all its calls share."""

    library: PyDLL
    compile_context: int
    match_context: int
    match_data: int


_FUNCTIONS: Final = {
    "pcre2_compile_8": (c_void_p, (c_char_p, c_size_t, c_uint32, c_void_p, c_void_p, c_void_p)),
    "pcre2_code_free_8": (None, (c_void_p,)),
    "pcre2_get_error_message_8": (c_int, (c_int, c_char_p, c_size_t)),
    "pcre2_pattern_info_8": (c_int, (c_void_p, c_uint32, c_void_p)),
    "pcre2_compile_context_create_8": (c_void_p, (c_void_p,)),
    "pcre2_set_newline_8": (c_int, (c_void_p, c_uint32)),
    "pcre2_set_bsr_8": (c_int, (c_void_p, c_uint32)),
    "pcre2_match_context_create_8": (c_void_p, (c_void_p,)),
    "pcre2_set_match_limit_8": (c_int, (c_void_p, c_uint32)),
    "pcre2_set_depth_limit_8": (c_int, (c_void_p, c_uint32)),
    "pcre2_set_heap_limit_8": (c_int, (c_void_p, c_uint32)),
    "pcre2_match_data_create_8": (c_void_p, (c_uint32, c_void_p)),
    "pcre2_match_8": (c_int, (c_void_p, c_char_p, c_size_t, c_size_t, c_uint32, c_void_p, c_void_p)),
}


@cache
def loaded() -> _Loaded:
    """Return the library; it is loaded once. Raises `LibraryMissingError`."""
    library = _library()
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    compiling = library.pcre2_compile_context_create_8(None)
    # As in Perl, whatever the library was built with.
    library.pcre2_set_newline_8(compiling, _NEWLINE_LF)
    library.pcre2_set_bsr_8(compiling, _BSR_UNICODE)
    matching = library.pcre2_match_context_create_8(None)
    library.pcre2_set_depth_limit_8(matching, _DEEPEST)
    library.pcre2_set_heap_limit_8(matching, _MOST_HEAP)
    return _Loaded(library, compiling, matching, library.pcre2_match_data_create_8(1, None))


def _library() -> PyDLL:
    # A PyDLL keeps the interpreter's lock during a call. Matches are short, and a thread that gave the lock up for
    # each would wait for it as often. And so no two matches use the match data at a time.
    for file in _FILES:
        try:
            return PyDLL(file)
        except OSError:
            continue
    raise LibraryMissingError("PCRE2, which reads the whitelist's patterns, is missing: apt-get install libpcre2-8-0")
