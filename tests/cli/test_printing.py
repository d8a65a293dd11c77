"""Names that the encoding of the output cannot hold are printed, not refused."""

from __future__ import annotations

import io
import sys

import pytest

from mmvos.cli.printing import print_any_name


@pytest.mark.parametrize(
    'encoding, text, printed',
    [
        ('ascii', 'clip \u00e9', b'clip \\xe9'),  # from a file's content
        ('ascii', 'clip \udcc3\udca9', b'clip \xc3\xa9'),  # from the command line under LC_ALL=C
        ('utf-8', 'clip \udcff', b'clip \xff'),  # a name that is no text
        ('utf-8', 'clip \ud800', b'clip \\ud800'),
        ('utf-8', 'clip \u00e9', b'clip \xc3\xa9'),
    ],
)
def test_every_name_is_printed(monkeypatch, encoding, text, printed):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding=encoding, errors='strict'))
    print_any_name()
    print(text, end='', flush=True)
    assert raw.getvalue() == printed
