"""Converters between YouTube-VIS, COCO, MOTS and label images: nothing that both formats can hold
is lost, faults are named.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from random_tracks import CATEGORIES, content, noise_videos, pixels, rle

from mmvos.cli import check
from mmvos.cli.main import main
from mmvos.datasets import YouTubeVISDataset

MOTS_CLASSES = ','.join(f'{category["id"]}={category["name"]}' for category in CATEGORIES)
Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Calls a converter on arguments; data becomes a file. Returns the folder."""

    def call(name: str, *arguments: object) -> Path:
        made = []
        for place, argument in enumerate(arguments):
            if isinstance(argument, (dict, list)):
                (tmp_path / f'given{place}.json').write_text(json.dumps(argument))
                argument = tmp_path / f'given{place}.json'
            made.append(
                str(
                    tmp_path / argument
                    if isinstance(argument, str) and argument.startswith('out')
                    else argument
                )
            )
        main(['convert', name, *made])
        return tmp_path

    return call


def open_as_training_does(folder: Path, data: dict[str, Any]) -> None:
    """The data set takes a converted file as it is, and has every frame that shows an object."""
    (folder / 'opened.json').write_text(json.dumps(data))
    dataset = YouTubeVISDataset('opened.json', str(folder), dict(img_path='frames'))
    shown = [
        any(
            entry['segmentations'][t]
            for entry in data['annotations']
            if entry['video_id'] == video['id'] and not entry['iscrowd']
        )
        for video in data['videos']
        for t in range(len(video['file_names']))
    ]
    assert len(dataset) == sum(shown)


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def results_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The annotations as a results file, with falling scores."""
    return [
        {
            'video_id': entry['video_id'],
            'category_id': entry['category_id'],
            'segmentations': entry['segmentations'],
            'score': 1 - place / 20,
        }
        for place, entry in enumerate(data['annotations'])
    ]


def write_frames(folder: Path, data: dict[str, Any]) -> Path:
    for video in data['videos']:
        for name in video['file_names']:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (video['width'], video['height'])).save(folder / name)
    return folder


@pytest.mark.parametrize('seed', [0, 1])
def test_coco_there_and_back(run: Run, seed: int, capsys: pytest.CaptureFixture) -> None:
    data = noise_videos(seed)
    data['annotations'][0]['iscrowd'] = 1
    data['annotations'][1]['bboxes'][0] = [0.5, 1.0, 3.0, 4.25]  # stated boxes and areas are kept
    data['annotations'][1]['areas'][0] = 7.5
    out = run('youtube_vis_to_coco', data, 'out/coco.json')
    coco = load(out / 'out/coco.json')
    assert (
        len(coco['images']) == 12
        and len({row['id'] for row in coco['annotations']}) == len(coco['annotations']) == 46
    )
    assert [(row['video_id'], row['frame_id']) for row in coco['images']] == [
        (v, t) for v in (5, 2) for t in range(6)
    ]
    run(
        'coco_to_youtube_vis', coco, 'out/back.json', '--frames', write_frames(out / 'frames', data)
    )
    back = load(out / 'out/back.json')
    assert content(back) == content(data)
    open_as_training_does(out, back)
    assert [video['id'] for video in back['videos']] == [5, 2] and back['categories'] == CATEGORIES
    assert back['annotations'][1]['bboxes'] == data['annotations'][1]['bboxes']
    assert back['annotations'][1]['areas'] == data['annotations'][1]['areas']
    assert 'note: 4 of 46 annotations are crowds' in capsys.readouterr().out


def test_coco_of_other_writers(run: Run) -> None:
    """Images in any order without video_id, ids in attributes, polygons in two parts, run lengths
    as lists, boxes only.
    """
    images = [
        {'id': i, 'file_name': name, 'height': 8, 'width': 10}
        for i, name in enumerate(('b/f10.png', 'a/x.png', 'b/f9.png'), 1)
    ]
    parts = [[0, 0, 4, 0, 4, 3, 0, 3], [6, 5, 9, 5, 9, 8, 6, 8]]
    drawn = np.zeros((8, 10), np.uint8)
    drawn[:3, :4] = drawn[5:, 6:9] = 1
    rows = [
        dict(image_id=1, attributes={'track_id': 0}, segmentation=parts),
        dict(
            image_id=3,
            attributes={'track_id': 0},
            segmentation={'size': [8, 10], 'counts': [16, 3, 61]},
        ),
        dict(image_id=2, instance_id=0, segmentation=[], bbox=[1, 2, 3, 4]),
    ]
    annotations = [dict(row, id=7 + i, category_id=2, iscrowd=0) for i, row in enumerate(rows)]
    coco = {'images': images, 'annotations': annotations, 'categories': [{'id': 2, 'name': 'cat'}]}
    with pytest.raises(
        SystemExit,
        match=r'given0\.json: .*annotation 9 .*--fill-boxes',
    ):
        run('coco_to_youtube_vis', coco, 'out.json')
    data = load(run('coco_to_youtube_vis', coco, 'out.json', '--fill-boxes') / 'out.json')
    assert [video['file_names'] for video in data['videos']] == [
        ['b/f9.png', 'b/f10.png'],
        ['a/x.png'],
    ]
    in_b, in_a = data['annotations']
    assert in_b['segmentations'][1] == parts and (pixels(parts, 8, 10) == drawn).all()
    assert in_b['areas'] == [3, 21] and in_b['bboxes'][0] == [2, 0, 1, 3]
    assert (
        in_a['bboxes'] == [[1, 2, 3, 4]]
        and pixels(in_a['segmentations'][0], 8, 10)[2:6, 1:4].sum() == 12 == in_a['areas'][0]
    )
    assert [entry['id'] for entry in data['annotations']] == [1, 2] and in_b['object_id'] == in_a[
        'object_id'
    ] == 0


def tracked_coco(separator: str, crowds: list[int]) -> dict[str, Any]:
    """Two videos of two frames each, with object 1 in all of them."""
    square = [[1, 1, 5, 1, 5, 4, 1, 4]]
    images = []
    for number in range(4):
        name = f'vid{number // 2 + 1}{separator}{number % 2:05d}.jpg'
        images.append({'id': number + 1, 'file_name': name, 'height': 8, 'width': 10})
    rows = [
        dict(id=image['id'], image_id=image['id'], category_id=1, track_id=1, iscrowd=crowd)
        for image, crowd in zip(images, crowds, strict=True)
    ]
    annotations = [row | {'segmentation': square} for row in rows]
    return {
        'images': images,
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'car'}],
    }


def test_coco_written_on_windows_has_as_many_videos_as_folders(run: Run) -> None:
    out = run('coco_to_youtube_vis', tracked_coco('\\', [0] * 4), 'out/windows.json')
    run('coco_to_youtube_vis', tracked_coco('/', [0] * 4), 'out/linux.json')
    data = load(out / 'out/windows.json')
    assert data == load(out / 'out/linux.json')
    assert [video['file_names'][0] for video in data['videos']] == [
        'vid1/00000.jpg',
        'vid2/00000.jpg',
    ]
    assert len(data['annotations']) == 2


def test_a_file_without_objects_is_written_for_tests_and_checked_as_such(
    run: Run, capsys: pytest.CaptureFixture
) -> None:
    data = tracked_coco('/', [0] * 4) | {'annotations': []}
    file = run('coco_to_youtube_vis', data, 'out/empty.json') / 'out/empty.json'
    assert 'note: 1 file without objects' in capsys.readouterr().out
    for options, status in (([], 1), (['--test'], 0)):
        with pytest.raises(SystemExit) as end:
            check.main([str(file), *options])
        # what is refused says how it is taken
        printed = capsys.readouterr().out
        assert end.value.code == status and 'no annotations' in printed and '--test' in printed


@pytest.mark.parametrize('name', ['../../evil.jpg', '/data/v/0.jpg', 'C:\\v\\0.jpg', 'v/a\0.jpg'])
def test_file_names_that_lead_out_are_refused(run: Run, tmp_path: Path, name: str) -> None:
    data = tracked_coco('/', [0] * 4)
    data['images'][2]['file_name'] = name
    with pytest.raises(SystemExit, match=r'given0\.json: image 3: the name'):
        run('coco_to_youtube_vis', data, 'out/x.json')
    assert not (tmp_path / 'out/x.json').exists()


def test_crowds_of_cvat_are_counted_and_can_be_taken_for_objects(
    run: Run, capsys: pytest.CaptureFixture
) -> None:
    out = run('coco_to_youtube_vis', tracked_coco('/', [1, 1, 0, 0]), 'out/a.json')
    assert [row['iscrowd'] for row in load(out / 'out/a.json')['annotations']] == [1, 0]
    assert 'note: 2 of 4 annotations are crowds' in capsys.readouterr().out
    mixed = tracked_coco('/', [1, 0, 0, 0])
    with pytest.raises(SystemExit, match=r'annotation 2 .*iscrowd 0.*--ignore-iscrowd'):
        run('coco_to_youtube_vis', mixed, 'out/b.json')
    run('coco_to_youtube_vis', mixed, 'out/b.json', '--ignore-iscrowd')
    data = load(out / 'out/b.json')
    assert [row['iscrowd'] for row in data['annotations']] == [0, 0]
    assert data['annotations'][0]['areas'] == [12, 12]
    assert 'are crowds' not in capsys.readouterr().out


def change(key: str, place: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data[key][place].update(values)


def drop(key: str, place: int, name: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data[key][place].pop(name) and None


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (lambda data: data.pop('images'), r'given0.json has no list "images"'),
        (change('images', 3, id=1), 'image 1 stands twice'),
        (
            change('images', 3, height=7),
            r'image 4 is 7 x 17, but the first image of its video is 11 x 17',
        ),
        (change('images', 3, frame_id=2), 'images 3 and 4 both have the frame_id 2'),
        (drop('images', 3, 'video_id'), 'image 4: "video_id" is missing'),
        (change('annotations', 2, id=1), 'annotation 1 stands twice'),
        (change('annotations', 2, image_id=77), 'annotation 3 belongs to image 77'),
        (
            change('annotations', 2, category_id=99),
            'annotation 3 has the category 99, which the file does not list',
        ),
        (
            change('annotations', 2, category_id=8),
            'annotation 3 has the category_id 8, but annotation 1 of the same object has 12',
        ),
        (change('annotations', 2, iscrowd=1), 'annotation 3 has the iscrowd 1'),
        (
            change('annotations', 2, track_id=3, image_id=1),
            'object 3 has another annotation in image 1',
        ),
        (
            change('annotations', 2, segmentation={'size': [9, 9], 'counts': 'x'}),
            r'annotation 3: the mask has size \[9, 9\]',
        ),
        (
            change('annotations', 2, segmentation=[[1, 2, 3]]),
            'annotation 3: a polygon of the mask has 3 numbers',
        ),
        (
            change('annotations', 2, segmentation=[[0, 0, 1e9, 0, 1, 1]]),
            'annotation 3: a polygon of the mask has a point far out',
        ),
        (change('annotations', 2, bbox=[1, 2]), r'annotation 3: the box \[1, 2\]'),
        (change('annotations', 2, track_id='7'), '"track_id" is \'7\'; it must be a whole number'),
        (change('categories', 0, name='dog'), 'the name "dog" appears twice'),
    ],
)
def test_faults_of_coco_files_are_named(
    run: Run, tmp_path: Path, spoil: Callable, sentence: str
) -> None:
    run('youtube_vis_to_coco', noise_videos(0), 'out/coco.json')
    data = load(tmp_path / 'out/coco.json')
    spoil(data)
    with pytest.raises(SystemExit, match=sentence):
        run('coco_to_youtube_vis', data, 'out/back.json')
    assert not (tmp_path / 'out/back.json').exists()


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (lambda data: data.pop('videos'), 'given0.json has no list "videos"'),
        (lambda data: data.update(categories=[]), 'given0.json has no categories'),
        (change('categories', 1, id=3), 'the id 3 appears twice'),
        (change('videos', 0, length=7), 'its length is 7, but it has 6 file_names'),
        (change('videos', 0, file_names=None), 'it has no list of file_names'),
        (
            change('videos', 0, height=1 << 20),
            r'video 5 .*: its height and width are 1048576 and 17',
        ),
        (
            change('videos', 0, height=12),
            r'annotation 2, frame 2: the mask has size \[11, 17\]',
        ),
        (change('annotations', 1, id=2), 'annotation 2: another annotation has the same id'),
        (
            change('annotations', 1, object_id=2),
            'annotation 3 has the object id 2; the objects of a video have different numbers',
        ),
        (
            change('annotations', 1, video_id=7),
            'annotation 3: there is no video 7',
        ),
        (
            change('annotations', 1, category_id=7),
            'annotation 3: there is no category 7',
        ),
        (
            change('annotations', 1, segmentations=[None]),
            'annotation 3 has 1 segmentations but video 5 has 6 frames',
        ),
        (
            change('annotations', 1, bboxes=[None]),
            'annotation 3: its "bboxes" has 1 entries',
        ),
        (drop('annotations', 1, 'segmentations'), 'annotation 3 has no list "segmentations"'),
    ],
)
def test_faults_of_youtube_vis_files_are_named(run: Run, spoil: Callable, sentence: str) -> None:
    data = noise_videos(0)
    spoil(data)
    with pytest.raises(SystemExit, match=sentence):
        run('youtube_vis_to_mots', data, 'out/x')


def test_missing_frames_and_cut_files_are_named(run: Run, tmp_path: Path) -> None:
    data = noise_videos(0)
    run('youtube_vis_to_coco', data, 'out/coco.json')
    frames = write_frames(tmp_path / 'frames', data)
    Image.new('RGB', (9, 9)).save(frames / 'night/shot b02.jpg')
    with pytest.raises(SystemExit, match=r'frame 2: .*b02\.jpg is 9x9, .* 9x24'):
        run('coco_to_youtube_vis', tmp_path / 'out/coco.json', 'out/back.json', '--frames', frames)
    (frames / 'bear-1/shot a01.jpg').unlink()
    with pytest.raises(SystemExit, match=r'bear-1, frame 1: .*a01\.jpg is missing'):
        run('coco_to_youtube_vis', tmp_path / 'out/coco.json', 'out/back.json', '--frames', frames)
    text = (tmp_path / 'out/coco.json').read_text()
    for name, cut in (('coco_to_youtube_vis', text[:900]), ('youtube_vis_to_mots', text[:900])):
        (tmp_path / 'cut.json').write_text(cut)
        with pytest.raises(SystemExit, match=r'cut\.json is not valid JSON'):
            run(name, tmp_path / 'cut.json', 'out/x')
    with pytest.raises(SystemExit, match=r'nowhere.json cannot be read'):
        run('coco_to_youtube_vis', tmp_path / 'nowhere.json', 'out/x')


@pytest.mark.parametrize('seed', [2, 3])
def test_mots_there_and_back(
    run: Run, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture
) -> None:
    data = noise_videos(seed)
    run('youtube_vis_to_mots', data, 'out/mots')
    printed = capsys.readouterr().out
    assert MOTS_CLASSES in printed and 'reading back needs --frames' in printed
    texts = [tmp_path / 'out/mots' / name / 'gt/gt.txt' for name in ('bear-1', 'night')]
    first = texts[0].read_text().splitlines()[0].split()
    assert first[:5] == ['1', '3', '3', '11', '17']  # object 2 comes later, object 3 is a cat
    frames = write_frames(tmp_path / 'frames', data)
    run(
        'mots_to_youtube_vis',
        *texts,
        'out/back.json',
        '--classes',
        MOTS_CLASSES,
        '--frames',
        frames,
    )
    back = load(tmp_path / 'out/back.json')
    assert content(back) == content(data)
    assert back['categories'] == CATEGORIES
    open_as_training_does(tmp_path, back)
    # length comes from seqinfo.ini
    run('mots_to_youtube_vis', *texts, 'out/bare.json', '--classes', MOTS_CLASSES)
    bare = load(tmp_path / 'out/bare.json')
    assert content(bare, names=False) == content(data, names=False)
    assert bare['videos'][0]['file_names'][5] == 'bear-1/img1/000006.jpg'
    run('youtube_vis_to_mots', bare, 'out/again')
    assert [path.read_text() for path in texts] == [
        (tmp_path / 'out/again' / path.relative_to(tmp_path / 'out/mots')).read_text()
        for path in texts
    ]


def test_mots_line_as_published(run: Run, tmp_path: Path) -> None:
    """The example line of the format's page, under KITTI's names; 283 pixels is pycocotools' number
    for that string.
    """
    counts = (
        'WSV:2d;1O10000O10000O1O100O100O1O100O1000000000000000O100O102N5K00O1O1N2O110OO2O001O1NTga3'
    )
    (tmp_path / '0007.txt').write_text(f'52 1005 1 375 1242 {counts}\n')
    data = load(
        run('mots_to_youtube_vis', tmp_path / '0007.txt', 'out.json', '--frame-numbers', 'name')
        / 'out.json'
    )
    assert (
        data['videos'][0]['length'] == 53
        and data['videos'][0]['file_names'][52] == '0007/img1/000052.jpg'
    )
    assert [t for t, mask in enumerate(data['annotations'][0]['segmentations']) if mask] == [52]
    mask = pixels(data['annotations'][0]['segmentations'][52], 375, 1242)
    assert data['annotations'][0]['areas'][52] == mask.sum() == 283
    assert data['annotations'][0]['object_id'] == data['annotations'][0]['id'] == 1005


def test_regions_to_be_ignored(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Groups and void become id 10000; 10000 becomes one crowd object per class, and those again id
    10000.
    """
    data = noise_videos(4)
    data['annotations'][0]['iscrowd'] = 1
    void = np.zeros((11, 17), bool)
    shown = [
        pixels(entry['segmentations'][5], 11, 17)
        for entry in data['annotations'][:5]
        if entry['segmentations'][5]
    ]
    void[~np.any(shown, 0)] = True
    data['videos'][0]['void'] = [None] * 5 + [rle(void)]
    run('youtube_vis_to_mots', data, 'out/mots')
    assert '1 groups (iscrowd) become regions to be ignored' in capsys.readouterr().out
    text = (tmp_path / 'out/mots/bear-1/gt/gt.txt').read_text()
    assert [
        line.split()[0] for line in text.splitlines() if line.split()[1:3] == ['10000', '10']
    ] == ['3', '4', '5', '6']
    run(
        'mots_to_youtube_vis',
        tmp_path / 'out/mots/bear-1/gt/gt.txt',
        'out/back.json',
        '--classes',
        MOTS_CLASSES,
    )
    back = load(tmp_path / 'out/back.json')
    crowds = [entry for entry in back['annotations'] if entry['iscrowd']]
    assert [entry['category_id'] for entry in crowds] == [3, 8, 12]
    expected = void | (pixels(data['annotations'][0]['segmentations'][5], 11, 17) > 0)
    assert all((pixels(entry['segmentations'][5], 11, 17) == expected).all() for entry in crowds)
    run('youtube_vis_to_mots', back, 'out/again')
    assert (tmp_path / 'out/again/bear-1/gt/gt.txt').read_text() == text


