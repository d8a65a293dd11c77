"""Find the sequences of a DAVIS ground truth and the result files that belong to them, and check
that they fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmvos.io.text import read_list

from ..input_error import EvaluationInputError
from ..label_files import check_frames, check_sequences, list_frames, list_sequences


@dataclass(frozen=True)
class Protocol:
    """Which DAVIS evaluation: `year` 2016 (ids merged) or 2017; `official`: also where the official
    code is wrong.
    """

    year: int = 2017
    task: str = 'semi-supervised'
    official: bool = False

    def __post_init__(self) -> None:
        assert self.year in (2016, 2017) and self.task in ('semi-supervised', 'unsupervised'), self

    @property
    def unsupervised(self) -> bool:
        """Whether the objects' ids are not given."""
        return self.task == 'unsupervised'


@dataclass(frozen=True)
class SequenceFiles:
    """One sequence: all ground-truth frames, and the frames that are scored with their results, in
    order of time.

    Semi-supervised: the first frame is given and the last is not scored (the official convention).
    """

    name: str
    truth: tuple[Path, ...]
    results: tuple[Path, ...]
    scored: tuple[int, ...]


def find_sequences(
    ground_truth: Path,
    results: Path,
    protocol: Protocol,
    split: str = 'val',
    resolution: str = '480p',
) -> list[SequenceFiles]:
    """Pair every sequence of a split with its results.

    Args:
        ground_truth: the root of DAVIS (with Annotations/ and ImageSets/), or a folder with one
            folder of label PNGs per sequence. results: a folder with one folder of label PNGs per
            sequence.
        split: a name in ImageSets/, or a text file with one sequence per line; without ImageSets/
            all sequences count.
    Raises:
        EvaluationInputError: something is missing, or results hold what the ground truth does not
            have.
    """
    truth = find_ground_truth(ground_truth, protocol, split, resolution)
    given = list_sequences(results)
    check_sequences(truth, given, results)
    return [_pair(name, folder, given[name], protocol) for name, folder in truth.items()]


def find_ground_truth(
    root: Path, protocol: Protocol, split: str, resolution: str
) -> dict[str, Path]:
    """Ground-truth folders of a split by sequence name."""
    kind = 'Annotations_unsupervised' if protocol.unsupervised else 'Annotations'
    if not (root / kind).is_dir() and any(
        (root / other).is_dir() for other in ('Annotations', 'ImageSets')
    ):
        raise EvaluationInputError(
            f'{root} has no folder {kind}, which the {protocol.task} task needs; get that part of '
            f'DAVIS.'
        )
    folder = root / kind / resolution
    if (root / kind).is_dir() and not folder.is_dir():
        raise EvaluationInputError(
            f'{root / kind} has no folder {resolution}; choose the resolution that is there.'
        )
    everything = list_sequences(folder if folder.is_dir() else root)
    listed = _split_file(root, protocol, split)
    if listed is None:
        return everything
    names = _names(listed)
    missing = [name for name in names if name not in everything]
    if missing:
        raise EvaluationInputError(
            f'{listed} lists the sequence {missing[0]}, which has no label images in {folder}.'
        )
    return {name: everything[name] for name in sorted(names)}


def _split_file(root: Path, protocol: Protocol, split: str) -> Path | None:
    if Path(split).is_file():
        return Path(split)
    listed = root / 'ImageSets' / str(protocol.year) / f'{split}.txt'
    if listed.is_file():
        return listed
    if (root / 'ImageSets').is_dir() or split not in ('train', 'val'):
        raise EvaluationInputError(
            f'The split {split} is neither a text file nor listed as {listed}; write a file with '
            f'one '
            'sequence per line.'
        )
    return None


def _names(path: Path) -> list[str]:
    names = read_list(path)
    if not names:
        raise EvaluationInputError(f'{path} lists no sequence; write one sequence per line.')
    return names


def _pair(name: str, truth: Path, results: Path, protocol: Protocol) -> SequenceFiles:
    frames, given = list_frames(truth), list_frames(results)
    names = list(frames)
    scored = range(len(names)) if protocol.unsupervised else range(1, len(names) - 1)
    if not scored:
        raise EvaluationInputError(
            f'{truth} has {len(names)} frames; the first and the last are not scored, so three are '
            f'needed.'
        )
    check_frames(frames, given, results, optional=set(names) - {names[i] for i in scored})
    return SequenceFiles(
        name, tuple(frames.values()), tuple(given[names[i]] for i in scored), tuple(scored)
    )
