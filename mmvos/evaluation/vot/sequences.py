"""Sequences in VOT format (a folder with groundtruth.txt and frames) and the results that belong to
them.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmvos.io.errors import DataError
from mmvos.io.frame_names import is_foreign, list_files, list_folders
from mmvos.io.paths import check_name
from mmvos.io.text import read_list

from .trajectories import Trajectory, read_regions, read_trajectory

_FRAMES = ('.jpg', '.jpeg', '.png')
_REPETITION = '_[0-9][0-9][0-9].txt'  # end of the name of a file of results


@dataclass(frozen=True)
class VOTSequence:
    """One sequence.

    Attributes:
        name: of its folder.
        truth: (N, 8) polygons in pixels.
        frames: the N frame files in order; none where only texts are there.
    """

    name: str
    truth: NDArray[np.float64]
    frames: tuple[Path, ...]

    def size(self) -> tuple[int, int] | None:
        """Width and height of the frames in pixels; None without frames."""
        if not self.frames:
            return None
        try:
            with Image.open(self.frames[0]) as image:
                return image.size
        except Exception as error:  # Pillow raises a dozen unrelated kinds for damaged files
            raise DataError(
                f'{self.frames[0]} cannot be read as an image ({error}); get it again.'
            ) from None


def read_sequences(root: Path) -> list[VOTSequence]:
    """All sequences of a folder: those in its list.txt, or every folder in it that has a
    groundtruth.txt.

    Raises:
        DataError: nothing is there, a file is damaged, or frames and ground truth differ
            in number.
    """
    listed = root / 'list.txt'
    if listed.is_file():
        names = [check_name(name, str(listed)) for name in read_list(listed)]
    else:
        names = [
            folder.name for folder in list_folders(root) if (folder / 'groundtruth.txt').is_file()
        ]
    if not names:
        raise DataError(
            f'{root} has no sequence; give the folder that holds one folder with groundtruth.txt '
            'per sequence.'
        )
    return [_read_sequence(root / name) for name in sorted(names)]


def read_results(root: Path, sequences: list[VOTSequence]) -> dict[str, list[Trajectory]]:
    """Repetitions of a supervised run by sequence: ROOT/baseline/SEQUENCE/SEQUENCE_001.txt (or
    without baseline/).

    Raises:
        DataError: a sequence is missing or not in the ground truth, or a file is wrong.
    """
    folder = root / 'baseline'
    if not folder.is_dir():
        folder = root
    # Each sequence has results, and nothing else has.
    expected = {sequence.name for sequence in sequences}
    found = set()
    for path in folder.glob(f'*/*{_REPETITION}'):
        name = path.parent.name
        if path.stem[: -len('_001')] == name and not is_foreign(name):
            found.add(name)
    for names, problem, remedy in (
        (expected - found, 'lacks', 'run the tracker on every sequence'),
        (found - expected, 'has', 'which the ground truth does not have; remove it'),
    ):
        if names:
            raise DataError(
                f'{folder} {problem} the sequence {min(names)} (file SEQUENCE/SEQUENCE_001.txt): '
                f'{remedy}.'
            )

    # The repetitions of each sequence, in order.
    tracks = {}
    for sequence in sequences:
        pattern = glob.escape(sequence.name) + _REPETITION
        paths = sorted((folder / sequence.name).glob(pattern))
        tracks[sequence.name] = [read_trajectory(path, len(sequence.truth)) for path in paths]
    return tracks


def _read_sequence(folder: Path) -> VOTSequence:
    """Read one sequence, and compare its frames with its ground truth in number."""
    truth = read_regions(folder / 'groundtruth.txt')
    frames = _find_frames(folder)
    if frames and len(frames) != len(truth):
        raise DataError(
            f'{frames[0].parent} has {len(frames)} frames but groundtruth.txt {len(truth)} lines; '
            'get the sequence again.'
        )
    return VOTSequence(folder.name, truth, frames)


def _find_frames(folder: Path) -> tuple[Path, ...]:
    """Frames in color/ (VOT 2018 on), in the folder itself (before), or in another folder in it."""
    for place in (folder / 'color', folder, *list_folders(folder)):
        frames = list_files(place, _FRAMES)
        if frames:
            return tuple(frames)
    return ()
