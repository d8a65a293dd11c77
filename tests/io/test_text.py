"""Text as editors and spreadsheets save it: byte order marks, UTF-16, line ends, other
encodings.
"""

from __future__ import annotations

import codecs
import os
import tracemalloc
from pathlib import Path
from threading import Thread

import pytest

from mmvos.io.errors import DataError
from mmvos.io.text import decode_text, parse_size, read_bytes, read_list, read_text


@pytest.mark.parametrize(
    'data',
    [
        'Bär\nkuh\n'.encode(),
        codecs.BOM_UTF8 + 'Bär\r\nkuh\r\n'.encode(),
        codecs.BOM_UTF16_LE + 'Bär\r\nkuh\n'.encode('utf-16-le'),
        codecs.BOM_UTF16_BE + 'Bär\rkuh\r'.encode('utf-16-be'),
        codecs.BOM_UTF32_LE + 'Bär\nkuh\n'.encode('utf-32-le'),
    ],
    ids=['plain', 'utf-8 mark', 'utf-16 little', 'utf-16 big', 'utf-32'],
)
def test_byte_order_marks_and_line_ends(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / 'a.txt'
    path.write_bytes(data)
    assert read_text(path) == 'Bär\nkuh\n'
    assert read_list(path) == ['Bär', 'kuh']


def test_a_list_leaves_out_empty_lines_and_keeps_spaces_within_names(tmp_path: Path) -> None:
    path = tmp_path / 'val.txt'
    path.write_bytes(b'\n dog \n\t\nbig cat\n')
    assert read_list(path) == ['dog', 'big cat']


def test_bytes_that_are_no_text_are_named_with_their_line() -> None:
    with pytest.raises(DataError, match=r'a\.txt, line 3: the byte 0xe4'):
        decode_text(b'one\ntwo\nB\xe4r\n', 'a.txt')
    with pytest.raises(DataError, match=r'a\.txt, line 1: .*UTF-16'):
        decode_text(codecs.BOM_UTF16_LE + b'a\x00\x00\xd8', 'a.txt')


def test_files_that_cannot_be_read_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'gone\.txt cannot be read'):
        read_text(tmp_path / 'gone.txt')
    with pytest.raises(DataError, match=r'cannot be read'):
        read_text(tmp_path)
    with pytest.raises(DataError, match=r'a\\x00b.*cannot be read'):
        read_text('a\0b')


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.txt'
    path.write_bytes(b'x' * 2048)
    assert len(read_bytes(path, max_bytes=2048)) == 2048
    path.write_bytes(b'x' * 2049)
    with pytest.raises(DataError, match=r'a\.txt is larger than 2 KiB'):
        read_bytes(path, max_bytes=2048)


def test_a_small_file_needs_little_memory(tmp_path: Path) -> None:
    # Python takes memory for as many bytes as are asked for; under a limit of a container or of
    # ulimit -v a file of a few bytes was "larger than the free memory".
    path = tmp_path / 'a.json'
    path.write_bytes(b'[1, 2]')
    tracemalloc.start()
    assert read_bytes(path) == b'[1, 2]'
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_pipe_is_read_to_its_end_and_not_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    for content, limit in ((b'ab' * 200_000, 1 << 20), (b'ab', 1)):
        writer = Thread(target=path.write_bytes, args=(content,))
        writer.start()
        if limit < len(content):
            with pytest.raises(DataError, match='pipe is larger than'):
                read_bytes(path, limit)
        else:
            assert read_bytes(path, limit) == content
        writer.join()


def test_size_of_a_picture():
    assert parse_size('640x360') == (640, 360)
    assert parse_size('32X32') == (32, 32)
    with pytest.raises(DataError, match='31x360 is too small'):
        parse_size('31x360')
    for wrong in ('640', '640x', 'axb', '640x360x3', '-640x360', '99999999999x64'):
        with pytest.raises(DataError, match='no WIDTHxHEIGHT'):
            parse_size(wrong)
