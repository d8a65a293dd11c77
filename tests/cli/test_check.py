"""mmvos check: planted faults are found, counted and named, sound data has none, and the
exit code says which.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from youtube_vis_files import annotation, content, rectangle_runs, video, write

from mmvos.cli.main import main
from mmvos.io.label_png import write_label_png

Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Check:
    """Runs the command; returns exit code and what it printed, with runs of spaces made one."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, 'argv', ['mmvos'])
        with pytest.raises(SystemExit) as ended:
            main(['check', *map(str, arguments)])
        code = ended.value.code
        printed = ' '.join(capsys.readouterr().out.split())
        return (1, code) if isinstance(code, str) else (int(code or 0), printed)

    return call


def sound() -> dict[str, Any]:
    videos = [video(1, 3), video(2, 2)]
    return content(
        videos,
        [
            annotation(1, videos[0], 7),
            annotation(2, videos[0], 1, frames=(1,)),
            annotation(5, videos[1], 1),
        ],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / 'own', sound())


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    data = json.loads((folder / 'instances.json').read_text())
    change(data)
    (folder / 'instances.json').write_text(json.dumps(data))
    return folder / 'instances.json'


def test_sound_data_has_no_findings(check: Check, folder: Path) -> None:
    code, printed = check(folder / 'instances.json', '--images')
    assert code == 0
    assert printed.endswith(
        '2 videos, 5 frames, 3 objects, 2 classes nothing found mmvos check: 0 errors, 0 notes'
    )