def overlapping() -> dict[str, Any]:
    """Object 1 is the left half of 4 x 6 pixels and has a lower score, object 2 four of its pixels
    and two more.
    """
    masks = np.zeros((2, 4, 6), bool)
    masks[0, :, :3] = masks[1, 1:3, 1:4] = True
    annotations = [
        {'id': 300 + i, 'video_id': 1, 'category_id': 1, 'segmentations': [rle(mask)]}
        for i, mask in enumerate(masks)
    ]
    return {
        'videos': [{'id': 1, 'height': 4, 'width': 6, 'file_names': ['v/0.jpg']}],
        'categories': [{'id': 1, 'name': 'cat'}],
        'annotations': annotations,
    }


def test_overlaps_in_mots(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(
        SystemExit,
        match='frame 0: objects 300 and 301 overlap',
    ):
        run('youtube_vis_to_mots', overlapping(), 'out')
    results = results_of(overlapping())
    areas = {}
    for policy, more in (('smaller', []), ('confident', ['--results', results])):
        run(
            'youtube_vis_to_mots',
            overlapping(),
            f'out/{policy}',
            '--overlaps',
            policy,
            '--ids',
            'number',
            *more,
        )
        lines = [
            line.split()
            for line in (tmp_path / f'out/{policy}/v/gt/gt.txt').read_text().splitlines()
        ]
        assert [line[1] for line in lines] == ['1001', '1002']
        areas[policy] = [
            int(pixels({'size': [4, 6], 'counts': line[5]}, 4, 6).sum()) for line in lines
        ]
    assert areas == {'smaller': [8, 6], 'confident': [12, 2]}
    assert (
        '1 frames have overlapping masks; shared pixels went to one object'
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ('line', 'sentence'),
    [
        ('1 1001 1 5 5', 'line 2 is not of the form'),
        ('1 x 1 5 5 abc', 'line 2 is not of the form'),
        (
            '1 1001 3 5 5 P1',
            r'object 1001 has the class 3, which is none of --classes \(1=car, 2=pedestrian\)',
        ),
        ('1 1001 1 5 6 P1', r'line 2 has the size 5 x 6, but the lines before 5 x 5'),
        (
            '1 1001 1 5 5 P1',
            'line 2: the run lengths of the mask go beyond the 25 pixels',
        ),
        ('1 1001 1 5 5 ~~', 'line 2: the run lengths of the mask are malformed'),
        ('2 2001 2 5 5 i0', 'line 2: object 2001 has a second mask in frame 2'),
        ('3 2001 1 5 5 i0', 'line 2: object 2001 has the class 1 here and 2 before'),
        ('0 1001 1 5 5 i0', 'there is no frame 0, the frames are 1 to 2; choose --frame-numbers'),
    ],
)
def test_faults_of_mots_files_are_named(run: Run, tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / 'v.txt').write_text(f'2 2001 2 5 5 i0\n{line}\n')
    with pytest.raises(SystemExit, match=sentence):
        run('mots_to_youtube_vis', tmp_path / 'v.txt', 'out.json')


def test_results_to_all_formats(run: Run, tmp_path: Path) -> None:
    """The annotation file may lack annotations; entries below the score are left out; ids are
    places in the video.
    """
    data = noise_videos(5)
    results = results_of(data)
    bare = dict(data, annotations=None)
    run('youtube_vis_to_coco', bare, 'out/coco.json', '--results', results, '--min-score', 0.7)
    coco = load(tmp_path / 'out/coco.json')
    assert {(row['video_id'], row['track_id'], row['score']) for row in coco['annotations']} == {
        (5, 1, 1.0),
        (5, 2, 0.95),
        (5, 3, 0.9),
        (5, 4, 0.85),
        (5, 5, 0.8),
        (2, 1, 0.75),
        (2, 2, 0.7),
    }
    run('youtube_vis_to_davis', bare, 'out/davis', '--results', results)
    labels = np.array(Image.open(tmp_path / 'out/davis/Annotations/480p/night/shot a01.png'))
    for place, entry in enumerate(data['annotations'][5:], 1):
        mask = entry['segmentations'][1]
        assert ((labels == place) == (pixels(mask, 24, 9) if mask else np.zeros((24, 9)))).all()
    # without an annotation file
    run('youtube_vis_to_coco', results, 'out/alone.json', '--min-score', 0.7)
    alone = load(tmp_path / 'out/alone.json')
    assert (
        alone['annotations'] == coco['annotations']
        and alone['images'][6]['file_name'] == 'video_2/00000.jpg'
    )
    assert [category['name'] for category in alone['categories']] == [
        'class_3',
        'class_8',
        'class_12',
    ]
    with pytest.raises(SystemExit, match=r'given0.json has no result'):
        run('youtube_vis_to_coco', [dict(results[0], segmentations=[None] * 6)], 'out/alone.json')
    with pytest.raises(SystemExit, match=r'given0.json has no annotations'):
        run('youtube_vis_to_mots', bare, 'out/mots')
    with pytest.raises(SystemExit, match=r'given3.json: entry 0 belongs to video 77'):
        run('youtube_vis_to_mots', bare, 'out/mots', '--results', [dict(results[0], video_id=77)])


def test_ids_that_label_images_cannot_hold(run: Run, tmp_path: Path) -> None:
    data = noise_videos(6)
    data['annotations'][4]['object_id'] = 70000
    with pytest.raises(
        SystemExit,
        match=r'object 70000 .* --ids number',
    ):
        run('youtube_vis_to_davis', data, 'out')
    run('youtube_vis_to_davis', data, 'out', '--ids', 'number')
    labels = np.array(Image.open(tmp_path / 'out/Annotations/480p/bear-1/shot b02.png'))
    assert (
        (labels == 5) == pixels(data['annotations'][4]['segmentations'][2], 11, 17)
    ).all() and labels.max() == 5


def test_an_empty_mask_and_an_object_never_seen_are_counted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data = noise_videos(7)
    gone = copy.deepcopy(data['annotations'][0])
    nothing = rle(np.zeros((11, 17), bool))
    gone.update(
        id=77,
        object_id=77,
        segmentations=[nothing] + [None] * 5,
        bboxes=[None] * 6,
        areas=[None] * 6,
    )
    data['annotations'].append(gone)
    run('youtube_vis_to_coco', data, 'out/coco.json')
    printed = capsys.readouterr().out
    assert (
        'note: 1 masks without a pixel are left out (the first: video bear-1, object 77, frame 0)'
        in printed
    )
    assert 'note: 1 objects that no frame shows are left out' in printed
    assert 77 not in {row['track_id'] for row in load(tmp_path / 'out/coco.json')['annotations']}
