"""Label images: pixel value = id, DAVIS colors, 16 bits where 255 is not enough."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from mmvos.apis.label_png import LabelPngs
from mmvos.io.label_png import object_ids, read_label_png
from mmvos.structures import FrameResult, TrackedObject, rle


def _result(*ids: int) -> FrameResult:
    """Object k is column k of a 4x8 frame."""
    objects = []
    for column, object_id in enumerate(ids):
        mask = np.zeros((4, 8), bool)
        mask[:, column] = True
        objects.append(
            TrackedObject(object_id, 0, 0.5, (column, 0.0, column + 1.0, 4.0), rle.encode(mask))
        )
    return FrameResult(0, (4, 8), tuple(objects))


def _write(folder, name, result) -> Image.Image:
    with LabelPngs(folder) as writer:
        writer.write(name, np.zeros((4, 8, 3), np.uint8), result)
    return Image.open(folder / f'{name}.png')


def test_pixels_are_ids_in_davis_colors(tmp_path):
    image = _write(tmp_path / 'masks', 'frame_7', _result(1, 2, 254))
    assert image.mode == 'P'
    assert np.asarray(image)[0].tolist() == [1, 2, 254, 0, 0, 0, 0, 0]
    # The first colors of the DAVIS palette, and its last.
    palette = np.asarray(image.getpalette()).reshape(-1, 3)
    assert palette[[0, 1, 2, 3]].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert palette[255].tolist() == [224, 224, 192]


def test_an_empty_frame_is_background(tmp_path):
    assert not np.asarray(_write(tmp_path, '0', _result())).any()


def test_id_255_is_no_void(tmp_path):
    _write(tmp_path, '0', _result(1, 255))
    assert object_ids(read_label_png(tmp_path / '0.png')) == [1, 255]


def test_ids_above_255_need_16_bits(tmp_path):
    image = _write(tmp_path, '0', _result(1, 256, 65535))
    assert image.mode.startswith('I;16')
    assert np.asarray(image)[3].tolist() == [1, 256, 65535, 0, 0, 0, 0, 0]


def test_an_id_above_16_bits_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'0\.png: object id 65536 does not fit'):
        _write(tmp_path, '0', _result(65536))


def test_images_of_an_earlier_run_are_told(tmp_path):
    _write(tmp_path, '0', _result(1))
    with pytest.warns(UserWarning, match=r'still holds 1 label images .*, e\.g\. 0\.png'):
        _write(tmp_path, '1', _result(1))


def test_writing_the_same_frames_again_is_no_reason_to_warn(tmp_path):
    _write(tmp_path, '0', _result(1))
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        _write(tmp_path, '0', _result(2))
