"""Bad input stops when the data set is opened, with one message that names the file, the video and
the annotation.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import TransformBroadcaster
from mmengine.logging import MMLogger
from youtube_vis_files import HEIGHT, WIDTH, annotation, content, rectangle_runs, video, write

from mmvos.datasets import LoadFrame, YouTubeVISDataset
from mmvos.datasets.frame_files import image_fault
from mmvos.io.youtube_vis import read_youtube_vis

Data = dict[str, Any]


def good() -> Data:
    """Video 4 with objects 11 and 12, video 9 with object 13; three frames each."""
    first, second = video(4, 3), video(9, 3)
    return content(
        [first, second],
        [annotation(11, first), annotation(12, first, category_id=7), annotation(13, second)],
    )


def open_dataset(folder: Path, **kwargs: Any) -> YouTubeVISDataset:
    return YouTubeVISDataset(
        'instances.json', data_root=str(folder), data_prefix=dict(img_path='JPEGImages'), **kwargs
    )


def change(row: str, position: int, **values: Any) -> Callable[[Data], None]:
    return lambda data: data[row][position].update(values)


def change_entry(key: str, value: Any) -> Callable[[Data], None]:
    """Puts another value at frame 2 of annotation 12."""

    def apply(data: Data) -> None:
        data['annotations'][1][key][2] = value

    return apply


# Each breaks one thing in the JSON; the message must hold the words, and skipping must leave
# (videos, annotations) behind.
BROKEN = {
    'unknown category': (
        change('annotations', 1, category_id=2),
        'video 4 (v4), annotation 12: there is no category 2',
        2,
        2,
    ),
    'unknown video': (
        change('annotations', 1, video_id=5),
        'video 5, annotation 12: there is no video 5',
        2,
        2,
    ),
    'annotation id twice': (
        change('annotations', 1, id=11),
        'video 4 (v4), annotation 11: another annotation has the same id',
        2,
        2,
    ),
    'annotation id 0': (
        change('annotations', 1, id=0),
        'video 4 (v4), annotation 0: its id must be an int above 0',
        2,
        2,
    ),
    'annotation id of 33 bits': (
        change('annotations', 1, id=2**32),
        'video 4 (v4), annotation 4294967296: its id 4294967296 does not fit into 32 bits',
        2,
        2,
    ),
    'video id twice': (
        change('videos', 1, id=4),
        'video 4 (v9): another video has the same id',
        1,
        2,
    ),
    'list too short': (
        change('annotations', 1, bboxes=[None, None]),
        'video 4 (v4), annotation 12: its "bboxes" has 2 entries, but the video has 3 frames',
        2,
        2,
    ),
    'list too long': (
        change('annotations', 1, areas=[1, 1, 1, 1]),
        'annotation 12: its "areas" has 4 entries, but the video has 3 frames',
        2,
        2,
    ),
    'video length': (
        change('videos', 1, length=4),
        'video 9 (v9): its length is 4, but it has 3 file_names',
        1,
        2,
    ),
    'mask of another size': (
        change_entry('segmentations', rectangle_runs(0, 0, 2, 2, 10, 10)),
        'video 4 (v4), annotation 12: frame 2 (v4/00010.jpg): the mask has size [10, 10] (height, '
        'width), but the video has '
        '[24, 40]',
        2,
        2,
    ),
    'runs that do not add up': (
        change_entry('segmentations', dict(counts=[10, 5, 900], size=[HEIGHT, WIDTH])),
        'annotation 12: frame 2 (v4/00010.jpg): the run lengths of the mask add up to 915 pixels, '
        'the frame has 960',
        2,
        2,
    ),
    'negative run': (
        change_entry('segmentations', dict(counts=[980, -20], size=[HEIGHT, WIDTH])),
        'annotation 12: frame 2',
        2,
        2,
    ),
    'cut compressed runs': (
        change_entry('segmentations', dict(counts='PPPP', size=[HEIGHT, WIDTH])),
        'annotation 12: frame 2 (v4/00010.jpg): the run lengths of the mask are malformed',
        2,
        2,
    ),
    'short polygon': (
        change_entry('segmentations', [[1, 2, 3, 4]]),
        'annotation 12: frame 2 (v4/00010.jpg): a polygon of the mask has 4 numbers',
        2,
        2,
    ),
    'polygon of words': (
        change_entry('segmentations', [['a', 2, 3, 4, 5, 6]]),
        'a polygon of the mask is not a list of finite numbers',
        2,
        2,
    ),
    'mask of nonsense': (
        change_entry('segmentations', 'mask'),
        'neither a list of polygons nor run lengths',
        2,
        2,
    ),
    'box without mask': (
        change_entry('segmentations', None),
        'annotation 12: frame 2 (v4/00010.jpg): there is a box but no mask',
        2,
        2,
    ),
    'box of three': (
        change_entry('bboxes', [1, 2, 3]),
        'the box [1, 2, 3] is not a list of 4 finite numbers',
        2,
        2,
    ),
    'box outside': (
        change_entry('bboxes', [40, 0, 5, 5]),
        'the box [40, 0, 5, 5] lies outside the frame of 40x24',
        2,
        2,
    ),
    'no height': (
        change('videos', 1, height=None),
        'video 9 (v9): its height and width are None and 40',
        1,
        2,
    ),
    'no category_id': (
        lambda data: data['annotations'][1].pop('category_id'),
        'annotation 12: its category_id is missing',
        2,
        2,
    ),
}


@pytest.mark.parametrize('case', BROKEN)
def test_a_fault_in_the_json_stops_or_is_skipped(tmp_path: Path, case: str) -> None:
    apply, words, videos, objects = BROKEN[case]
    data = good()
    folder = write(tmp_path, data)
    apply(data)
    (folder / 'instances.json').write_text(json.dumps(data))
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        open_dataset(folder)
    assert str(folder / 'instances.json') in str(error.value)
    assert "on_error='skip'" in str(error.value)
    rest = open_dataset(folder, on_error='skip')
    assert len(rest.videos) == videos
    seen = {o['instance_id'] for i in range(len(rest)) for o in rest.get_data_info(i)['instances']}
    assert len(seen) == objects


def jpeg(folder: Path, name: str = 'v9/00005.jpg') -> Path:
    return folder / 'JPEGImages' / name


def test_a_missing_frame(tmp_path: Path) -> None:
    folder = write(tmp_path, good())
    jpeg(folder).unlink()
    with pytest.raises(ValueError, match=re.escape(f'video 9, frame 1: {jpeg(folder)} is missing')):
        open_dataset(folder, check_images=False)
    with pytest.raises(ValueError, match=r'is missing'):
        open_dataset(folder, test_mode=True)
    assert [v.id for v in open_dataset(folder, on_error='skip').videos] == [4]


def test_a_missing_folder_names_the_remedy(tmp_path: Path) -> None:
    folder = write(tmp_path, good())
    (folder / 'JPEGImages').rename(folder / 'images')
    with pytest.raises(
        ValueError,
        match=r'video 4, frame 0: .*00000\.jpg is missing',
    ):
        open_dataset(folder)


def test_a_truncated_jpeg(tmp_path: Path) -> None:
    folder = write(tmp_path, good())
    whole = jpeg(folder).read_bytes()
    jpeg(folder).write_bytes(whole[:-20])
    with pytest.raises(
        ValueError, match=re.escape(f'video 9, frame 1: {jpeg(folder)} is a truncated')
    ):
        open_dataset(folder)
    late = open_dataset(
        folder, check_images=False, test_mode=True, pipeline=[TransformBroadcaster([LoadFrame()])]
    )
    with pytest.raises(
        ValueError, match=re.escape(f'{jpeg(folder)} (video 9, frame 1) is a truncated')
    ):
        late[4]
    jpeg(folder).write_bytes(whole + b'\0' * 100)  # padding behind the end is no fault
    assert len(open_dataset(folder)) == 6


def test_a_frame_of_another_size(tmp_path: Path) -> None:
    folder = write(tmp_path, good())
    cv2.imwrite(str(jpeg(folder)), np.zeros((10, 16, 3), dtype=np.uint8))
    with pytest.raises(
        ValueError,
        match=re.escape(f'video 9, frame 1: {jpeg(folder)} is 16x10'),
    ):
        open_dataset(folder)
    with pytest.raises(ValueError, match=r'\(video 9, frame 1\) is 16x10.* 40x24'):
        LoadFrame()(dict(img_path=str(jpeg(folder)), video_id=9, frame_id=1, height=24, width=40))


def test_image_fault_of_png_empty_and_other_files(tmp_path: Path) -> None:
    path = tmp_path / 'frame.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (24, 40, 3)).astype(np.uint8))
    assert image_fault(path, 24, 40) is None
    assert 'is 40x24' in str(image_fault(path, 40, 24))
    # without its end, and cut off inside its header
    for length in (-30, 20):
        path.write_bytes(path.read_bytes()[:length])
        assert 'truncated' in str(image_fault(path, 24, 40))
    path.write_bytes(b'')
    assert image_fault(path, 24, 40) == 'is empty'
    with pytest.raises(ValueError, match='not an image'):
        LoadFrame()(dict(img_path=str(path)))
    path.unlink()
    assert 'cannot be read' in str(image_fault(path, 24, 40))
    with pytest.raises(ValueError, match=r'cannot be read'):
        LoadFrame()(dict(img_path=str(path)))
    other = tmp_path / 'frame.bmp'
    cv2.imwrite(str(other), np.zeros((2, 3, 3), dtype=np.uint8))
    assert image_fault(other, 24, 40) is None  # seen when it is loaded


def test_the_size_stands_behind_a_long_header(tmp_path: Path) -> None:
    path = tmp_path / 'frame.jpg'
    cv2.imwrite(str(path), np.zeros((24, 40, 3), dtype=np.uint8))
    plain = path.read_bytes()
    # a comment longer than what is read first
    comment = b'\xff\xfe' + (60002).to_bytes(2, 'big') + b'c' * 60000
    path.write_bytes(plain[:2] + comment + plain[2:])
    assert image_fault(path, 24, 40) is None
    assert 'is 40x24' in str(image_fault(path, 24, 41))


def test_many_faults_make_one_message_and_skipping_one_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = good()
    data['annotations'] = [
        annotation(i, data['videos'][0], category_id=5 if i < 8 else 1) for i in range(1, 11)
    ]
    folder = write(tmp_path, data)
    jpeg(folder).unlink()
    with pytest.raises(
        ValueError,
        match=r'(?s)frame 1: .* is missing.*annotation 4: there is no category 5\n  and 3 more$',
    ):
        open_dataset(folder)
    logger = MMLogger.get_current_instance()
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        open_dataset(folder, on_error='skip')
    finally:
        logger.removeHandler(handler)
    summary = [line for line in lines if 'skipped' in line]
    assert len(summary) == 1
    assert 'instances.json: skipped 1 of 2 videos and 7 of 10 annotations' in summary[0]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{"videos": [', 'is not valid JSON: line 1, column 13'),
        ('[]', 'holds no JSON object'),
        ('{"images": [], "annotations": []}', 'has no list "videos"'),
        ('{"videos": [], "categories": [], "annotations": {}}', 'has no list "annotations"'),
        ('{"videos": [], "categories": []}', 'has no categories'),
        (
            '{"videos": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            'the id 1 appears twice',
        ),
        (
            '{"videos": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}',
            'the name "a" appears twice',
        ),
        ('{"videos": [], "categories": [{"id": "1", "name": "a"}]}', "its id is '1'"),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / 'instances.json').write_text(text)
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        open_dataset(tmp_path, test_mode=True)
    assert str(tmp_path / 'instances.json') in str(error.value)


def test_a_missing_file_and_a_wrong_option_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'nowhere/instances.json cannot be read'):
        open_dataset(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match=r"on_error .*'ignore'"):
        open_dataset(tmp_path, on_error='ignore')


def test_run_lengths_are_read_as_the_json_has_them(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text(
        '{"videos": [{"note": "~0 and \\"counts\\": [1, 2]"}], "categories": [], "annotations": '
        '[{"segmentations": '
        '[{"counts" : [ 3,4,\n 70000 ], "size": [1, 2]}, {"counts": [], "size": [0, 0]}, '
        '{"counts": "abc"}, '
        '{"counts": [1.5]}, {"size": [2, 2], "counts": [4]}]}]}'
    )
    data = read_youtube_vis(path)
    masks = data['annotations'][0]['segmentations']
    assert [np.asarray(mask['counts']).tolist() for mask in masks[:2] + masks[3:]] == [
        [3, 4, 70000],
        [],
        [1.5],
        [4],
    ]
    assert masks[2] == dict(counts='abc')
    assert data['videos'] == [dict(note='~0 and "counts": [1, 2]')]
