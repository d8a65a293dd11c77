"""Converters from annotation tools and YouTube-VOS folders to YouTube-VIS: shapes against drawn
pixels, faults named.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from random_tracks import CATEGORIES, content, noise_videos, overlap_of, pixels

from mmvos.cli.main import main
from mmvos.io.label_png import write_label_png
from mmvos.io.youtube_vis import annotation_problems, video_problems

HEIGHT, WIDTH = 60, 90
# of a filled polygon and the same outline drawn by another program, 8 times finer
LEAST_OVERLAP = 0.96
Convert = Callable[..., dict[str, Any]]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Calls a converter on paths and gives the content of the file that it writes."""

    def call(name: str, *arguments: object, options: tuple[object, ...] = ()) -> dict[str, Any]:
        out = tmp_path / 'out.json'
        main(['convert', name, *map(str, (*arguments, out, *options))])
        data = json.loads((tmp_path / 'out.json').read_text())
        assert not list(video_problems(data['videos']))
        assert not list(
            annotation_problems(data['annotations'], data['videos'], data['categories'])
        )
        return data

    return call


def disc(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def drawn(points: list) -> np.ndarray:
    """The pixels that a polygon covers by half or more."""
    fine = np.zeros((8 * HEIGHT, 8 * WIDTH), np.uint8)
    cv2.fillPoly(fine, [np.round(8 * np.array(points) - 0.5).astype(np.int32)], 1)
    return fine.reshape(HEIGHT, 8, WIDTH, 8).mean((1, 3)) >= 0.5


def tracks_by_id(data: dict[str, Any]) -> dict[tuple[int, int], dict[str, Any]]:
    return {(entry['video_id'], entry['object_id']): entry for entry in data['annotations']}


# labelme


def shape(
    label: str,
    points: list[list[float]],
    kind: str = 'polygon',
    group: int | None = 1,
    mask: str | None = None,
) -> dict:
    return {
        'label': label,
        'points': points,
        'group_id': group,
        'shape_type': kind,
        'flags': {},
        'description': '',
        'mask': mask,
    }


def labelme(folder: Path, stem: str, shapes: list[dict], **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (WIDTH, HEIGHT)).save(folder / f'{stem}.jpg')
    data = {
        'version': '5.5.0',
        'flags': {},
        'shapes': shapes,
        'imagePath': f'{stem}.jpg',
        'imageData': None,
        'imageHeight': HEIGHT,
        'imageWidth': WIDTH,
    } | more
    (folder / f'{stem}.json').write_text(json.dumps(data))


def png(mask: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, 'PNG')
    return base64.b64encode(stream.getvalue()).decode()


def test_labelme_shapes(convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    noise = np.random.default_rng(0).random((20, 31)) < 0.5
    star = [
        [45 + r * np.cos(a), 30 + r * np.sin(a)]
        for a, r in zip(np.linspace(0, 6.28, 10, endpoint=False), [28, 14] * 5)
    ]
    root = tmp_path / 'frames'
    labelme(
        root / 'kitchen',
        'img2',
        [
            shape('cup', [[70, 10], [20, 50]], 'rectangle', 7),
            shape('dog', [[50, 30], [50, 48]], 'circle', 0),
            shape('dog', [[1, 2]], 'point', None),
        ],
    )
    labelme(
        root / 'kitchen',
        'img10',
        [
            shape('dog', star, group=0),
            shape('cup', [[5, 5], [35, 24]], 'mask', 7, png(noise)),
            shape('cup', [[80, 40], [90, 60]], 'rectangle', 7),
        ],
    )
    Image.new('RGB', (WIDTH, HEIGHT)).save(root / 'kitchen/img9.jpg')
    labelme(root / 'garden', 'x', [shape('cat', [[2, 3], [10, 3], [10, 9]], group=7)])
    data = convert('labelme_to_youtube_vis', root)
    assert [category['name'] for category in data['categories']] == ['cat', 'cup', 'dog']
    assert [video['file_names'] for video in data['videos']] == [
        ['garden/x.jpg'],
        ['kitchen/img2.jpg', 'kitchen/img10.jpg'],
    ]
    tracks = tracks_by_id(data)
    assert set(tracks) == {(1, 7), (2, 0), (2, 7)}
    cup, dog = tracks[2, 7]['segmentations'], tracks[2, 0]['segmentations']
    box = np.zeros((HEIGHT, WIDTH), bool)
    box[10:50, 20:70] = True
    assert (pixels(cup[0], HEIGHT, WIDTH) == box).all() and tracks[2, 7]['bboxes'][0] == [
        20,
        10,
        50,
        40,
    ]
    both = np.zeros((HEIGHT, WIDTH), bool)
    both[5:25, 5:36] = noise
    both[40:60, 80:90] = True
    assert (pixels(cup[1], HEIGHT, WIDTH) == both).all() and tracks[2, 7]['areas'][1] == both.sum()
    assert overlap_of(pixels(dog[0], HEIGHT, WIDTH), disc(50, 30, 18, 18)) > LEAST_OVERLAP
    assert overlap_of(pixels(dog[1], HEIGHT, WIDTH), drawn(star)) > LEAST_OVERLAP
    assert dog[1] == [pytest.approx([value for point in star for value in point])]
    printed = capsys.readouterr().out
    assert '1 frames without a JSON are left out' in printed and 'kitchen/img9.jpg' in printed
    assert '1 lines and points have no area' in printed
    data = convert(
        'labelme_to_youtube_vis', root, options=('--unlabeled', 'empty', '--classes', 'dog,cup,cat')
    )
    assert (
        data['videos'][1]['file_names'][1] == 'kitchen/img9.jpg'
        and tracks_by_id(data)[2, 7]['segmentations'][1] is None
    )
    assert [category['name'] for category in data['categories']] == ['dog', 'cup', 'cat']


def test_labelme_of_one_video_by_label(convert: Convert, tmp_path: Path) -> None:
    for stem, x in (('b', 3), ('a', 0)):
        labelme(
            tmp_path / 'one',
            stem,
            [shape(label, [[x, 0], [x + 9, 8]], 'rectangle', None) for label in ('cat', 'dog')],
        )
    with pytest.raises(SystemExit, match=r'a.json: shape 0 \("cat"\) has no group_id'):
        convert('labelme_to_youtube_vis', tmp_path / 'one')
    data = convert('labelme_to_youtube_vis', tmp_path / 'one', options=('--track-by', 'label'))
    assert data['videos'][0]['file_names'] == ['one/a.jpg', 'one/b.jpg']
    assert [entry['bboxes'] for entry in data['annotations']] == [[[0, 0, 9, 8], [3, 0, 9, 8]]] * 2


@pytest.mark.parametrize(
    ('shapes', 'more', 'sentence'),
    [
        (
            [shape('dog', [[0, 0], [5, 5]])],
            {},
            r'v.b.json: shape 0: a polygon of the mask has 4 numbers',
        ),
        (
            [shape('dog', [[0, 0], [5, 5], [0]])],
            {},
            r'b.json: shape 0: the point \[0\] is not \[x, y\]',
        ),
        (
            [shape('dog', [[0, 0]], 'rectangle')],
            {},
            r'shape 0: a polygon of the mask has 2 numbers',
        ),
        ([shape('dog', [[0, 0]], 'cone')], {}, r"shape 0 is a 'cone' of 1 points"),
        ([shape('dog', [[0, 0]], 'mask', 1, 'AAAA')], {}, r'shape 0: its mask is not an image'),
        (
            [shape('dog', [[85, 0]], 'mask', 1, png(np.ones((9, 9), bool)))],
            {},
            r'mask of 9 x 9 .* lies outside of the frame',
        ),
        (
            [shape('cat', [[0, 0], [5, 5]], 'rectangle')],
            {},
            r'shape 0: object 1 is "cat" here and "dog" in an earlier frame',
        ),
        ([{'points': []}], {}, r'shape 0: "label" is missing'),
        (
            [],
            {'imageHeight': 50},
            r'b.json says 50 x 90, but the first frame of the video is 60 x 90',
        ),
        ([], {'imageHeight': None}, r'"imageHeight" is missing'),
        ([], {'imagePath': 'c.jpg'}, r'frame 1: .*c.jpg is missing'),
        ([], {'imagePath': '../../../c.jpg'}, r'its imagePath leads outside of'),
        ([], {'imagePath': 'a.jpg'}, r'b.json and a.json are both about the image v/a.jpg'),
    ],
)
def test_faults_of_labelme_files_are_named(
    convert: Convert, tmp_path: Path, shapes: list, more: dict, sentence: str
) -> None:
    labelme(tmp_path / 'root/v', 'a', [shape('dog', [[0, 0], [5, 5]], 'rectangle')])
    labelme(tmp_path / 'root/v', 'b', shapes, **more)
    with pytest.raises(SystemExit, match=sentence):
        convert('labelme_to_youtube_vis', tmp_path / 'root')


def test_an_unknown_class_and_a_cut_file(convert: Convert, tmp_path: Path) -> None:
    labelme(tmp_path / 'v', 'a', [shape('dog', [[0, 0], [5, 5]], 'rectangle')])
    with pytest.raises(SystemExit, match='"dog", which is none of cat'):
        convert('labelme_to_youtube_vis', tmp_path / 'v', options=('--classes', 'cat'))
    (tmp_path / 'v/b.json').write_text('{"shapes": [')
    with pytest.raises(SystemExit, match=r'b\.json is not valid JSON'):
        convert('labelme_to_youtube_vis', tmp_path / 'v')
    with pytest.raises(SystemExit, match=r'nowhere is no folder'):
        convert('labelme_to_youtube_vis', tmp_path / 'nowhere')


# CVAT


def cvat(tracks: str, size: int = 6, meta: str = '') -> str:
    labels = ''.join(f'<label><name>{name}</name></label>' for name in ('dog', 'cat'))
    return (
        f'<?xml version="1.0" '
        f'encoding="utf-8"?><annotations><version>1.1</version><meta><task><size>{size}</size>{meta}'
        f'<labels>{labels}</labels><original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size></task></meta>{tracks}'
        '</annotations>'
    )


def box(
    frame: int, x: float, y: float, w: float, h: float, outside: int = 0, more: str = ''
) -> str:
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="1" xtl="{x}" ytl="{y}" '
        f'xbr="{x + w}" ybr="{y + h}" '
        f'z_order="0" {more}><attribute name="a">b</attribute></box>'
    )


def polygon(frame: int, points: list[tuple[float, float]], outside: int = 0) -> str:
    text = ';'.join(f'{x},{y}' for x, y in points)
    return (
        f'<polygon frame="{frame}" keyframe="1" outside="{outside}" occluded="0" points="{text}"/>'
    )


def drawn_mask(frame: int, left: int, top: int, part: np.ndarray) -> str:
    flat, runs = part.ravel().tolist(), [0]
    for place, value in enumerate(flat):
        if value != (len(runs) % 2 == 0):
            runs.append(0)
        runs[-1] += 1
        assert sum(runs) == place + 1
    return (
        f'<mask frame="{frame}" keyframe="1" outside="0" occluded="0" '
        f'rle="{", ".join(map(str, runs))}" left="{left}" '
        f'top="{top}" width="{part.shape[1]}" height="{part.shape[0]}"/>'
    )


def track(number: int, label: str, *shapes: str) -> str:
    return f'<track id="{number}" label="{label}" source="manual">{"".join(shapes)}</track>'


@pytest.mark.parametrize(('start', 'end'), [(350, 10), (-10, 10), (10, -10), (10, 350), (710, 370)])
def test_cvat_boxes_turn_the_shorter_way(
    convert: Convert, tmp_path: Path, start: float, end: float
) -> None:
    """Half-way from 350 to 10 degrees a box stands upright; the long way it would lie at 180, and
    at a quarter of the way at 265.
    """
    shapes = [
        box(frame, 20, 10, 40, 20, more=f'rotation="{angle}"')
        for frame, angle in ((0, start), (4, end))
    ]
    (tmp_path / 'a.xml').write_text(cvat(track(0, 'cat', *shapes), 5))
    data = convert('cvat_to_youtube_vis', tmp_path / 'a.xml')
    (turned_by_10, turned_by_5, upright, *_) = data['annotations'][0]['segmentations']
    assert np.allclose(upright[0], [20, 10, 60, 10, 60, 30, 20, 30])
    for polygon, degrees in ((turned_by_10, 10), (turned_by_5, 5)):
        # The width of a 40 x 20 box that is turned by an angle.
        width = max(polygon[0][::2]) - min(polygon[0][::2])
        angle = np.radians(degrees)
        assert np.isclose(width, 40 * np.cos(angle) + 20 * np.sin(angle))


def test_cvat_frames_that_were_deleted_are_left_out(
    convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Frame 2 of 5 was deleted: CVAT counts it and writes no shape there."""
    points = [(1.0, 1.0), (9.0, 1.0), (9.0, 9.0)]
    shown = [0, 1, 3, 4]
    tracks = track(0, 'cat', *(polygon(t, points) for t in shown))
    tracks += track(1, 'dog', *(box(t, 10 * t + 1, 10, 5, 5) for t in shown))
    (tmp_path / 'a.xml').write_text(cvat(tracks, 5))
    data = convert('cvat_to_youtube_vis', tmp_path / 'a.xml')
    assert 'note: 1 frames have no shape' in capsys.readouterr().out
    assert data['videos'][0]['file_names'] == [f'a/frame_{t:06d}.PNG' for t in shown]
    dog = tracks_by_id(data)[1, 1]
    assert [frame[0] for frame in dog['bboxes']] == [1, 11, 31, 41]
    for images in ([0, 1, 2, 3, 4], shown):
        folder = tmp_path / f'frames{len(images)}/a'
        folder.mkdir(parents=True)
        for t in images:
            Image.new('RGB', (WIDTH, HEIGHT)).save(folder / f'{t}.png')
        data = convert('cvat_to_youtube_vis', tmp_path / 'a.xml', '--frames', folder.parent)
        assert data['videos'][0]['file_names'] == [f'a/{t}.png' for t in shown]


def test_cvat_boxes_are_interpolated_between_keyframes(convert: Convert, tmp_path: Path) -> None:
    """Frames 1 to 3 of 4 lie on the straight way; outside hides from frame 5 on, 7 shows again, to
    the end.
    """
    text = cvat(
        track(
            0,
            'cat',
            box(1, 10, 20, 8, 4),
            box(4, 40, 8, 20, 16),
            box(5, 40, 8, 20, 16, 1),
            box(7, 3, 3, 6, 6),
        ),
        9,
    )
    (tmp_path / 'street.xml').write_text(text)
    data = convert('cvat_to_youtube_vis', tmp_path / 'street.xml')
    assert data['annotations'][0]['bboxes'] == [
        None,
        [10, 20, 8, 4],
        [20, 16, 12, 8],
        [30, 12, 16, 12],
        [40, 8, 20, 16],
        None,
        None,
        [3, 3, 6, 6],
        [3, 3, 6, 6],
    ]
    assert data['annotations'][0]['areas'][2] == 96 and data['annotations'][0]['category_id'] == 2
    # the task's order
    assert [category['name'] for category in data['categories']] == ['dog', 'cat']
    assert (
        data['videos'][0]['file_names'][8] == 'street/frame_000008.PNG'
        and data['annotations'][0]['id'] == 1
    )


def test_cvat_shapes_against_drawn_pixels(
    convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    noise = np.random.default_rng(1).random((7, 12)) < 0.5
    points = [(10.5, 5.0), (70.0, 20.25), (40.0, 55.0)]
    text = cvat(
        track(
            4,
            'dog',
            drawn_mask(0, 30, 50, noise),
            drawn_mask(10, 78, 0, ~noise),
            drawn_mask(15, 0, 0, noise),
        )
        + track(2, 'cat', polygon(5, points), polygon(10, points, 1))
        + track(
            9,
            'cat',
            '<ellipse frame="15" keyframe="1" outside="0" cx="40" cy="30" rx="25" ry="12.5"/>',
        )
        + track(7, 'dog', box(0, 20, 10, 40, 20, more='rotation="90.0"'), box(5, 20, 10, 40, 20, 1))
        + track(8, 'dog', '<points frame="0" keyframe="1" outside="0" points="1,2"/>'),
        4,
        '<start_frame>0</start_frame><stop_frame>15</stop_frame><frame_filter>step=5</frame_filter>',
    )
    (tmp_path / 'job/annotations.xml').parent.mkdir()
    (tmp_path / 'job/annotations.xml').write_text(text)
    frames = [f'frame {t}.jpg' for t in range(4)]
    for name in frames:
        (tmp_path / 'images/job').mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (WIDTH, HEIGHT)).save(tmp_path / 'images/job' / name)
    data = convert(
        'cvat_to_youtube_vis',
        tmp_path / 'job/annotations.xml',
        options=('--frames', tmp_path / 'images'),
    )
    assert data['videos'][0]['file_names'] == [f'job/{name}' for name in frames]
    tracks = {entry['object_id']: entry['segmentations'] for entry in data['annotations']}
    assert sorted(tracks) == [2, 4, 7, 9] and '1 tracks of lines, points' in capsys.readouterr().out
    expected = np.zeros((3, HEIGHT, WIDTH), bool)
    expected[0, 50:57, 30:42], expected[1, :7, 78:], expected[2, :7, :12] = noise, ~noise, noise
    for t, place in ((0, 0), (1, 0), (2, 1), (3, 2)):  # a mask stays until the next
        assert (pixels(tracks[4][t], HEIGHT, WIDTH) == expected[place]).all()
    assert [t for t, mask in enumerate(tracks[2]) if mask] == [1]
    assert overlap_of(pixels(tracks[2][1], HEIGHT, WIDTH), drawn(points)) > LEAST_OVERLAP
    assert (
        overlap_of(pixels(tracks[9][3], HEIGHT, WIDTH), disc(40, 30, 25, 12.5)) > LEAST_OVERLAP
        and tracks[9][:3] == [None] * 3
    )
    turned = np.zeros((HEIGHT, WIDTH), bool)
    turned[0:40, 30:50] = True  # 40 x 20 about (40, 20), upright
    assert (pixels(tracks[7][0], HEIGHT, WIDTH) == turned).all() and tracks[7][1:] == [None] * 3


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c '
    '"&b;&b;&b;&b;&b;&b;&b;&b;">]><annotations>&c;'
    '</annotations>'
)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (BOMB, r'v.xml declares a DOCTYPE'),
        (cvat('')[:-30], r'v.xml is no complete XML'),
        ('<root/>', r'v.xml is no "CVAT for video 1.1" file'),
        (cvat('<image id="0" name="a.jpg"/>'), r'v.xml is no "CVAT for video 1.1" file'),
        (cvat('').replace('task>', 'project>'), r'v.xml holds a project or several tasks'),
        (
            cvat('').replace('<size>6', '<size>six'),
            r"v.xml: its size is 'six', which is no whole number",
        ),
        (cvat('').replace(f'<width>{WIDTH}</width>', ''), r'v.xml: its width is None'),
        (
            cvat(track(1, 'cow', box(0, 0, 0, 5, 5))),
            r'track 1 has the label "cow", which is none of the task\'s \(dog, cat\)',
        ),
        (
            cvat(track(1, 'cat', box(9, 0, 0, 5, 5))),
            r'track 1 has a shape in frame 9, but the task has 6 frames, 0 to 5',
        ),
        (
            cvat(track(1, 'cat', box(2, 0, 0, 5, 5), box(2, 0, 0, 5, 5))),
            r'track 1 has two shapes in frame 2',
        ),
        (cvat(track(1, 'cat') * 2), r'track 1 stands 2 times'),
        (
            cvat(track(1, 'cat', box(2, 0, 0, 5, 5).replace('xtl="0"', ''))),
            r'track 1, frame 2: its "xtl" is None',
        ),
        (
            cvat(track(1, 'cat', polygon(2, [(0, 0), (5, 5)]))),
            r'track 1, frame 2: a polygon of the mask has 4 numbers',
        ),
        (
            cvat(
                track(
                    1,
                    'cat',
                    polygon(0, [(0, 0), (5, 5), (0, 9)]),
                    polygon(3, [(0, 0), (5, 5), (0, 9)]),
                )
            ),
            r'track 1: its polygon is missing in frame 1',
        ),
        (
            cvat(track(1, 'cat', drawn_mask(2, 85, 0, np.ones((3, 9), bool)))),
            r'track 1, frame 2: its mask of 3 x 9 .* outside',
        ),
        (
            cvat(track(1, 'cat', drawn_mask(2, 0, 0, np.ones((3, 9), bool)).replace('27', '26'))),
            r'frame 2: its rle is no list of',
        ),
    ],
)
def test_faults_of_cvat_files_are_named(
    convert: Convert, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / 'v.xml').write_text(text)
    with pytest.raises(SystemExit, match=sentence):
        convert('cvat_to_youtube_vis', tmp_path / 'v.xml')


def test_cvat_counts_the_frames(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / 'v.xml').write_text(cvat(''))
    (tmp_path / 'images/v').mkdir(parents=True)
    Image.new('RGB', (WIDTH, HEIGHT)).save(tmp_path / 'images/v/0.png')
    with pytest.raises(SystemExit, match=r'v.xml has 6 frames, but .*v holds 1 images'):
        convert(
            'cvat_to_youtube_vis', tmp_path / 'v.xml', options=('--frames', tmp_path / 'images')
        )
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/v.xml').write_text(cvat(''))
    with pytest.raises(SystemExit, match='two videos'):
        convert('cvat_to_youtube_vis', tmp_path / 'v.xml', tmp_path / 'other/v.xml')


# YouTube-VOS


def write_youtube_vos(root: Path, data: dict[str, Any]) -> None:
    """A folder with the videos of a YouTube-VIS file in which every frame is annotated, and a frame
    between that is not.
    """
    classes = {category['id']: category['name'] for category in data['categories']}
    meta: dict[str, Any] = {}
    for video in data['videos']:
        name = video['file_names'][0].split('/')[0]
        objects = [entry for entry in data['annotations'] if entry['video_id'] == video['id']]
        for t, file_name in enumerate(video['file_names']):
            labels = np.zeros((video['height'], video['width']), np.uint8)
            for entry in objects:
                if entry['segmentations'][t]:
                    labels[pixels(entry['segmentations'][t], *labels.shape) > 0] = entry[
                        'object_id'
                    ]
            for kind in ('JPEGImages', 'Annotations'):
                (root / kind / name).mkdir(parents=True, exist_ok=True)
            write_label_png((root / 'Annotations' / file_name).with_suffix('.png'), labels)
            for more in ('', ' between'):
                image = root / 'JPEGImages' / file_name
                Image.new('RGB', labels.shape[::-1]).save(image.with_stem(image.stem + more))
        meta[name] = {
            'objects': {
                str(entry['object_id']): {
                    'category': classes[entry['category_id']],
                    'frames': [
                        Path(video['file_names'][t]).stem
                        for t, mask in enumerate(entry['segmentations'])
                        if mask
                    ],
                }
                for entry in objects
            }
        }
    (root / 'meta.json').write_text(json.dumps({'videos': meta}))


def test_youtube_vos_there_and_back(convert: Convert, tmp_path: Path) -> None:
    data = noise_videos(8)
    data['annotations'] = [
        entry for entry in data['annotations'] if entry['object_id'] != 2 or entry['video_id'] != 5
    ]
    write_youtube_vos(tmp_path / 'vos', data)
    back = convert(
        'youtube_vos_to_youtube_vis', tmp_path / 'vos', options=('--classes', 'cat,dog,a toy car')
    )
    assert content(back) == content(data)
    assert [category['name'] for category in back['categories']] == [
        category['name'] for category in CATEGORIES
    ]
    main(['convert', 'youtube_vis_to_davis', str(tmp_path / 'out.json'), str(tmp_path / 'davis')])
    for path in (tmp_path / 'vos/Annotations').rglob('*.png'):
        again = tmp_path / 'davis/Annotations/480p' / path.relative_to(tmp_path / 'vos/Annotations')
        assert (np.array(Image.open(again)) == np.array(Image.open(path))).all()


def spoil_meta(root: Path, change: Callable[[dict], Any]) -> None:
    data = json.loads((root / 'meta.json').read_text())
    change(data['videos'])
    (root / 'meta.json').write_text(json.dumps(data))


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (lambda root: (root / 'meta.json').unlink(), r'meta.json cannot be read'),
        (
            lambda root: (root / 'meta.json').write_text('{"videos": {'),
            r'meta\.json is not valid JSON',
        ),
        (
            lambda root: spoil_meta(root, lambda videos: videos.pop('night')),
            r'meta.json does not list the video night',
        ),
        (
            lambda root: spoil_meta(root, lambda videos: videos['night']['objects'].pop('4')),
            r'night has no object 4, which .*png sh',
        ),
        (
            lambda root: spoil_meta(
                root, lambda videos: videos['night']['objects']['4'].pop('category')
            ),
            r'video night, object 4: "category" is missing',
        ),
        (
            lambda root: (root / 'Annotations/night/shot b02.png').unlink(),
            r'video night lists frame shot b02 and 0 more, which have no label image .* first '
            r'masks only',
        ),
        (
            lambda root: (root / 'JPEGImages/night/shot b02.jpg').unlink(),
            r'video night: .*shot b02.png has no frame',
        ),
        (
            lambda root: write_label_png(
                root / 'Annotations/night/shot b02.png', np.zeros((24, 8), np.uint8)
            ),
            r'shot b02.png is 24 x 8, but the first label image of the video is 24 x 9',
        ),
        (
            lambda root: Image.new('RGB', (9, 23)).save(root / 'JPEGImages/night/shot b02.jpg'),
            r'shot b02.jpg is 9x23',
        ),
        (
            lambda root: (root / 'Annotations/night/shot b02.png').write_bytes(b'\x89PNG'),
            r'shot b02.png is not an image',
        ),
    ],
)
def test_faults_of_youtube_vos_folders_are_named(
    convert: Convert, tmp_path: Path, spoil: Callable, sentence: str
) -> None:
    write_youtube_vos(tmp_path / 'vos', noise_videos(9))
    spoil(tmp_path / 'vos')
    with pytest.raises(SystemExit, match=sentence):
        convert('youtube_vos_to_youtube_vis', tmp_path / 'vos')