def edit(place: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data['annotations'][place].update(values)


def edit_video(place: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data['videos'][place].update(values)


EMPTY = rectangle_runs(0, 0, 0, 0)


@pytest.mark.parametrize(
    ('change', 'finding'),
    [
        (
            lambda data: data.update(annotations=None),
            'error no annotations 1 "annotations" is null or missing',
        ),
        (
            edit(0, segmentations=[None]),
            'error an annotation is not usable 1 video 1 (v1), annotation 1: its "segmentations" '
            'has 1 '
            'entries',
        ),
        (
            edit(0, category_id=99),
            'error an annotation is not usable 1 video 1 (v1), annotation 1: there is no category '
            '99',
        ),
        (edit(1, id=1), 'annotation 1: another annotation has the same id'),
        (
            edit(2, bboxes=[[99, 2, 5, 5], None]),
            'annotation 5: frame 0 (v2/00000.jpg): the box [99, 2, 5, 5] lies outside',
        ),
        (
            edit_video(0, height=20),
            'annotation 1: frame 0 (v1/00000.jpg): the mask has size [24, 40] (height, width), but '
            'the video has [20',
        ),
        (
            edit_video(1, id=1),
            'error a video entry is not usable 1 video 1 (v2): another video has the same id',
        ),
        (
            edit_video(1, file_names=['v2/00000.jpg', 'v2/7.jpg']),
            'error frames are missing 1 video 2, frame 1: ',
        ),
        (
            edit_video(1, file_names=['v2/00000.jpg'] * 2),
            'error a frame stands more than once in a video 1 video 2: v2/00000.jpg, 2',
        ),
        (
            edit(1, segmentations=[None, EMPTY, None], areas=[None, 80, None]),
            'error a mask has no pixel 1 video 1, annotation 2, frame 1',
        ),
        (lambda data: data['categories'][1].update(name='cat'), 'error the file is not usable 1'),
    ],
)
def test_errors_of_a_file(check: Check, folder: Path, change: Callable, finding: str) -> None:
    code, printed = check(rewrite(folder, change))
    assert code == 1 and finding in printed


@pytest.mark.parametrize(
    ('change', 'finding'),
    [
        (
            edit(1, segmentations=[None] * 3, bboxes=[None] * 3),
            'note an object is visible in no frame 1 video 1, annotation 2',
        ),
        (
            edit(1, bboxes=[None] * 3),
            'note a mask has no box, so the object is not learned there 1 video 1, annotation 2, '
            'frame 1',
        ),
        (
            edit(1, bboxes=[None, [4, 6, 14, 14], None]),
            'as if it were (x1, y1, x2, y2), the mask has [4.0, 6.0, 10.0, 8.0]',
        ),
        (
            edit(1, bboxes=[None, [4, 6, 39, 8], None]),
            'note a box reaches out of the frame 1 video 1, annotation 2, frame 1 (v1/00005.jpg)',
        ),
        (
            edit(1, areas=[None, 40, None]),
            'note an area is not that of its mask 1 video 1, annotation 2, frame 1 (v1/00005.jpg): '
            '40, the',
        ),
        (
            edit(1, segmentations=[None, EMPTY, None], areas=[None, 0, None]),
            'note a mask has no pixel 1',
        ),
        (edit(0, category_id=1), "note a class has no object 1 'cat'"),
        (
            edit(2, video_id=1, segmentations=[None] * 3, bboxes=[None] * 3, areas=[None] * 3),
            'note a video has no object 1 video 2 (v2)',
        ),
        (
            edit_video(1, file_names=['v1/00000.jpg', 'v2/00005.jpg']),
            'note a frame belongs to several videos 1 v1/00000.jpg belongs to',
        ),
    ],
)
def test_notes_are_no_errors(check: Check, folder: Path, change: Callable, finding: str) -> None:
    code, printed = check(rewrite(folder, change))
    assert code == 0 and finding in printed


def test_examples_are_counted(check: Check, folder: Path) -> None:
    def every_box(data: dict[str, Any]) -> None:
        for entry in data['annotations']:
            entry['bboxes'] = [None if box is None else [4, 6, 14, 14] for box in entry['bboxes']]

    code, printed = check(rewrite(folder, every_box))
    assert (
        code == 0
        and 'note a box does not lie around its mask 6 video 1, annotation 1, frame 0' in printed
    )
    assert 'and 3 more mmvos check: 0 errors, 6 notes' in printed


def test_a_published_test_file(check: Check, folder: Path) -> None:
    path = rewrite(folder, lambda data: data.update(annotations=None))
    assert check(path, '--test')[0] == 0


def test_images_are_opened_when_asked_for(check: Check, folder: Path) -> None:
    frames = folder / 'JPEGImages'
    (frames / 'v1/00005.jpg').write_bytes((frames / 'v1/00005.jpg').read_bytes()[:200])
    (frames / 'v2/00005.jpg').write_text('not found')
    assert check(folder / 'instances.json')[0] == 0
    code, printed = check(folder / 'instances.json', '--images')
    assert (
        code == 1
        and 'error a frame is damaged or of another size 1 video 1, frame 1: ' in printed
        and 'truncated' in printed
    )
    assert 'error a frame cannot be read 1 video 2: v2/00005.jpg' in printed
    (folder / 'JPEGImages').rename(folder / 'pictures')
    assert 'note frames are not looked for 1' in check(folder / 'instances.json')[1]
    assert (
        'error a frame cannot be read 1'
        in check(folder / 'instances.json', '--images', '--frames', folder / 'pictures')[1]
    )


def test_classes_of_a_checkpoint(check: Check, folder: Path, tmp_path: Path) -> None:
    expected = {
        ('cat', 'dog'): (0, 'trained for 2 classes nothing found'),
        ('dog', 'cat'): (
            1,
            "error classes have another order 1 label 0 is 'dog' in the checkpoint and 'cat' in",
        ),
        ('cat',): (1, 'error classes differ 1 the checkpoint has 1 (cat); '),
        (): (0, 'note the checkpoint does not say its classes 1'),
    }
    for classes, (code, finding) in expected.items():
        torch.save(
            {'state_dict': {'w': torch.zeros(1)}, 'meta': {'dataset_meta': {'classes': classes}}},
            tmp_path / 'c.pth',
        )
        found = check(folder / 'instances.json', '--checkpoint', tmp_path / 'c.pth')
        assert found[0] == code and finding in found[1]


def test_what_is_no_data(check: Check, tmp_path: Path) -> None:
    assert check(tmp_path / 'nowhere.json') == (
        1,
        f'mmvos check: {tmp_path / "nowhere.json"} does not exist',
    )
    (tmp_path / 'cut.json').write_text('{"videos": [')
    code, printed = check(tmp_path / 'cut.json')
    assert (
        code == 1 and 'error the file is not usable 1' in printed and 'is not valid JSON' in printed
    )
    (tmp_path / 'bad.py').write_text('x = 1 +')
    assert 'bad.py is no config' in check(tmp_path / 'bad.py')[1]
    assert 'error the folder is not usable 1' in check(tmp_path)[1]


# folders


def mask_folder(root: Path, meta: bool = False) -> Path:
    """Videos a and b of three frames; object 1 is in all, object 2 comes in the last frame of b."""
    for name in ('a', 'b'):
        for t in range(3):
            labels = np.zeros((12, 20), np.uint8)
            labels[2:6, t:9] = 1
            labels[8:, 12:] = 2 * (name == 'b' and t == 2)
            for kind in ('JPEGImages', 'Annotations'):
                (root / kind / name).mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (20, 12)).save(root / f'JPEGImages/{name}/f{t}.jpg')
            write_label_png(root / f'Annotations/{name}/f{t}.png', labels)
    if meta:
        both = {
            '1': {'category': 'cat', 'frames': ['f0', 'f1', 'f2']},
            '2': {'category': 'dog', 'frames': ['f2']},
        }
        (root / 'meta.json').write_text(
            json.dumps({'videos': {'a': {'objects': {'1': both['1']}}, 'b': {'objects': both}}})
        )
    return root


def test_sound_folders(check: Check, tmp_path: Path) -> None:
    code, printed = check(mask_folder(tmp_path / 'vos', meta=True), '--images')
    assert code == 0 and '2 videos, 6 frames, 3 objects nothing found' in printed
    code, printed = check(mask_folder(tmp_path / 'davis'), '--images')
    assert (
        code == 0
        and 'note an object comes after the first frame and is not followed 1 video b: object 2 in '
        'f2.png'
        in printed
    )
    assert '2 objects in the first label images nothing found' in check(tmp_path / 'davis')[1]


def labels(root: Path, name: str, values: np.ndarray) -> None:
    write_label_png(root / 'Annotations' / name, values)


@pytest.mark.parametrize(
    ('spoil', 'images', 'finding'),
    [
        (
            lambda root: (root / 'JPEGImages/a/f1.jpg').unlink(),
            False,
            'error a video is not usable 1 video a: ',
        ),
        (
            lambda root: (root / 'Annotations/a/f0.png').unlink(),
            False,
            'error the first frame has no label image 1 video a: f0.jpg',
        ),
        (
            lambda root: labels(root, 'a/f0.png', np.zeros((12, 20), np.uint8)),
            False,
            'error the first label image shows no object 1',
        ),
        (
            lambda root: labels(root, 'b/f0.png', np.ones((12, 21), np.uint8)),
            False,
            'error a frame is damaged or of another size 1 video b: f0.jpg is 20x12, but its label '
            'image is 21x12',
        ),
        (
            lambda root: (root / 'Annotations/b/f1.png').write_bytes(b'\x89PNG'),
            True,
            'error a label image cannot be read 1',
        ),
        (
            lambda root: (root / 'JPEGImages/b/f1.jpg').write_bytes(b'\xff\xd8abc'),
            True,
            'video b: f1.jpg is a truncated image',
        ),
        (
            lambda root: labels(root, 'b/f2.png', np.full((12, 20), 9, np.uint8)),
            True,
            'note object ids have gaps 1 video b: 1, 9',
        ),
    ],
)
def test_faults_of_folders(
    check: Check, tmp_path: Path, spoil: Callable, images: bool, finding: str
) -> None:
    spoil(mask_folder(tmp_path))
    code, printed = check(tmp_path, *(['--images'] if images else []))
    assert finding in printed and code == ('error' in finding or 'truncated' in finding)


@pytest.mark.parametrize(
    ('meta', 'finding'),
    [
        (
            {'videos': {'a': {'objects': {'1': {'category': 'cat'}}}}},
            'error meta.json does not list a video or its objects 1 video b',
        ),
        (
            {'videos': {name: {'objects': {'2': {'category': 'cat'}}} for name in 'ab'}},
            'error meta.json does not list an object 2',
        ),
        (
            {
                'videos': {
                    name: {'objects': {'1': {'category': 'cat', 'frames': ['f9']}}} for name in 'ab'
                }
            },
            'error meta.json lists frames that do not exist 2 video a, object 1: f9',
        ),
        ([], 'error meta.json is not usable 1'),
    ],
)
def test_faults_of_meta_json(check: Check, tmp_path: Path, meta: Any, finding: str) -> None:
    mask_folder(tmp_path, meta=True)
    (tmp_path / 'meta.json').write_text(json.dumps(meta))
    code, printed = check(tmp_path)
    assert code == 1 and finding in printed


# configs

CONFIG = """
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[
    dict(type='mmvos.YouTubeVISDataset', data_root='{own}', ann_file='instances.json', data_prefix=dict(img_path='JPEGImages'),
         metainfo=dict(classes={classes})),
    dict(type='mmvos.MaskClipDataset', data_root='{folder}', pipeline=[]),
    dict(type='mmvos.MaskPairDataset', sources=[dict(type='mmvos.YouTubeVISPairs', dataset=dict(
        data_root='{own}', ann_file='instances.json', data_prefix=dict(img_path='JPEGImages'), metainfo=dict(classes={classes}))),
        dict(type='mmvos.ImagePairs', data_root='{own}', ann_file='coco.json', data_prefix=dict(img_path='JPEGImages'))]),
])))
val_dataloader = dict(dataset=dict(type='mmvos.YouTubeVISDataset', data_root='{own}', ann_file='instances.json', test_mode=True,
                                   data_prefix=dict(img_path='JPEGImages')))
val_evaluator = dict(type='mmvos.YouTubeVISMetric', ann_file='{own}/{truth}')
model = dict(detector=dict(roi_head=dict(bbox_head=dict(num_classes={number}))))
"""


def write_config(
    tmp_path: Path,
    folder: Path,
    classes: tuple[str, ...],
    number: int,
    truth: str = 'instances.json',
) -> Path:
    coco = {
        'images': [{'id': 1, 'file_name': 'v1/00000.jpg', 'height': 24, 'width': 40}],
        'annotations': [
            {
                'id': 1,
                'image_id': 1,
                'segmentation': [[0, 0, 5, 0, 5, 5]],
                'bbox': [0, 0, 5, 5],
                'area': 12,
            }
        ],
    }
    if not (folder / 'coco.json').exists():
        (folder / 'coco.json').write_text(json.dumps(coco))
    path = tmp_path / 'config.py'
    path.write_text(
        CONFIG.format(
            own=folder,
            folder=mask_folder(tmp_path / 'vos'),
            classes=classes,
            number=number,
            truth=truth,
        )
    )
    return path


def test_all_data_sets_of_a_sound_config(check: Check, folder: Path, tmp_path: Path) -> None:
    code, printed = check(write_config(tmp_path, folder, ('cat', 'dog'), 2), '--images')
    assert code == 0 and printed.endswith('mmvos check: 0 errors, 0 notes')
    for title in (
        'train_dataloader, YouTubeVISDataset, train_dataloader: 2 videos',
        'train_dataloader, MaskClipDataset: 2 videos',
        'train_dataloader, ImagePairs: 1 images, 1 objects',
        'val_dataloader, YouTubeVISDataset: 2 videos',
    ):
        assert title in printed


def test_disagreements_in_a_config(check: Check, folder: Path, tmp_path: Path) -> None:
    code, printed = check(write_config(tmp_path, folder, ('dog', 'cat'), 3, 'lost.json'))
    assert code == 1 and printed.endswith('mmvos check: 3 errors, 0 notes')
    for finding in (
        "classes have another order 1 label 0 is 'cat' in val_dataloader, YouTubeVISDataset and "
        "'dog' in",
        'a head has another number of classes 1 model.detector.roi_head.bbox_head.num_classes is '
        '3, the data has 2',
        'the ground truth of an evaluator does not exist 1 val_evaluator.ann_file: ',
    ):
        assert 'error ' + finding in printed
    rewrite(folder, lambda data: data.update(annotations=None))
    code, printed = check(write_config(tmp_path, folder, ('cat', 'cow'), 2))
    assert "error a class of the config is unknown 1 'cow'" in printed
    assert "note a category is not among the classes of the config 1 'dog'" in printed
    # of train, of val
    assert 'error no annotations 1' in printed and 'note no annotations 1' in printed


@pytest.mark.parametrize(
    ('change', 'finding'),
    [
        (
            lambda data: data['images'][0].update(file_name='v1/9.jpg'),
            'error images are missing 1 image 1: ',
        ),
        (
            lambda data: data['annotations'][0].update(image_id=4),
            'error an annotation is not usable 1 annotation 1: there is no image 4',
        ),
        (
            lambda data: data['annotations'][0].update(segmentation=[[1, 2]]),
            'error a mask is not usable 1 annotation 1: a polygon',
        ),
        (
            lambda data: data['annotations'][0].update(segmentation=[]),
            'note an annotation has no mask 1 annotation 1',
        ),
        (
            lambda data: data['annotations'].append(data['annotations'][0]),
            'error annotations have the same id 1 annotation 1, 2 times',
        ),
        (
            lambda data: data['annotations'][0].update(iscrowd=1),
            'error crowds are not trained on 1 1 of its',
        ),
        (lambda data: data.pop('images'), 'error the file is not usable 1'),
    ],
)
def test_faults_of_image_sets(
    check: Check, folder: Path, tmp_path: Path, change: Callable, finding: str
) -> None:
    path = write_config(tmp_path, folder, ('cat', 'dog'), 2)
    data = json.loads((folder / 'coco.json').read_text())
    change(data)
    (folder / 'coco.json').write_text(json.dumps(data))
    code, printed = check(path)
    assert finding in printed and code == finding.startswith('error')


def test_headers_of_all_label_images_are_read(check: Check, tmp_path: Path) -> None:
    root = mask_folder(tmp_path)
    gray = Image.new('L', (20, 12), 255)
    Image.merge('LA', (gray, gray)).save(root / 'Annotations/a/f2.png')
    code, printed = check(root)
    assert code == 0 and 'alpha channel' in printed and 'video a: f2.png' in printed
    labels(root, 'b/f2.png', np.zeros((6, 10), np.uint8))
    assert 'error label images of one video have several sizes 1 video b: f2.png' in check(root)[1]
    gray.convert('RGB').save(root / 'Annotations/b/f2.png')
    assert 'error a label image cannot be read 1' in check(root)[1]
