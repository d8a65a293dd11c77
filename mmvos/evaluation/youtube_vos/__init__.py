"""YouTube-VOS by a local protocol: J and F for seen and unseen classes and their mean G."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.io.label_png import read_label_size
from mmvos.lazy_imports import lazy_attributes

from ..label_files import (
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
from .sequences import check_ground_truth, find_ground_truth

if TYPE_CHECKING:
    from .metric import YouTubeVOSMetric

__all__ = [
    'ObjectScores',
    'YouTubeVOSMetric',
    'check_ground_truth',
    'evaluate_youtube_vos',
    'find_ground_truth',
    'read_classes',
    'read_seen',
    'score_files',
    'score_video',
    'summarize',
]

__getattr__ = lazy_attributes(__name__, {'metric': ['YouTubeVOSMetric']})


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
        seen: file that names the classes seen in training (one per line, or the training set's
            meta.json).
    Returns:
        `metrics` G, J_seen, J_unseen, F_seen, F_unseen (with `seen`), J&F_mean, J_mean, F_mean; the
        table per_object.
    Raises:
        EvaluationInputError: input that cannot be scored.
    """
    root, results = Path(ground_truth), Path(results)
    truth = find_ground_truth(root)
    given = list_sequences(results, results=True)
    check_sequences(truth, given, results)
    classes = {} if seen is None else read_classes(root / 'meta.json')
    known = None if seen is None else read_seen(Path(seen))
    items = [(name, folder, given[name], classes.get(name, {})) for name, folder in truth.items()]
    scores = map_in_processes(score_files, items, processes, 'youtube-vos')
    return summarize([one for video in scores for one in video], known)


def score_files(video: tuple[str, Path, Path, dict[int, str]]) -> list[ObjectScores]:
    """Score one video: its name, its folders of ground truth and results, and its classes by object
    id.
    """
    name, truth, results, classes = video
    frames, given = list_frames(truth), list_results(results)
    check_frames(frames, given, results, optional=set(frames))
    shape = read_label_size(next(iter(frames.values())))
    labels = (read_result(given[stem], shape) if stem in given else None for stem in frames)
    places = [str(results / f'{stem}.png') for stem in frames]
    return score_video(name, LabelImages(list(frames.values()), shape), labels, places, classes)
