"""Damaged images and decompression bombs end in one sentence, before they are decoded."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmvos.io.errors import DataError
from mmvos.io.image_checks import ImageError, check_image_bytes, open_image

SIGNATURE = b'\x89PNG\r\n\x1a\n'


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def _header(width: int, height: int) -> bytes:
    return _chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))


def _png(*middle: bytes, width: int = 4, height: int = 3) -> bytes:
    rows = zlib.compress(bytes((width + 1) * height) if width * height < 100 else b'')
    chunks = (_header(width, height), *middle, _chunk(b'IDAT', rows), _chunk(b'IEND', b''))
    return SIGNATURE + b''.join(chunks)


def _encoded(kind: str) -> bytes:
    buffer = BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def _tiff_bomb() -> bytes:
    buffer = BytesIO()
    Image.new('L', (4, 4)).save(buffer, 'TIFF')
    # The entry of ImageWidth (256) has its value, a short or a long, in the last four bytes.
    data = bytearray(buffer.getvalue())
    for tag in (256, 257):
        at = data.index(struct.pack('<HH', tag, data[data.index(struct.pack('<H', tag)) + 2]))
        data[at + 2 : at + 12] = struct.pack('<HII', 4, 1, 100_000)
    return bytes(data)


DAMAGED = {
    'empty': b'',
    'text': b'<!DOCTYPE html><html></html>',
    'bomb': _png(width=30_000, height=30_000),
    'bomb of the largest size': _png(width=2**31 - 1, height=2**31 - 1),
    'tiff bomb': _tiff_bomb(),
    'side of millions': _png(width=32, height=4_194_328),
    'no width': _png(width=0),
    'text bomb': _png(_chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(1 << 24)))),
    'truncated cHRM': _png(_chunk(b'cHRM', b'123')),
    'truncated gAMA': _png(_chunk(b'gAMA', b'1')),
    'truncated acTL': _png(_chunk(b'acTL', b'1')),
    'truncated IHDR': SIGNATURE + _chunk(b'IHDR', b'123') + _chunk(b'IEND', b''),
    'png cut off': _encoded('PNG')[:-2000],
    'jpeg cut off': _encoded('JPEG')[:-1100],
    'gif cut off': _encoded('GIF')[:40],
}


@pytest.mark.parametrize('data', DAMAGED.values(), ids=DAMAGED)
def test_damaged_images_end_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / 'frame.png'
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r'frame\.png') as caught, open_image(path) as image:
        image.load()
    assert '\n' not in str(caught.value)
    with (
        pytest.raises(ImageError, match=r'^video 1: ') as caught,
        open_image(path, data, 'video 1: x') as image,
    ):
        image.load()


@pytest.mark.parametrize('name', [name for name in DAMAGED if not name.startswith('gif')])
def test_bytes_are_checked_before_opencv_decodes_them(name: str) -> None:
    with pytest.raises(ImageError, match=r'^a\.png'):
        check_image_bytes(DAMAGED[name], 'a.png')


def test_whole_images_pass(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    for kind in ('PNG', 'JPEG', 'GIF', 'TIFF', 'WEBP', 'BMP'):
        data = _encoded(kind)
        assert check_image_bytes(data, 'a') == (60, 80)
        path.write_bytes(data)
        with open_image(path) as image:
            assert image.size == (80, 60)
            image.load()
    # Padding behind the end, which some cameras write, is no fault.
    assert check_image_bytes(_encoded('JPEG') + bytes(100), 'a') == (60, 80)


def test_missing_files_and_other_faults_keep_their_name(tmp_path: Path) -> None:
    with (
        pytest.raises(ImageError, match=r'none\.png is missing'),
        open_image(tmp_path / 'none.png'),
    ):
        pass
    (tmp_path / 'a.png').write_bytes(_encoded('PNG'))
    with pytest.raises(DataError, match=r'^own$'), open_image(tmp_path / 'a.png'):
        raise DataError('own')
