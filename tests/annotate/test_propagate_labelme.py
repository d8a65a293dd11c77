"""Labelme files of some frames become files of all; what somebody drew is never lost."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from studio.small_video import FRAMES, HEIGHT, WIDTH, object_mask, write_frames
from without_torch import run_without_torch

from mmvos.annotate import labelme_folder
from mmvos.cli.main import main
from mmvos.io import atomic
from mmvos.io.output_lock import OutputLock

from .color_follower import SCORE, ColorFollower


def shape(label: str, points: Any, kind: str = 'polygon', group: Any = 1, **more: Any) -> dict:
    return {
        'label': label,
        'points': points,
        'group_id': group,
        'shape_type': kind,
        'flags': {},
        'description': '',
        'mask': None,
        **more,
    }


def corners(frame: int, number: int) -> list[list[float]]:
    """An object's four corners, which as a polygon are exactly its pixels."""
    rows, columns = np.nonzero(object_mask(frame, number))
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    points = [[left, top], [right, top], [right, bottom], [left, bottom], [left, bottom]]
    return [[float(x), float(y)] for x, y in points]


def drawn_mask(frame: int, number: int, label: str, group: Any) -> dict:
    """A shape of the kind mask: a PNG of the object's box."""
    mask = object_mask(frame, number)
    rows, columns = np.nonzero(mask)
    part = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    stream = io.BytesIO()
    Image.fromarray(part.astype(np.uint8) * 255).save(stream, 'PNG')
    points = [[int(columns.min()), int(rows.min())], [int(columns.max()), int(rows.max())]]
    text = base64.b64encode(stream.getvalue()).decode()
    return shape(label, points, 'mask', group, mask=text)


def annotate(folder: Path, frame: int, shapes: list[dict], **more: Any) -> Path:
    path = folder / f'{frame:05d}.json'
    data = {
        'version': '5.4.1',
        'flags': {'night': True},
        'shapes': shapes,
        'imagePath': f'{frame:05d}.png',
        'imageData': None,
        'imageHeight': HEIGHT,
        'imageWidth': WIDTH,
        **more,
    }
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_frames(tmp_path / 'clip')


def run(*words: str | Path) -> str | int | None:
    """How the command ends: None, or a sentence."""
    try:
        main(['propagate', 'labelme', *map(str, words)])
    except SystemExit as ended:
        return ended.code
    return None


def shapes_of(folder: Path, frame: int) -> list[dict]:
    shapes: list[dict] = json.loads((folder / f'{frame:05d}.json').read_text())['shapes']
    return shapes


def pixels(entry: dict) -> NDArray[np.bool_]:
    """The mask of a shape of the kind mask, decoded here."""
    assert entry['shape_type'] == 'mask'
    part = np.asarray(Image.open(io.BytesIO(base64.b64decode(entry['mask'])))) > 0
    (left, top), (right, bottom) = entry['points']
    assert part.shape == (bottom - top + 1, right - left + 1)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : bottom + 1, left : right + 1] = part
    return mask


def test_all_frames_get_the_objects_of_two(clip: Path, model: ColorFollower) -> None:
    fish = shape('fish', corners(2, 1), group=7, flags={'seen': True}, description='fast')
    point = shape('note', [[1.0, 2.0]], 'point', None)
    unknown = shape('x', [[1, 2, 3]], 'cuboid_of_tomorrow', None, more={'a': [1]})
    first = annotate(clip, 2, [fish, point, unknown])
    second = annotate(clip, 6, [drawn_mask(6, 2, 'crab', 8)], imageData='abc')
    before = first.read_bytes(), second.read_bytes()

    assert run(clip) is None

    assert (first.read_bytes(), second.read_bytes()) == before
    for t in range(FRAMES):
        if t in (2, 6):
            continue
        one, two = shapes_of(clip, t)
        assert (one['label'], one['group_id'], one['score']) == ('fish', 7, SCORE)
        assert (two['label'], two['group_id'], two['score']) == ('crab', 8, SCORE)
        assert one['flags'] == {'seen': True} and one['description'] == 'fast'
        assert (pixels(one) == object_mask(t, 1)).all()
        assert (pixels(two) == object_mask(t, 2)).all()
    new = json.loads((clip / '00000.json').read_text())
    assert new['imagePath'] == '00000.png' and new['version'] == '5.4.1'
    assert (new['imageHeight'], new['imageWidth']) == (HEIGHT, WIDTH)
    # lines and points are in no other frame
    assert not list(clip.glob('*.lock')) and not list(clip.glob('.*'))


