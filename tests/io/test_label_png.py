"""What the values of a label image mean, whoever reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmvos.io.errors import DataError
from mmvos.io.label_png import (
    LabelImageError,
    as_labels,
    davis_palette,
    labels_of_array,
    merge_objects,
    object_ids,
    read_label_png,
    read_label_size,
    values_in,
    void_pixels,
    write_label_png,
)
from mmvos.io.notes import forget_notes

SQUARE = np.zeros((6, 8), np.uint8)
SQUARE[1:4, 2:5] = 1
WHITE_SQUARE = Image.fromarray(SQUARE * 255)


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def palette_image(values: np.ndarray, colors: list[int]) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette(colors)
    return image


@pytest.mark.parametrize(
    'image',
    [
        WHITE_SQUARE,
        WHITE_SQUARE.convert('1'),
        WHITE_SQUARE.convert('P'),  # 0 and 255 in a gray ramp
        WHITE_SQUARE.convert('RGB').convert('P'),  # 0 and 225 among the colors of the web
        WHITE_SQUARE.convert('RGB').quantize(2),  # white is 0, black is 1
        palette_image(SQUARE, [0, 0, 0, 255, 255, 255]),
        palette_image(1 - SQUARE, [255, 255, 255, 0, 0, 0]),
        Image.fromarray(SQUARE.astype(np.uint16) * 65535),
        palette_image(SQUARE, [0, 0, 0, 128, 0, 0]),  # no black and white: the index is the id
    ],
    ids=['gray', 'bit', 'ramp', 'web', 'quantized', 'black first', 'white first', '16', 'ids'],
)
def test_a_black_and_white_image_shows_object_1_in_white(tmp_path, image):
    labels = read_label_png(save(tmp_path / 'a.png', image))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, SQUARE)


def test_a_black_frame_of_a_black_and_white_video_is_background(tmp_path):
    image = palette_image(np.ones((6, 8), np.uint8), [255, 255, 255, 0, 0, 0])
    assert not read_label_png(save(tmp_path / 'a.png', image)).any()
    # Where the palette says nothing of an id, its color is black, too: that is an id.
    short = palette_image(SQUARE * 9, [0, 0, 0, 128, 0, 0] + [0] * 762)
    assert object_ids(read_label_png(save(tmp_path / 'b.png', short))) == [9]


@pytest.mark.parametrize('first', [(255, 255, 255), (10, 0, 0)])
def test_a_palette_that_does_not_begin_with_black_is_refused(tmp_path, first):
    path = save(tmp_path / 'a.png', palette_image(SQUARE, [*first, 255, 0, 0]))
    with pytest.raises(LabelImageError, match=r'a\.png .* entry 0.*black'):
        read_label_png(path)


def test_30_ids_are_ids_and_gradients_are_not(tmp_path):
    ids = np.arange(31, dtype=np.uint8).repeat(4).reshape(4, 31)
    assert object_ids(read_label_png(save(tmp_path / 'a.png', Image.fromarray(ids)))) == list(
        range(1, 31)
    )
    edge = np.array([[0, 64, 128, 191, 255]], np.uint8)
    for mode in ('L', 'P'):
        with pytest.raises(LabelImageError, match=r'b\.png is a gray image .*soft mask'):
            read_label_png(save(tmp_path / 'b.png', Image.fromarray(edge).convert(mode)))
    wide = np.linspace(0, 65535, 300).astype(np.uint16).reshape(3, 100)
    with pytest.raises(LabelImageError, match=r'c\.png is a gray image .*soft mask'):
        read_label_png(save(tmp_path / 'c.png', Image.fromarray(wide)))


def test_void_is_255_in_8_bits_and_an_object_in_16(tmp_path):
    narrow = np.array([[0, 3, 255]], np.uint8)
    write_label_png(tmp_path / 'a.png', narrow)
    read = read_label_png(tmp_path / 'a.png')
    assert values_in(read) == [0, 3, 255] and object_ids(read) == [3]
    assert void_pixels(read).tolist() == [[False, False, True]]
    assert merge_objects(read).tolist() == [[0, 1, 0]]

    wide = np.array([[0, 3, 255, 300, 65535]], np.uint16)
    write_label_png(tmp_path / 'b.png', wide)
    read = read_label_png(tmp_path / 'b.png')
    assert object_ids(read) == [3, 255, 300, 65535] and not void_pixels(read).any()
    assert merge_objects(read).tolist() == [[0, 1, 1, 1, 1]]


@pytest.mark.parametrize('largest, kind', [(254, np.uint8), (255, np.uint16), (65535, np.uint16)])
def test_what_is_written_is_read_again(tmp_path, largest, kind):
    labels = as_labels(np.array([[0, 7, largest]], np.int32))
    assert labels.dtype == kind
    write_label_png(tmp_path / 'a.png', labels)
    read = read_label_png(tmp_path / 'a.png')
    assert read.dtype == kind and object_ids(read) == [7, largest]
    with pytest.raises(LabelImageError, match='65536'):
        as_labels(np.array([[65536]], np.int32))


def test_gray_with_constant_alpha_is_gray_and_said_once(tmp_path):
    forget_notes()
    opaque = Image.merge('LA', (WHITE_SQUARE, Image.new('L', WHITE_SQUARE.size, 255)))
    with pytest.warns(UserWarning, match=r'a\.png .*alpha') as caught:
        for name in ('a.png', 'b.png'):
            read = read_label_png(save(tmp_path / name, opaque))
            np.testing.assert_array_equal(read, SQUARE)
    assert len(caught) == 1
    varying = Image.merge('LA', (WHITE_SQUARE, WHITE_SQUARE))
    with pytest.raises(LabelImageError, match=r'c\.png .*alpha'):
        read_label_png(save(tmp_path / 'c.png', varying))


def test_what_is_no_label_image(tmp_path):
    cases = {
        'color.png': (WHITE_SQUARE.convert('RGB'), 'RGB image'),
        'clear.png': (WHITE_SQUARE.convert('RGBA'), 'RGBA image'),
        'photo.jpg': (WHITE_SQUARE, 'JPEG image'),
    }
    for name, (image, fault) in cases.items():
        with pytest.raises(LabelImageError, match=f'{name} is a {fault}'):
            read_label_png(save(tmp_path / name, image))
    with pytest.raises(DataError, match=r'none\.png is missing'):
        read_label_png(tmp_path / 'none.png')
    WHITE_SQUARE.save(tmp_path / 'two.png', save_all=True, append_images=[Image.new('L', (8, 6))])
    with pytest.raises(LabelImageError, match=r'two\.png holds 2 pictures'):
        read_label_png(tmp_path / 'two.png')
    whole = save(tmp_path / 'cut.png', Image.effect_noise((99, 99), 9).convert('P')).read_bytes()
    (tmp_path / 'cut.png').write_bytes(whole[:900])
    (tmp_path / 'text.png').write_text('no image')
    for name in ('cut.png', 'text.png'):
        with pytest.raises(DataError, match=rf'{name} is not an image'):
            read_label_png(tmp_path / name)


def test_size_comes_from_the_header(tmp_path):
    assert read_label_size(save(tmp_path / 'a.png', WHITE_SQUARE)) == (6, 8)


@pytest.mark.parametrize('kind', [np.uint8, np.int64])
def test_an_array_of_0_and_255_is_object_1(kind):
    np.testing.assert_array_equal(labels_of_array(SQUARE.astype(kind) * 255, 'the mask'), SQUARE)


def test_arrays_of_ids():
    many = np.array([[0, 7, 200]], np.uint8)
    assert labels_of_array(many, 'm').tolist() == [[0, 7, 200]]
    assert labels_of_array(np.array([[0, 7, 255]], np.uint8), 'm').tolist() == [[0, 7, 0]]
    assert labels_of_array(np.array([[0, 7, 255]], np.uint16), 'm').tolist() == [[0, 7, 255]]
    with pytest.raises(LabelImageError, match=r'the mask .*soft mask'):
        labels_of_array(np.array([[0, 128, 255]], np.uint8), 'the mask')


def test_palette_is_the_one_of_davis() -> None:
    colors = np.array(davis_palette()).reshape(256, 3)
    expected = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        4: (0, 0, 128),
        8: (64, 0, 0),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    assert {index: tuple(colors[index].tolist()) for index in expected} == expected


def test_object_ids_by_area() -> None:
    labels = np.array([[0, 2, 2], [255, 255, 0]], np.uint8)
    for kind, largest in ((np.uint8, []), (np.uint16, [255])):
        wide = labels.astype(kind)
        assert object_ids(wide) == object_ids(wide, 2) == [2, *largest]
        assert object_ids(wide, 3) == []
    many = np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(32, 32)
    assert object_ids(many, 4) == list(range(1, 255))


def test_values_of_16_bits_are_counted() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (90, 70)).astype(np.uint16)
    values[:20] = 65535
    values[20:30] = 0
    counts = np.bincount(values.ravel(), minlength=65536)
    assert values_in(values) == np.flatnonzero(counts).tolist()
    assert object_ids(values, 2) == (np.flatnonzero(counts[1:] >= 2) + 1).tolist()
