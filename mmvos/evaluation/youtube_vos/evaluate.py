"""The YouTube-VOS scores of a folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmvos.io.label_png import read_label_size

from ..label_files import (
    FrameLabels,
    LabelImages,
    check_frames,
    check_sequences,
    list_frames,
    list_results,
    list_sequences,
    read_result,
)
from ..report import Report
from ..workers import map_in_processes
from .classes import read_classes, read_seen
from .scores import ObjectScores, score_video, summarize
from .sequences import find_ground_truth


@dataclass(frozen=True)
class VideoFiles:
    """One video: its folders of label images, and the class of each object by id."""

    name: str
    truth: Path
    results: Path
    classes: dict[int, str] = field(default_factory=dict)


def evaluate_youtube_vos(
    ground_truth: str | Path,
    results: str | Path,
    seen: str | Path | None = None,
    processes: int = 1,
) -> Report:
    """Score a folder of results, one folder of label PNGs per video.

    Args:
        ground_truth: folder with Annotations/VIDEO/FRAME.png (the annotated frames) and, for
            `seen`, meta.json.
        results: folder with VIDEO/FRAME.png.
        seen: file that names the classes seen in training (one per line, or the training set's
            meta.json).
        processes: how many work.

    Returns:
        `metrics` G, J_seen, J_unseen, F_seen, F_unseen (with `seen`), J&F_mean, J_mean, F_mean; the
        table per_object.

    Raises:
        DataError: input that cannot be scored.
    """
    root = Path(ground_truth)
    folder = Path(results)
    truth_folders = find_ground_truth(root)
    result_folders = list_sequences(folder, results=True)
    check_sequences(truth_folders, result_folders, folder)

    # Which classes were seen in training is only asked for G.
    classes = {}
    seen_classes = None
    if seen is not None:
        classes = read_classes(root / 'meta.json')
        seen_classes = read_seen(Path(seen))

    # Videos are scored one by one, in so many processes.
    videos = [
        VideoFiles(name, truth, result_folders[name], classes.get(name, {}))
        for name, truth in truth_folders.items()
    ]
    objects = []
    for scores in map_in_processes(score_files, videos, processes, 'youtube-vos'):
        objects += scores
    return summarize(objects, seen_classes)


def score_files(video: VideoFiles) -> list[ObjectScores]:
    """Score one video, one frame in memory at a time.

    Args:
        video: its files.

    Raises:
        DataError: a file cannot be read, or the results do not fit.
    """
    # The published results may leave out frames in which nothing is seen.
    frames = list_frames(video.truth)
    given = list_results(video.results)
    check_frames(frames, given, video.results, optional=set(frames))
    paths = list(frames.values())
    shape = read_label_size(paths[0])
    truth = LabelImages(paths, shape)
    places = [str(video.results / f'{stem}.png') for stem in frames]

    def labels() -> Iterator[FrameLabels | None]:
        for stem in frames:
            if stem in given:
                yield read_result(given[stem], shape)
            else:
                yield None

    return score_video(video.name, truth, labels(), places, video.classes)
