"""Key frames of a CVAT file become masks in all frames; the rest of the file stays."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from numpy.typing import NDArray
from studio.small_video import FRAMES, HEIGHT, WIDTH, object_mask, write_frames

from mmvos.cli.main import main
from mmvos.convert import cvat
from mmvos.convert.annotation_model import Notes

from .color_follower import ColorFollower


def box(frame: int, number: int) -> str:
    rows, columns = np.nonzero(object_mask(frame, number))
    return (
        f'xtl="{columns.min()}" ytl="{rows.min()}" xbr="{columns.max() + 1}" ybr="{rows.max() + 1}"'
    )


def polygon(frame: int, number: int) -> str:
    """The object's corners, one of them twice, so that it is no box."""
    rows, columns = np.nonzero(object_mask(frame, number))
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, bottom)]
    return 'points="' + ';'.join(f'{x},{y}' for x, y in corners) + '"'


def write_xml(path: Path, tracks: str, size: int = FRAMES, more: str = '') -> Path:
    path.write_text(
        f'<annotations><version>1.1</version><meta><task><name>clip</name><size>{size}</size>{more}'
        '<labels><label><name>fish</name></label><label><name>crab</name></label></labels>'
        f'<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>'
        f'</task></meta>{tracks}</annotations>'
    )
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_frames(tmp_path / 'clip')


def run(*words: str | Path) -> str | int | None:
    try:
        main(['propagate', 'cvat', *map(str, words)])
    except SystemExit as ended:
        return ended.code
    return None


def masks(track: Element) -> dict[int, NDArray[np.bool_] | None]:
    """The masks of a track by frame, decoded here; None where it is outside."""
    found: dict[int, NDArray[np.bool_] | None] = {}
    for element in track.findall('mask'):
        left, top, width, height = (
            int(element.attrib[k]) for k in ('left', 'top', 'width', 'height')
        )
        runs = [int(run) for run in element.attrib['rle'].split(',')]
        part = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[top : top + height, left : left + width] = part
        found[int(element.attrib['frame'])] = None if element.attrib['outside'] == '1' else mask
    return found


TRACK = '<track id="{}" label="{}" source="manual"{}>{}</track>'


def test_key_frames_are_followed_and_the_rest_is_kept(
    clip: Path, tmp_path: Path, model: ColorFollower
) -> None:
    between = ''.join(
        f'<box frame="{t}" outside="0" occluded="0" keyframe="0" {box(2, 1)}/>'
        for t in range(3, FRAMES)
    )
    speed = '<attribute name="speed">3</attribute>'
    fish = (
        f'<box frame="2" outside="0" occluded="0" keyframe="1" {box(2, 1)}>{speed}</box>{between}'
    )
    crab = (
        f'<polygon frame="5" outside="0" occluded="0" keyframe="1" {polygon(5, 2)}/>'
        f'<polygon frame="8" outside="1" occluded="0" keyframe="1" {polygon(7, 2)}/>'
    )
    points = '<points frame="0" outside="0" occluded="0" keyframe="1" points="1,2"/>'
    tracks = TRACK.format(0, 'fish', '', fish) + TRACK.format(4, 'crab', '', crab)
    tracks += TRACK.format(9, 'fish', '', points)
    path = write_xml(tmp_path / 'clip.xml', tracks)
    before = path.read_bytes()
    out = tmp_path / 'out.xml'
    assert run(path, clip, '--out', out) is None

    assert path.read_bytes() == before
    assert sorted(model.prompted) == [2, 5]
    assert model.prompted[2].boxes[0] is not None and model.prompted[5].masks[0] is not None
    root = ElementTree.parse(out).getroot()
    one, two, three = root.findall('track')
    assert [track.attrib['id'] for track in (one, two, three)] == ['0', '4', '9']
    for t, mask in masks(one).items():
        assert mask is not None and (mask == object_mask(t, 1)).all()
    assert sorted(masks(one)) == list(range(FRAMES))
    assert [a.text for a in one.iter('attribute')] == ['3'] * FRAMES
    shown = masks(two)
    # outside from frame 8 on, as somebody has said
    assert sorted(shown) == list(range(9)) and shown[8] is None
    assert all((shown[t] == object_mask(t, 2)).all() for t in range(8))
    assert three.find('points') is not None
    # CVAT's own reading of it
    (video,), labels = cvat.read([out], None, Notes())
    assert labels == ['fish', 'crab']
    assert [sorted(item.masks) for item in video.objects] == [list(range(FRAMES)), list(range(8))]


