"""What is said about a video is found by its name."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving_squares import HEIGHT, WIDTH, red_mask

from mmvos.apis.batch.prompt_folder import find_prompts
from mmvos.apis.batch.videos import Video
from mmvos.io.errors import DataError

from .small_batch import write_frames

BOX = [{'frame': 3, 'id': 7, 'box': [1, 2, 30, 40]}]


@pytest.fixture
def video(tmp_path: Path) -> Video:
    write_frames(tmp_path / 'videos/day/v', 3)
    (tmp_path / 'prompts/day').mkdir(parents=True)
    return Video('day/v', tmp_path / 'videos/day/v', 'v')


def shape(kind: str, points: list[list[float]], group: int | None = None) -> dict[str, object]:
    return {'label': 'cat', 'shape_type': kind, 'points': points, 'group_id': group}


def labelme(*shapes: dict[str, object]) -> str:
    """A labelme file of a frame of the moving squares."""
    content = {'version': '5.5.0', 'flags': {}, 'imagePath': 'x.jpg', 'shapes': list(shapes)}
    return json.dumps({**content, 'imageHeight': HEIGHT, 'imageWidth': WIDTH})


@pytest.mark.parametrize('name', ['day/v.json', 'day/v/prompts.json', 'v.json'])
def test_prompts_json(tmp_path, video, name):
    path = tmp_path / 'prompts' / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(BOX))
    assert find_prompts(tmp_path / 'prompts', video)[3].boxes == ((1.0, 2.0, 30.0, 40.0),)


def test_a_label_image_of_the_first_frame(tmp_path, video):
    cv2.imwrite(str(tmp_path / 'prompts/day/v.png'), red_mask() * np.uint8(255))
    (prompts,) = find_prompts(tmp_path / 'prompts', video).values()
    np.testing.assert_array_equal(prompts.masks[0], red_mask())


def test_label_images_of_frames(tmp_path, video):
    folder = tmp_path / 'prompts/v'
    folder.mkdir()
    for name, value in (('00002', 5), ('00000', 2)):
        cv2.imwrite(str(folder / f'{name}.png'), red_mask() * np.uint8(value))
    by_frame = find_prompts(tmp_path / 'prompts', video)
    assert [(frame, given.ids) for frame, given in by_frame.items()] == [(0, (2,)), (2, (5,))]
    (folder / 'other.png').touch()
    with pytest.raises(DataError, match=r'other\.png is named after'):
        find_prompts(tmp_path / 'prompts', video)


def test_frames_of_a_video_file_have_numbers(tmp_path):
    folder = tmp_path / 'clip'
    folder.mkdir()
    cv2.imwrite(str(folder / '00012.png'), red_mask() * np.uint8(1))
    assert list(find_prompts(tmp_path, Video('clip', tmp_path / 'clip.mp4'))) == [12]


def test_a_labelme_file_without_groups(tmp_path, video):
    triangle = [[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]]
    shapes = [shape('rectangle', [[30, 40], [10, 20]]), shape('polygon', triangle)]
    shapes.insert(1, shape('point', [[3, 3]]))
    (tmp_path / 'prompts/v.json').write_text(labelme(*shapes))
    (prompts,) = find_prompts(tmp_path / 'prompts', video).values()
    assert prompts.ids == (1, 2)
    assert prompts.boxes == ((10.0, 20.0, 30.0, 40.0), None)
    # half of a square of 20 x 20 pixels, but for those on the edge
    assert abs(int(prompts.masks[1].sum()) - 200) <= 20


def test_labelme_files_of_frames(tmp_path, video):
    folder = tmp_path / 'prompts/day/v'
    folder.mkdir()
    left, right = [[0, 0], [9, 0], [9, 9], [0, 9]], [[20, 0], [29, 0], [29, 9], [20, 9]]
    (folder / '00001.json').write_text(
        labelme(shape('polygon', left, 4), shape('polygon', right, 4))
    )
    (folder / '00002.json').write_text(labelme(shape('rectangle', [[5, 5], [50, 60]], 3)))
    by_frame = find_prompts(tmp_path / 'prompts', video)
    assert [(frame, given.ids) for frame, given in by_frame.items()] == [(1, (4,)), (2, (3,))]
    mask = by_frame[1].masks[0]
    assert mask[5, 5] and mask[5, 25] and not mask[5, 15]
    (folder / '00002.json').write_text(labelme(shape('rectangle', [[5, 5], [50, 60]])))
    with pytest.raises(DataError, match='shape 0: "group_id" is missing'):
        find_prompts(tmp_path / 'prompts', video)


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        # a file of labelme 3.5, which did not say how large the picture is
        ('{"shapes": [], "lineColor": [0, 255, 0, 128]}', '"imageHeight" is missing'),
        (labelme(), 'shows no object'),
        (labelme({'points': []}), '"label" is missing'),
        ('{"shapes": ', 'not valid JSON'),
    ],
)
def test_files_of_another_tool_or_version_are_named(tmp_path, video, text, fault):
    (tmp_path / 'prompts/v.json').write_text(text)
    with pytest.raises(DataError, match=rf'v\.json.*{fault}'):
        find_prompts(tmp_path / 'prompts', video)


def test_a_video_without_prompts_is_named(tmp_path, video):
    with pytest.raises(DataError, match='no prompts of day/v'):
        find_prompts(tmp_path / 'prompts', video)
    # frames beside their video are no prompts
    with pytest.raises(DataError, match='no prompts of day/v'):
        find_prompts(tmp_path / 'videos', video)