@pytest.mark.parametrize('version', ['3.16.2', '6.0.0', None, '7.1.0', 'x', 9])
def test_a_version_that_was_not_tried_is_said(
    clip: Path, model: ColorFollower, capsys: pytest.CaptureFixture[str], version: Any
) -> None:
    annotate(clip, 0, [shape('fish', corners(0, 1))], version=version)
    assert run(clip) is None
    said = [line for line in capsys.readouterr().out.splitlines() if 'not tried' in line]
    assert (len(said) == 1) == (version in ('7.1.0', 'x', 9))
    assert all('00000.json' in line and str(version) in line for line in said)
    assert (pixels(shapes_of(clip, 5)[0]) == object_mask(5, 1)).all()


def test_another_folder_gets_what_is_drawn_and_what_is_not(
    clip: Path, tmp_path: Path, model: ColorFollower
) -> None:
    point = shape('note', [[1.0, 2.0]], 'point', None)
    annotate(clip, 2, [shape('fish', corners(2, 1), group=None), point])
    annotate(clip, 6, [shape('crab', corners(6, 2), group=3)])
    out = tmp_path / 'out'
    assert run(clip, '--out', out) is None

    assert sorted(path.name for path in clip.glob('*.json')) == ['00002.json', '00006.json']
    kept = json.loads((out / '00002.json').read_text())
    assert kept['flags'] == {'night': True}
    assert kept['imagePath'] == '../clip/00002.png'
    assert (out / kept['imagePath']).is_file()
    fish, note, crab = kept['shapes']
    # an object without a number is given one that nobody has
    assert fish['group_id'] == 4 and fish['points'] == corners(2, 1) and 'score' not in fish
    assert note == point
    assert (crab['label'], crab['group_id'], crab['score']) == ('crab', 3, SCORE)
    assert shapes_of(out, 0)[0]['group_id'] == 4


def test_rectangles_are_boxes_and_several_polygons_one_object(
    clip: Path, model: ColorFollower
) -> None:
    (left, top), _, (right, bottom), *_ = corners(3, 2)
    box = shape('crab', [[right, bottom], [left, top]], 'rectangle', 2)
    x, y = corners(3, 1)[0]
    upper = [[x, y], [x + 16, y], [x + 16, y + 5], [x, y + 5], [x, y + 4]]
    lower = [[x, y + 7], [x + 16, y + 7], [x + 16, y + 12], [x, y + 12], [x, y + 11]]
    annotate(clip, 3, [shape('fish', upper), box, shape('fish', lower)])
    assert run(clip) is None

    given = model.prompted[3]
    assert given.ids == (1, 2)
    assert given.boxes == (None, (left, top, right, bottom))
    wanted = object_mask(3, 1)
    wanted[int(y) + 5 : int(y) + 7] = False
    assert given.masks[0] is not None and (given.masks[0] == wanted).all()
    assert len(shapes_of(clip, 0)) == 2


def test_polygons_can_be_asked_for(clip: Path, model: ColorFollower) -> None:
    annotate(clip, 0, [shape('fish', corners(0, 1))])
    assert run(clip, '--polygons') is None
    (found,) = shapes_of(clip, 5)
    assert found['shape_type'] == 'polygon' and found['mask'] is None
    points = np.array(found['points'])
    rows, columns = np.nonzero(object_mask(5, 1))
    assert np.abs(points.min(axis=0) - (columns.min(), rows.min())).max() <= 0.5
    assert np.abs(points.max(axis=0) - (columns.max() + 1, rows.max() + 1)).max() <= 0.5


