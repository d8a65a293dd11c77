"""Find the sequences of a DAVIS ground truth and the result files that belong to them, and check
that they fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmvos.io.davis_folder import find_split_file, find_videos_folder, read_video_names
from mmvos.io.errors import DataError
from mmvos.io.label_png import object_ids, read_label_png

from ..label_files import (
    ResultFile,
    check_frames,
    check_sequences,
    check_truth,
    list_frames,
    list_results,
    list_sequences,
)


@dataclass(frozen=True)
class Protocol:
    """Which DAVIS evaluation.

    Attributes:
        year: 2016 (all ids are one object) or 2017.
        task: 'semi-supervised' or 'unsupervised'.
        official: as the official code also where that is wrong.
    """

    year: int = 2017
    task: str = 'semi-supervised'
    official: bool = False

    def __post_init__(self) -> None:
        if self.year not in (2016, 2017):
            raise DataError(f'the year of DAVIS must be 2016 or 2017, not {self.year!r}')
        if self.task not in ('semi-supervised', 'unsupervised'):
            raise DataError(
                f"the task of DAVIS must be 'semi-supervised' or 'unsupervised', not {self.task!r}"
            )

    @property
    def unsupervised(self) -> bool:
        """Whether the objects' ids are not given."""
        return self.task == 'unsupervised'


@dataclass(frozen=True)
class SequenceFiles:
    """One sequence, in order of time.

    Semi-supervised: the first frame is given and the last is not scored (the official convention).

    Attributes:
        name: of the sequence.
        truth: label images of all frames.
        results: those of the scored frames.
        scored: positions of the scored frames.
    """

    name: str
    truth: tuple[Path, ...]
    results: tuple[ResultFile, ...]
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
            folder of label PNGs per sequence.
        results: a folder with one folder of label PNGs per sequence.
        protocol: of the evaluation.
        split: a name in ImageSets/, or a text file with one sequence per line; without ImageSets/
            all sequences count.
        resolution: a folder in Annotations/.

    Raises:
        DataError: something is missing, or results hold what the ground truth does not
            have.
    """
    truth = find_ground_truth(ground_truth, protocol, split, resolution)
    given = list_sequences(results, results=True)
    check_sequences(truth, given, results)
    sequences = []
    for name, folder in truth.items():
        sequences.append(_pair(name, folder, given[name], protocol))
    return sequences


def find_ground_truth(
    root: Path, protocol: Protocol, split: str, resolution: str
) -> dict[str, Path]:
    """Find the ground-truth folders of a split.

    Args:
        root: of DAVIS, or a folder with one folder of label PNGs per sequence.
        protocol: of the evaluation.
        split: a name in ImageSets/, or a text file with one sequence per line.
        resolution: a folder in Annotations/.

    Returns:
        The folder of each sequence by its name.

    Raises:
        DataError: a folder is missing, or a listed sequence.
    """
    kind = 'Annotations_unsupervised' if protocol.unsupervised else 'Annotations'
    if (root / kind).is_dir():
        folder = find_videos_folder(root, kind, resolution)
    elif (root / 'Annotations').is_dir() or (root / 'ImageSets').is_dir():
        raise DataError(
            f'{root} has no folder {kind}, which the {protocol.task} task needs; get that part of '
            'DAVIS.'
        )
    else:
        folder = root

    # The sequences of the split, which all must be there.
    everything = list_sequences(folder)
    listed = _split_file(root, protocol, split)
    if listed is None:
        return everything
    names = read_video_names(listed)
    missing = [name for name in names if name not in everything]
    if missing:
        raise DataError(
            f'{listed} lists the sequence {missing[0]}, which has no label images in {folder}.'
        )
    return {name: everything[name] for name in sorted(names)}


def check_ground_truth(folders: Mapping[str, Path], protocol: Protocol) -> None:
    """Refuse a ground truth that no result can be scored with; of most images only headers are
    read.

    Args:
        folders: of the sequences, see `find_ground_truth`.
        protocol: of the evaluation.

    Raises:
        DataError: a sequence is too short, an image is no label image or of another size
            than the first one, or the first one shows no object.
    """
    for name, folder in folders.items():
        paths = list(list_frames(folder).values())
        scored_frames(folder, len(paths), protocol)
        check_truth(paths)
        first = read_label_png(paths[0])
        if not protocol.unsupervised and not object_ids(first):
            raise DataError(no_object_message(name))


def no_object_message(name: str) -> str:
    """What is said of a sequence whose first frame shows no object."""
    return (
        f'{name}: no object in the first ground-truth frame (the value 255 of a palette image is '
        'void); objects that start later need the youtube-vos protocol.'
    )


def scored_frames(folder: Path, count: int, protocol: Protocol) -> range:
    """Give the positions of the frames that are scored; at least one.

    Args:
        folder: of the sequence, for messages.
        count: number of its frames.
        protocol: of the evaluation; where the first frame is given, the last one is not scored
            either.

    Raises:
        DataError: none is left.
    """
    scored = range(count)
    if not protocol.unsupervised:
        scored = range(1, count - 1)
    if not scored:
        raise DataError(
            f'{folder} has {count} frames; the first and the last are not scored, so three are '
            'needed.'
        )
    return scored


def _split_file(root: Path, protocol: Protocol, split: str) -> Path | None:
    """Find the file that lists a split; None where all sequences of a plain folder count."""
    listed = find_split_file(root, split, protocol.year)
    if listed is None and ((root / 'ImageSets').is_dir() or split not in ('train', 'val')):
        raise DataError(
            f'The split {split} is neither a text file nor listed as '
            f'{root / "ImageSets" / str(protocol.year) / f"{split}.txt"}; write a file with one '
            'sequence per line.'
        )
    return listed


def _pair(name: str, truth: Path, results: Path, protocol: Protocol) -> SequenceFiles:
    """Find the files of one sequence.

    Args:
        name: of the sequence.
        truth: its folder in the ground truth.
        results: its folder in the results.
        protocol: of the evaluation.
    """
    frames = list_frames(truth)
    given = list_results(results)
    names = list(frames)

    # Only scored frames must have a result.
    scored = scored_frames(truth, len(names), protocol)
    scored_names = [names[i] for i in scored]
    optional = set(names) - set(scored_names)
    check_frames(frames, given, results, optional=optional)

    truth_files = tuple(frames.values())
    result_files = tuple(given[stem] for stem in scored_names)
    return SequenceFiles(name, truth_files, result_files, tuple(scored))
