"""Names of videos and frames that lead out of the folder they belong to: no reader and no writer
follows them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from robustness import fuzz
from robustness.targets import TARGETS

NAMES = {
    'up': '../../victim',
    'up and down': 'a/../../../victim',
    'absolute': '{root}/victim',
    'backslash': '..\\..\\victim',
    'drive': 'C:\\victim',
    'null byte': 'a\0b',
    'new line': 'a\nb',
    'empty': '',
    'dot': '.',
    'long': 'x' * 300,
}


def in_json(name: str, key: str) -> Callable[[Path, str], None]:
    """Put a name in front of the frames that a JSON file lists."""

    def put(folder: Path, hostile: str) -> None:
        content = json.loads((folder / name).read_text())
        if key == 'videos':
            for t in range(3):
                content['videos'][0]['file_names'][t] = f'{hostile}/{t}.jpg'
        else:
            content['images'][0]['file_name'] = f'{hostile}/0.jpg'
        (folder / name).write_text(json.dumps(content))

    return put


def in_list(name: str) -> Callable[[Path, str], None]:
    """Put a name into a list of sequences."""

    def put(folder: Path, hostile: str) -> None:
        (folder / name).write_text(f'{hostile}\n')

    return put


ATTACKS = {
    'data set of YouTube-VIS': in_json('a.json', 'videos'),
    'check of YouTube-VIS': in_json('a.json', 'videos'),
    'COCO stills': in_json('c.json', 'images'),
    'COCO pairs': in_json('c.json', 'images'),
    'coco_to_youtube_vis': in_json('c.json', 'images'),
    'youtube_vis_to_davis': in_json('a.json', 'videos'),
    'youtube_vis_to_mots': in_json('a.json', 'videos'),
    'youtube_vis_to_coco': in_json('a.json', 'videos'),
    'split_youtube_vis': in_json('a.json', 'videos'),
    'scores of YouTube-VIS': in_json('a.json', 'videos'),
    'DAVIS folder': in_list('ImageSets/2017/val.txt'),
    'check of DAVIS': in_list('ImageSets/2017/val.txt'),
    'davis_to_youtube_vis': in_list('ImageSets/2017/val.txt'),
    'scores of DAVIS': in_list('gt/ImageSets/2017/val.txt'),
    'scores of VOT': in_list('gt/list.txt'),
}


@pytest.fixture(scope='module', autouse=True)
def warm() -> None:
    fuzz.warm_up()


@pytest.mark.parametrize('target', ATTACKS)
def test_no_name_leads_out(target: str, tmp_path: Path) -> None:
    victim = tmp_path / 'victim'
    victim.mkdir()
    (victim / 'kept.txt').write_text('kept')
    for kind, pattern in NAMES.items():
        hostile = pattern.format(root=tmp_path)
        folder = tmp_path / kind
        folder.mkdir()
        fuzz.make_input(folder, TARGETS[target], target, 0, -1)
        ATTACKS[target](folder / 'w/in', hostile)
        ended, place, said = fuzz.attempt(folder, TARGETS[target])
        assert ended in ('refused', 'read'), f'{kind}: {ended} {place} {said}'
        is_a_table = target.startswith('check of')
        if kind not in ('empty', 'dot'):  # which name the folder itself, or nothing
            assert ended == 'refused' or (is_a_table and 'error' in said), f'{kind}: {said}'
        inside = {path.name for path in (folder / 'w').iterdir()}
        assert inside == {'in', 'out'}, kind
    assert [path.name for path in victim.iterdir()] == ['kept.txt']
    assert (victim / 'kept.txt').read_text() == 'kept'
