"""The command that segments one video, run as a user runs it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from command import Finished, run_mmvos
from PIL import Image

from mmvos.apis import open_source
from tests.apis.bright_spots import bright_spots_config, picture, write_mp4


@pytest.fixture
def model_files(tmp_path) -> list[str]:
    """Config and checkpoint of a model that segments the red and the green."""
    config = bright_spots_config()
    config.custom_imports = {
        'imports': ['mmvos', 'tests.apis.bright_spots'],
        'allow_failed_imports': False,
    }
    config.dump(tmp_path / 'bright_spots.py')
    meta = {'dataset_meta': {'classes': ('red', 'green')}}
    torch.save(
        {'state_dict': {'threshold': torch.tensor(128.0)}, 'meta': meta}, tmp_path / 'spots.pth'
    )
    return [str(tmp_path / 'bright_spots.py'), str(tmp_path / 'spots.pth')]


def segment_video(folder: Path, *arguments: str) -> Finished:
    return run_mmvos('segment', *arguments, '--device', 'cpu', folder=folder)


def test_an_mp4_becomes_masks_results_and_overlay(tmp_path, model_files):
    write_mp4(tmp_path / 'clip.mp4', [picture(index) for index in range(5)])
    done = segment_video(tmp_path, *model_files, 'clip.mp4', '--out', 'out', '--score-thr', '0.1')
    assert done.status == 0, done.output
    assert 'clip: 5 frames, 29.970 frames per second' in done.output
    assert '  out/results.json\n  out/masks\n  out/overlay.mp4\n' in done.output
    assert [
        item['category_id'] for item in json.loads((tmp_path / 'out/results.json').read_text())
    ] == [1, 2]
    labels = np.asarray(Image.open(tmp_path / 'out/masks/00002.png'))
    np.testing.assert_array_equal(np.unique(labels), [0, 1, 2])
    np.testing.assert_array_equal(labels == 2, picture(2)[..., 1] > 128)
    overlay = open_source(tmp_path / 'out/overlay.mp4')
    assert (overlay.fps, overlay.length) == (Fraction(30000, 1001), 5)


def test_a_glob_without_images_and_video(tmp_path, model_files):
    for name in ('a10.png', 'a9.png'):
        Image.fromarray(picture(0)).save(tmp_path / name)
    done = segment_video(tmp_path, *model_files, '*.png', '--out', 'out', '--no-png', '--no-video')
    assert done.status == 0, done.output
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'results.json', 'run.json'}
    assert '2 frames, frame rate unknown' in done.output and 'overlay' not in done.output


def test_a_mistake_is_one_sentence_and_not_a_traceback(tmp_path, model_files):
    config, checkpoint = model_files
    write_mp4(tmp_path / 'clip.mp4', [picture(0)])
    for arguments, sentence in [
        (
            [config, checkpoint, 'none.mp4'],
            'none.mp4 does not exist; give a video file, a folder of images or a glob',
        ),
        (
            [config, 'none.pth', 'clip.mp4'],
            'the checkpoint none.pth does not exist; give the path of a .pth or .safetensors file',
        ),
        (
            [config, checkpoint, 'clip.mp4', '--direction', 'both'],
            "the direction 'both' is for models that follow prompts; this one finds its objects by "
            'itself, frame by frame from the first',
        ),
    ]:
        done = segment_video(tmp_path, *arguments, '--out', 'out')
        assert done.status == 1
        assert done.output.splitlines()[-1] == f'mmvos segment: {sentence}'
        assert 'Traceback' not in done.output and not (tmp_path / 'out').exists()