def test_a_corrected_shape_is_one_that_somebody_drew(clip: Path, model: ColorFollower) -> None:
    annotate(clip, 0, [shape('fish', corners(0, 1))])
    assert run(clip, '--polygons') is None
    # labelme stores a file again: another order of keys, whole numbers as floats
    stored = json.loads((clip / '00004.json').read_text())
    entry = stored['shapes'][0]
    entry['points'] = [[float(x), float(y)] for x, y in entry['points']]
    stored['shapes'] = [dict(sorted(entry.items()))]
    (clip / '00004.json').write_text(json.dumps(stored))
    corrected = json.loads((clip / '00005.json').read_text())
    corrected['shapes'][0]['points'] = corners(5, 1)
    (clip / '00005.json').write_text(json.dumps(corrected))

    model.prompted.clear()
    assert run(clip, '--polygons', '--overwrite') is None
    assert sorted(model.prompted) == [0, 5]
    assert shapes_of(clip, 5) == corrected['shapes']
    assert shapes_of(clip, 0)[0]['points'] == corners(0, 1)


def test_what_is_corrected_in_another_folder_is_not_lost(
    clip: Path, tmp_path: Path, model: ColorFollower
) -> None:
    odd = shape('x', [[1, 2, 3], 'a'], 'cuboid_of_tomorrow', None)
    annotate(clip, 0, [shape('fish', corners(0, 1), group=None), odd])
    out = tmp_path / 'out'
    assert run(clip, '--out', out) is None
    # nothing was changed there
    assert run(clip, '--out', out, '--overwrite') is None
    corrected = json.loads((out / '00004.json').read_text())
    corrected['shapes'][0]['points'][0][0] += 1
    (out / '00004.json').write_text(json.dumps(corrected))
    said = run(clip, '--out', out, '--overwrite')
    assert isinstance(said, str) and '00004.json' in said and 'lost' in said
    assert json.loads((out / '00004.json').read_text()) == corrected


