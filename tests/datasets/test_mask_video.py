"""MaskVideoDataset: which frames are items, what is said about the objects, which label images the
results have.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import colored_videos as tiny
import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmvos.datasets import MaskVideoDataset, VideoSampler
from mmvos.registry import DATASETS, METRICS

pytestmark = pytest.mark.usefixtures('mmdet_scope')
BASES = Path(__file__).resolve().parents[2] / 'configs/_base_/datasets'
# ids with gaps; video a begins with an empty frame
LATE = {'b': (7, {1: 0, 3: 2}), 'a': (5, {2: 1, 4: 1})}


def told(data: MaskVideoDataset, name: str) -> dict[int, tuple[int, ...]]:
    """Ids by the frame in which they are given."""
    video = next(video for video in data.videos if video.name == name)
    return {index: prompts.ids for index, prompts in data.prompts(video).items()}


def wanted(data: MaskVideoDataset, name: str) -> list[int]:
    video = next(video for video in data.videos if video.name == name)
    return sorted(data.wanted_frames(video, data.prompts(video)))


def test_every_frame_is_an_item_and_goes_through_the_pipeline(tmp_path: Path) -> None:
    root = tiny.write_videos(tmp_path, LATE, folder='480p')
    tiny.write_split(root, '2016/val', ['b', 'a'])
    data = MaskVideoDataset(str(root), split='2016/val', pipeline=tiny.PIPELINE)
    assert [(video.id, video.name, video.length) for video in data.videos] == [
        (1, 'b', 7),
        (2, 'a', 5),
    ]
    assert len(data) == 12 and [data.frame_range(i) for i in (0, 1)] == [range(0, 7), range(7, 12)]
    assert list(VideoSampler(data)) == list(range(12))
    item = data[9]
    sample = item['data_samples'][0]
    assert tuple(item['inputs'].shape) == (1, 3, 48, 64) and sample.ori_shape == (48, 64)
    assert (sample.video_id, sample.frame_id, sample.video_length, sample.img_id) == (2, 2, 5, 9)
    assert sample.img_path.endswith('JPEGImages/480p/a/00002.png')
    image = item['inputs'][0].numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(image, tiny.picture(tiny.label_map(2, {2: 1, 4: 1}, 5)))


def test_davis_gives_the_objects_of_the_first_frame(tmp_path: Path) -> None:
    data = MaskVideoDataset(str(tiny.write_videos(tmp_path, {'b': (7, {1: 0, 3: 0, 2: 2})})))
    assert told(data, 'b') == {0: (1, 3)} and wanted(data, 'b') == list(range(7))
    prompts = data.prompts(data.videos[0])[0]
    labels = tiny.label_map(0, {1: 0, 3: 0}, 7)
    np.testing.assert_array_equal(prompts.masks[1], labels == 3)
    assert prompts.boxes == (None, None)


def test_davis_2016_makes_one_object_of_all(tmp_path: Path) -> None:
    data = MaskVideoDataset(
        str(tiny.write_videos(tmp_path, {'b': (3, {1: 0, 3: 0})})), merge_objects=True
    )
    prompts = data.prompts(data.videos[0])[0]
    assert prompts.ids == (1,)
    np.testing.assert_array_equal(prompts.masks[0], tiny.label_map(0, {1: 0, 3: 0}, 3) > 0)


def test_a_box_is_tight_around_the_mask(tmp_path: Path) -> None:
    data = MaskVideoDataset(
        str(tiny.write_videos(tmp_path, {'b': (3, {1: 0, 3: 0})})), prompt='box'
    )
    prompts = data.prompts(data.videos[0])[0]
    assert prompts.masks == (None, None)
    assert prompts.boxes == ((3, 2, 19, 14), (8, 17, 24, 29))  # 16 wide and 12 high, see label_map


def test_a_point_is_in_the_middle_of_the_mask(tmp_path: Path) -> None:
    data = MaskVideoDataset(
        str(tiny.write_videos(tmp_path, {'b': (3, {1: 0, 3: 0})})), prompt='point'
    )
    prompts = data.prompts(data.videos[0])[0]
    assert prompts.masks == (None, None) == prompts.boxes
    # Boxes of 16 x 12 at (3, 2) and (8, 17), each with a hole in columns 6 to 9, rows 4 to 7 of it.
    # Pixel (3, 3) of a box is 4 from its edges and sqrt(3^2 + 1^2) = 3.16 from the hole; none is
    # farther from both, and none as far comes before it.
    assert prompts.points == (((6.5, 5.5, True),), ((11.5, 20.5, True),))


@pytest.mark.parametrize('every', [1, 5, 0])
def test_youtube_vos_gives_an_object_in_the_first_frame_that_shows_it(
    tmp_path: Path, every: int
) -> None:
    data = MaskVideoDataset(str(tiny.write_videos(tmp_path, LATE, every)), layout='youtube-vos')
    assert told(data, 'b') == {0: (1,), 2: (3,)} and told(data, 'a') == {1: (2, 4)}


def test_which_frames_the_results_have(tmp_path: Path) -> None:
    sparse = MaskVideoDataset(
        str(tiny.write_videos(tmp_path / 'sparse', LATE, 5)), layout='youtube-vos'
    )
    assert wanted(sparse, 'b') == [0, 2, 5] and wanted(sparse, 'a') == [0, 1]
    told_only = MaskVideoDataset(
        str(tiny.write_videos(tmp_path / 'told', LATE, 0)), layout='youtube-vos'
    )
    assert wanted(told_only, 'b') == list(range(7)) and wanted(told_only, 'a') == list(range(5))
    tiny.write_meta(tmp_path / 'told', {'b': {1: ['00000', '00005'], 3: ['00002', '00005']}})
    listed = MaskVideoDataset(str(tmp_path / 'told'), layout='youtube-vos')
    assert wanted(listed, 'b') == [0, 2, 5] and wanted(listed, 'a') == list(range(5))
    # DAVIS knows no meta.json
    assert wanted(MaskVideoDataset(str(tmp_path / 'told')), 'b') == list(range(7))


def test_mistakes_are_named_with_their_file(tmp_path: Path) -> None:
    root = tiny.write_videos(tmp_path, {'b': (3, {1: 0}), 'late': (3, {1: 1})}, 0)
    data = MaskVideoDataset(str(root))
    b, late = data.videos
    with pytest.raises(ValueError, match=r'video late: .*00000.png has no label image'):
        data.prompts(late)
    path = root / 'Annotations/b/00000.png'
    tiny.write_label_png(path, np.zeros((48, 64), np.uint8))
    with pytest.raises(ValueError, match=r'video b: no object in .*b/00000\.png'):
        data.prompts(b)
    tiny.write_label_png(path, np.ones((64, 48), np.uint8))
    with pytest.raises(
        ValueError,
        match=r'b/00000\.png .* 64x48.* 48x64',
    ):
        data.prompts(b)
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=r'Annotations/b/00000.png is a RGB image'):
        data.prompts(b)
    tiny.write_label_png(path, np.ones((48, 64), np.uint8))
    (root / 'meta.json').write_text('{"videos": []}')
    with pytest.raises(ValueError, match=r'meta.json is not'):
        MaskVideoDataset(str(root), layout='youtube-vos')
    shutil.rmtree(root / 'Annotations')
    with pytest.raises(ValueError, match=r'Annotations is no folder'):
        MaskVideoDataset(str(root))


@pytest.mark.parametrize('wrong', [dict(layout='vos'), dict(prompt='scribble')])
def test_unknown_words_are_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r'must be .* or '):
        MaskVideoDataset(str(tmp_path), **wrong)


@pytest.mark.parametrize(
    'name, size, network',
    [
        ('davis', (480, 854), (480, 854)),
        ('youtube_vos', (720, 1280), (480, 853)),
        ('youtube_vos', (1280, 720), (853, 480)),
    ],
)
def test_the_shipped_data_sets(
    tmp_path: Path, name: str, size: tuple[int, int], network: tuple[int, int]
) -> None:
    config = Config.fromfile(BASES / f'{name}.py')
    settings = dict(config.test_dataloader.dataset, data_root=str(tmp_path))
    for kind, suffix in (('JPEGImages', 'jpg'), ('Annotations', 'png')):
        (tmp_path / kind / 'v').mkdir(parents=True)
        cv2.imwrite(str(tmp_path / f'{kind}/v/00000.{suffix}'), np.full(size, 1, np.uint8))
    tiny.write_split(tmp_path, '2016/val', ['v'])
    data = DATASETS.build(settings)
    sample = data[0]['data_samples'][0]
    assert (sample.ori_shape, sample.img_shape) == (size, network)
    assert told(data, 'v') == {0: (1,)}
    assert (
        METRICS.get(config.test_evaluator.type) is not None
        and config.val_evaluator.type == config.test_evaluator.type
    )


def test_a_frame_or_label_image_of_another_size_is_found_before_the_run(tmp_path: Path) -> None:
    root = tiny.write_videos(tmp_path, {'b': (4, {1: 0})}, 1)
    MaskVideoDataset(str(root))
    path = root / 'JPEGImages/b/00002.png'
    whole = path.read_bytes()
    cv2.imwrite(str(path), np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r'JPEGImages/b/00002\.png .*32x24.* 64x48'):
        MaskVideoDataset(str(root))
    path.write_bytes(whole)
    tiny.write_label_png(root / 'Annotations/b/00003.png', np.zeros((24, 32), np.uint8))
    with pytest.raises(ValueError, match=r'Annotations/b/00003\.png .*32x24.* 64x48'):
        MaskVideoDataset(str(root))
