"""Printing names of files that the terminal's encoding cannot hold.

Under an ASCII locale (LC_ALL=C), and for names whose bytes are no UTF-8 text, print raises a
UnicodeEncodeError. Here the bytes of a name are printed as they are, other characters as escapes.
"""

from __future__ import annotations

import codecs
import io
import sys

_HANDLER = 'mmvos.bytes_or_escapes'


def print_any_name() -> None:
    """Let standard output and standard error take every text."""
    codecs.register_error(_HANDLER, _encode)
    for stream in (sys.stdout, sys.stderr):
        # Tests and notebooks put other objects there, which take every text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _encode(error: UnicodeError) -> tuple[bytes, int]:
    """What is written in place of characters that cannot be encoded, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    written = b''
    for character in error.object[error.start : error.end]:
        # Python keeps a byte that is no text as a character from U+DC80 to U+DCFF.
        byte = ord(character) - 0xDC00
        if 0x80 <= byte <= 0xFF:
            written += bytes([byte])
        else:
            written += character.encode('ascii', 'backslashreplace')
    return written, error.end
