"""What the fuzzers found, each as a test of its own with the right value."""

from __future__ import annotations

import json
import math
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmvos.apis.checkpoint import read_checkpoint
from mmvos.apis.sources import VideoSource
from mmvos.cli.convert import coco_to_youtube_vis, cvat_to_youtube_vis, labelme_to_youtube_vis
from mmvos.convert.shape_polygons import ellipse
from mmvos.datasets import MaskVideoDataset
from mmvos.datasets.checks.findings import Findings
from mmvos.datasets.checks.mask_folder_data import check_mask_folder
from mmvos.io.errors import DataError
from mmvos.io.image_checks import ImageError, open_image
from mmvos.io.images import read_header, read_pages
from robustness.targets import (
    annotations_of_videos,
    make_coco,
    make_cvat,
    make_labelme,
    make_pages,
    make_vos,
    write_json,
)


def test_a_quoted_value_of_thousands_of_letters_is_cut() -> None:
    # 255 is the longest name of a file, which is never cut
    name = 'n' * 255
    message = str(DataError(f'/a/{name}/b.json: its width is {"9" * 5000}, which is no number.'))
    assert message == f'/a/{name}/b.json: its width is {"9" * 60}...{"9" * 19}, which is no number.'


def test_a_video_without_a_frame_is_named_by_its_path() -> None:
    source = VideoSource('a', None, None, lambda: iter(()), place='/x/a.webm')
    with pytest.raises(DataError, match=r'^/x/a\.webm has no frame'):
        list(source)


@pytest.mark.parametrize('name', ['\ud800.png', 'a\0b.png'])
def test_what_is_no_name_of_a_file(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(ImageError, match=r'png.* no name'),
        open_image(tmp_path / name),
    ):
        pass


def coco(folder: Path, **changes: Any) -> Path:
    make_coco(folder)
    content = json.loads((folder / 'c.json').read_text())
    for row in content['annotations']:
        if row['track_id'] == 1:
            row.update(changes)
    write_json(folder / 'c.json', content)
    return folder / 'c.json'


def test_a_box_outside_of_the_frame_is_refused_as_the_data_set_does(tmp_path: Path) -> None:
    path = coco(tmp_path, bbox=[-(2**32), 4.0, 9.0, 8.0])
    with pytest.raises(DataError, match=r'c\.json.*annotation 1: the box .* lies outside'):
        coco_to_youtube_vis.main([str(path), str(tmp_path / 'o.json')])


def test_track_ids_beyond_32_bits_are_numbered_anew(tmp_path: Path) -> None:
    path = coco(tmp_path, track_id=2**31)
    coco_to_youtube_vis.main([str(path), str(tmp_path / 'o.json')])
    written = json.loads((tmp_path / 'o.json').read_text())['annotations']
    assert {row['id']: row['object_id'] for row in written} == {1: 2, 2: 2**31}


def test_a_circle_without_end_is_refused(tmp_path: Path) -> None:
    make_labelme(tmp_path)
    path = tmp_path / 'yard/0.json'
    content = json.loads(path.read_text())
    content['shapes'][1]['points'] = [[22, 12], [1e308, -1e308]]
    write_json(path, content)
    with pytest.raises(DataError, match=r'0\.json: shape 1'):
        labelme_to_youtube_vis.main([str(tmp_path), str(tmp_path / 'o.json')])


def test_an_ellipse_has_12_to_1000_corners() -> None:
    assert len(ellipse(0, 0, 1, 1)) == 2 * 12  # pi * sqrt(10) is less
    assert len(ellipse(0, 0, math.inf, 1)) == 2 * 1000


def test_the_annotations_of_the_fuzzer_are_good() -> None:
    assert len(annotations_of_videos()['annotations']) == 4


@pytest.mark.parametrize('kind', ['float16', 'int8', 'uint16', 'uint64', 'complex64'])
def test_numbers_of_any_kind_beside_the_weights(tmp_path: Path, kind: str) -> None:
    content = {'state_dict': {'a': torch.zeros(2)}, 'history': np.arange(3).astype(kind)}
    torch.save(content, tmp_path / 'a.pth')
    assert list(read_checkpoint(tmp_path / 'a.pth').weights) == ['a']


def test_an_animated_png_that_claims_millions_of_pictures_takes_no_time(tmp_path: Path) -> None:
    make_pages(tmp_path)
    data = bytearray((tmp_path / 'a.png').read_bytes())
    place = data.index(b'acTL') + 4
    data[place : place + 4] = (2**28 + 3).to_bytes(4, 'big')
    data[place + 8 : place + 12] = zlib.crc32(data[place - 4 : place + 8]).to_bytes(4, 'big')
    (tmp_path / 'a.png').write_bytes(data)
    tracemalloc.start()
    assert len(read_header(tmp_path / 'a.png').pages) == 2**28 + 3
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000  # a number for each picture were 2 GB
    with pytest.raises(ImageError, match=r'a\.png, picture 3 of .* is damaged'):
        list(read_pages(tmp_path / 'a.png'))


@pytest.mark.parametrize('frames', [5, '00000', {'a': 1}])
def test_frames_in_meta_json_are_a_list(tmp_path: Path, frames: Any) -> None:
    make_vos(tmp_path)
    path = tmp_path / 'meta.json'
    content = json.loads(path.read_text())
    content['videos']['b2']['objects']['1']['frames'] = frames
    write_json(path, content)
    with pytest.raises(ValueError, match=r'meta\.json'):
        len(MaskVideoDataset(str(tmp_path), None, 'youtube-vos'))
    findings = Findings('folder')
    check_mask_folder(tmp_path, findings)
    assert 'video b2, object 1' in findings.table() and findings.count('error')


@pytest.mark.parametrize('number', ['9' * 20, '1_000', '²', '١', ''])
def test_numbers_of_cvat_are_ascii_digits_within_64_bits(tmp_path: Path, number: str) -> None:
    make_cvat(tmp_path)
    path = tmp_path / 'yard.xml'
    path.write_text(path.read_text().replace('<track id="0"', f'<track id="{number}"'))
    with pytest.raises(DataError, match=r'yard\.xml: its .* no whole number'):
        cvat_to_youtube_vis.main([str(path), str(tmp_path / 'o.json')])


def test_one_file_cannot_be_two_frames_of_a_video(tmp_path: Path) -> None:
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    content['images'][2]['file_name'] = 'v1/1.jpg'
    write_json(path, content)
    with pytest.raises(DataError, match=r'c\.json.* images 2 and 3 are both v1/1\.jpg'):
        coco_to_youtube_vis.main([str(path), str(tmp_path / 'o.json')])


def test_an_area_that_is_none_is_refused_as_the_data_set_does(tmp_path: Path) -> None:
    for area, shown in ((-(2**31), '-2147483648'), (1e308, r'1e\+308')):
        path = coco(tmp_path, area=area)
        with pytest.raises(DataError, match=rf'c\.json.*annotation 1: its area is {shown}'):
            coco_to_youtube_vis.main([str(path), str(tmp_path / 'o.json')])