def test_shapes_that_are_no_tracks_are_joined_by_group(
    clip: Path, tmp_path: Path, model: ColorFollower
) -> None:
    tracks = ''
    for number, (frame, which) in enumerate([(0, 1), (0, 2), (6, 1), (6, 2)]):
        shape = (
            f'<polygon frame="{frame}" outside="0" occluded="0" keyframe="1" '
            f'{polygon(frame, which)}/>'
            f'<polygon frame="{frame + 1}" outside="1" occluded="0" keyframe="1" '
            f'{polygon(frame, which)}/>'
        )
        tracks += TRACK.format(number, 'fish', f' group_id="{which}"', shape)
    path = write_xml(tmp_path / 'clip.xml', tracks)
    assert run(path, clip, '--out', tmp_path / 'out.xml') is None
    found = ElementTree.parse(tmp_path / 'out.xml').getroot().findall('track')
    assert [track.attrib['group_id'] for track in found] == ['1', '2']
    for which, track in enumerate(found, 1):
        shown = masks(track)
        assert sorted(shown) == list(range(FRAMES))
        assert all((shown[t] == object_mask(t, which)).all() for t in shown)

    # without groups nobody knows which is which
    path.write_text(path.read_text().replace('group_id', 'other'))
    said = run(path, clip, '--out', tmp_path / 'other.xml')
    assert isinstance(said, str) and 'group id' in said


def test_a_task_of_every_second_frame(clip: Path, tmp_path: Path, model: ColorFollower) -> None:
    fish = f'<polygon frame="4" outside="0" occluded="0" keyframe="1" {polygon(4, 1)}/>'
    path = write_xml(
        tmp_path / 'clip.xml',
        TRACK.format(0, 'fish', '', fish),
        size=5,
        more='<frame_filter>step=2</frame_filter>',
    )
    assert run(path, clip, '--out', tmp_path / 'out.xml') is None
    shown = masks(ElementTree.parse(tmp_path / 'out.xml').getroot().findall('track')[0])
    assert sorted(shown) == [0, 2, 4, 6, 8]
    assert all((shown[t] == object_mask(t, 1)).all() for t in shown)


def test_the_zip_that_cvat_exports(clip: Path, tmp_path: Path, model: ColorFollower) -> None:
    fish = f'<polygon frame="4" outside="0" occluded="0" keyframe="1" {polygon(4, 1)}/>'
    path = write_xml(tmp_path / 'annotations.xml', TRACK.format(0, 'fish', '', fish))
    packed = tmp_path / 'task.zip'
    with zipfile.ZipFile(packed, 'w') as archive:
        archive.write(path, 'annotations.xml')
    for source, out in ((path, 'one.xml'), (packed, 'two.xml')):
        assert run(source, clip, '--out', tmp_path / out) is None
    assert (tmp_path / 'one.xml').read_bytes() == (tmp_path / 'two.xml').read_bytes()

    with zipfile.ZipFile(packed, 'a') as archive:
        archive.write(path, 'other.xml')
    (tmp_path / 'cut.zip').write_bytes(packed.read_bytes()[:50])
    for name, words in (('task.zip', '2 XML'), ('cut.zip', 'no zip'), ('gone.zip', 'exist')):
        said = run(tmp_path / name, clip, '--out', tmp_path / 'three.xml')
        assert isinstance(said, str) and words in said and name in said


def test_faults_are_one_sentence(clip: Path, tmp_path: Path, model: ColorFollower) -> None:
    fish = f'<polygon frame="4" outside="0" occluded="0" keyframe="1" {polygon(4, 1)}/>'
    good = write_xml(tmp_path / 'good.xml', TRACK.format(0, 'fish', '', fish))
    empty = write_xml(tmp_path / 'empty.xml', '')
    long = write_xml(tmp_path / 'long.xml', TRACK.format(0, 'fish', '', fish), size=40)
    newer = tmp_path / 'newer.xml'
    newer.write_text(good.read_text().replace('<version>1.1<', '<version>2.0<'))
    larger = tmp_path / 'larger.xml'
    larger.write_text(good.read_text().replace(f'<width>{WIDTH}<', f'<width>{10 * WIDTH}<'))
    there = tmp_path / 'there.xml'
    there.write_text('mine')
    for words, part in [
        ((empty, clip, '--out', tmp_path / 'o.xml'), 'annotated'),
        ((long, clip, '--out', tmp_path / 'o.xml'), '40 frames'),
        ((newer, clip, '--out', tmp_path / 'o.xml'), 'version 2.0'),
        ((larger, clip, '--out', tmp_path / 'o.xml'), f'frames of {10 * WIDTH}x{HEIGHT}, but'),
        ((good, clip, '--out', good), 'made of'),
        ((good, clip, '--out', there), '--overwrite'),
        ((good, tmp_path / 'gone', '--out', tmp_path / 'o.xml'), 'gone'),
        ((tmp_path / 'gone.xml', clip, '--out', tmp_path / 'o.xml'), 'gone.xml'),
    ]:
        said = run(*words)
        assert isinstance(said, str) and part in said and '\n' not in said
    assert there.read_text() == 'mine' and not (tmp_path / 'o.xml').exists()
    assert run(good, clip, '--out', there, '--overwrite') is None
    assert there.read_bytes().startswith(b'<?xml')