def test_what_is_drawn_meanwhile_is_kept(
    clip: Path, model: ColorFollower, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    first = annotate(clip, 0, [shape('fish', corners(0, 1))])
    step = model.step

    def draw_and_step(*given: Any) -> Any:
        if not (clip / '00005.json').exists():
            annotate(clip, 5, [shape('crab', corners(5, 2), group=9)])
            first.write_text(first.read_text() + ' ')
        return step(*given)

    monkeypatch.setattr(model, 'step', draw_and_step)
    assert run(clip, '--overwrite') is None
    assert [entry['label'] for entry in shapes_of(clip, 5)] == ['crab']
    assert first.read_text().endswith(' ')
    assert '2 that were changed meanwhile' in capsys.readouterr().out


def test_objects_without_numbers(clip: Path, model: ColorFollower) -> None:
    # one of a class in each frame is one object; two of a class in the only frame are two
    annotate(clip, 0, [shape('fish', corners(0, 1), group=None)])
    annotate(clip, 4, [shape('fish', corners(4, 1), group=None)])
    assert run(clip) is None
    assert {entry['group_id'] for entry in shapes_of(clip, 7)} == {1}
    assert model.prompted[0].ids == model.prompted[4].ids == (1,)
    for path in clip.glob('*.json'):
        path.unlink()
    both = [shape('fish', corners(0, n), group=None) for n in (1, 2)]
    annotate(clip, 0, both)
    assert run(clip) is None
    assert [entry['group_id'] for entry in shapes_of(clip, 7)] == [1, 2]


def test_files_that_are_there_are_left(clip: Path, model: ColorFollower) -> None:
    annotate(clip, 0, [shape('fish', corners(0, 1))])
    kept = annotate(clip, 4, [])
    before = kept.read_bytes()
    assert run(clip) is None
    assert kept.read_bytes() == before
    assert '--overwrite' in str(run(clip))
    assert run(clip, '--overwrite') is None
    assert len(shapes_of(clip, 4)) == 1


def no_shape(folder: Path) -> None:
    annotate(folder, 0, [shape('a', [[1, 2]], 'point')])


def no_file(folder: Path) -> None:
    pass


def no_image(folder: Path) -> None:
    annotate(folder, 77, [shape('a', corners(0, 1))])


def no_images(folder: Path) -> None:
    annotate(folder, 0, [shape('a', corners(0, 1))])
    for path in folder.glob('*.png'):
        path.unlink()


def mixed_sizes(folder: Path) -> None:
    annotate(folder, 0, [shape('a', corners(0, 1))])
    Image.new('RGB', (20, 10)).save(folder / '00003.png')


def other_size(folder: Path) -> None:
    annotate(folder, 0, [shape('a', corners(0, 1))], imageHeight=9)


def cut_file(folder: Path) -> None:
    (folder / '00000.json').write_text('{"shapes": [')


def two_files(folder: Path) -> None:
    path = annotate(folder, 0, [shape('a', corners(0, 1))])
    (folder / 'b.json').write_bytes(path.read_bytes())


def no_numbers(folder: Path) -> None:
    for t in (0, 4):
        annotate(folder, t, [shape('fish', corners(t, n), group=None) for n in (1, 2)])


def outside(folder: Path) -> None:
    annotate(folder, 0, [shape('a', [[-9, -9], [-5, -9], [-5, -5], [-9, -6]])])


@pytest.mark.parametrize(
    'spoil, words',
    [
        (no_shape, 'annotated'),
        (no_file, 'annotated'),
        (no_image, '00077.png'),
        (no_images, 'no images'),
        (mixed_sizes, '00003.png'),
        (other_size, '64x9'),
        (cut_file, '00000.json'),
        (two_files, 'b.json'),
        (no_numbers, 'group id'),
        (outside, 'annotated'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_a_fault_is_one_sentence_and_nothing_is_written(
    clip: Path, model: ColorFollower, spoil: Any, words: str
) -> None:
    spoil(clip)
    before = {path.name: path.read_bytes() for path in clip.iterdir()}
    said = run(clip)
    assert isinstance(said, str) and words in said and '\n' not in said
    assert {path.name: path.read_bytes() for path in clip.iterdir()} == before


def test_a_full_disk_leaves_whole_files(
    clip: Path, model: ColorFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = annotate(clip, 0, [shape('fish', corners(0, 1))])
    before = first.read_bytes()
    written = []
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target).parent == clip:
            if len(written) == 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
            written.append(target)
        replace(source, target)

    monkeypatch.setattr(atomic.os, 'replace', full)
    said = run(clip)
    assert isinstance(said, str) and 'disk is full' in said
    monkeypatch.undo()
    files = sorted(clip.glob('*.json'))
    assert len(files) == 5 and all(json.loads(path.read_text())['shapes'] for path in files)
    assert {path.suffix for path in clip.iterdir()} == {'.png', '.json'}
    assert first.read_bytes() == before


def test_a_second_run_on_one_output_is_refused(clip: Path, model: ColorFollower) -> None:
    annotate(clip, 0, [shape('fish', corners(0, 1))])
    code = (
        'import sys, time\n'
        'from mmvos.io.output_lock import OutputLock\n'
        'with OutputLock(sys.argv[1], sys.argv[2]):\n'
        '    print("locked", flush=True)\n'
        '    sys.stdin.read()\n'
    )
    lock = clip / labelme_folder._LOCK
    other = subprocess.Popen(
        [sys.executable, '-c', code, str(lock), str(clip)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdout.readline() == 'locked\n'
    said = run(clip)
    assert isinstance(said, str) and 'being written' in said
    assert len(list(clip.glob('*.json'))) == 1
    other.communicate('')
    assert run(clip) is None
    with OutputLock(lock, clip):
        pass


def test_it_needs_no_torch(clip: Path, tmp_path: Path) -> None:
    annotate(clip, 0, [shape('fish', corners(0, 1))])
    for path in sorted(clip.glob('*.png'))[3:]:
        path.unlink()
    done = run_without_torch(tmp_path, '-m', 'mmvos', 'propagate', 'labelme', str(clip))
    assert done.returncode == 0, done.stderr
    found = pixels(shapes_of(clip, 2)[0])
    wanted = object_mask(2, 1)
    assert (found & wanted).sum() > 0.7 * (found | wanted).sum()
