"""Names in lists, ImageSets and annotation files that lead out of the data are refused
everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from colored_videos import write_split, write_videos, write_vot

from mmvos.datasets.mask_folders import find_mask_video, find_mask_videos
from mmvos.datasets.youtube_vis import YouTubeVISDataset
from mmvos.evaluation.vot.sequences import read_sequences
from mmvos.io.errors import DataError

NAMES = ('../victim', 'a/../../victim', '/victim', 'a\\..\\victim', 'a\x1bb', 'C:victim')


@pytest.mark.parametrize('name', NAMES)
def test_lists_of_videos(tmp_path: Path, name: str) -> None:
    root = tmp_path / 'data'
    write_videos(root, {'a': (2, {1: 0})})
    write_videos(tmp_path, {'victim': (2, {1: 0})})
    write_split(root, '2017/val', ['a', name])
    with pytest.raises(DataError, match=r'val\.txt: the name '):
        find_mask_videos(root, '2017/val')
    with pytest.raises(DataError, match='the name '):
        find_mask_video(root, name)


@pytest.mark.parametrize('name', NAMES)
def test_lists_of_vot_sequences(tmp_path: Path, name: str) -> None:
    root = write_vot(tmp_path / 'vot')
    write_vot(tmp_path / 'victim')
    (root / 'list.txt').write_text(f'{name}\n')
    with pytest.raises(DataError, match=r'list\.txt: the name '):
        read_sequences(root)


@pytest.mark.parametrize('name', [*NAMES, '', 'a\0b', 'v\x1b[2J/0.jpg'])
def test_file_names_of_annotation_files(tmp_path: Path, name: str) -> None:
    video = dict(id=1, height=2, width=2, length=1, file_names=[name])
    content = dict(videos=[video], categories=[dict(id=1, name='a')], annotations=[])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    with pytest.raises(DataError, match=r'file name .* (leads|absolute|has|empty|is)') as caught:
        YouTubeVISDataset('a.json', str(tmp_path), test_mode=True)
    assert str(caught.value).replace('\n', '').isprintable()
