"""How many files and folders of the package one frame runs through: what a reader has to open to
follow a method from the frame to its result.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import tiny_masktrack
import tiny_parts
import tiny_segmenter
import tiny_siamese
import torch

import mmvos
from mmvos.models import VideoModel
from mmvos.structures import Frame, Prompts

PACKAGE = Path(mmvos.__file__).parent


def files_of_a_frame(
    model: VideoModel, first: Frame, second: Frame, prompts: Prompts | None = None
) -> set[Path]:
    """Returns the files whose functions run in a step on the second frame."""
    files: set[Path] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == 'call' and path.is_relative_to(PACKAGE):
            files.add(path.relative_to(PACKAGE))

    with torch.no_grad():
        state, _ = model.step(first, model.init_state(), prompts)
        sys.setprofile(note)
        try:
            model.step(second, state)
        finally:
            sys.setprofile(None)
    return files


def masktrack_rcnn() -> set[Path]:
    model = tiny_masktrack.tiny_model()
    return files_of_a_frame(model, tiny_masktrack.frame(0), tiny_masktrack.frame(1))


def masktrack() -> set[Path]:
    model = tiny_segmenter.tiny_segmenter()
    prompts = Prompts((1,), (tiny_segmenter.square_mask(20, 20),), (None,))
    return files_of_a_frame(model, tiny_segmenter.frame(0), tiny_segmenter.frame(1), prompts)


def siammask() -> set[Path]:
    model = tiny_siamese.tiny_variant('sharp')
    prompts = Prompts((1,), (None,), ((10.0, 10.0, 50.0, 40.0),))
    return files_of_a_frame(model, tiny_siamese.frame(0), tiny_siamese.frame(1), prompts)


def parts() -> set[Path]:
    model = tiny_parts.tiny_parts()
    first, masks = tiny_parts.scene(0, {1: (30, 30)})
    second, _ = tiny_parts.scene(1, {1: (32, 30)})
    return files_of_a_frame(model, first, second, Prompts((1,), (masks[1],), (None,)))


@pytest.mark.parametrize(
    ('method', 'max_files', 'max_folders'),
    [
        (masktrack_rcnn, 11, 4),
        (masktrack, 10, 4),
        (siammask, 12, 4),
        # all 10 of MaskTrack, 3 of SiamMask and its geometry, the features that the parts of a
        # frame share, and its own 2; models, three methods, ops, structures
        (parts, 17, 6),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_a_frame_runs_through_few_files(method, max_files: int, max_folders: int) -> None:
    files = method()
    listed = '\n'.join(sorted(path.as_posix() for path in files))
    # The model itself is among them, or nothing was measured.
    assert any(path.parts[0] == 'models' for path in files)
    assert len(files) <= max_files, listed
    assert len({path.parent for path in files}) <= max_folders, listed
