"""Tracks of a test run, kept video by video until OUT.json and OUT.zip can be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvos.io.errors import DataError
from mmvos.structures import FrameResult, VideoTracks

from ..benchmark import BenchmarkVideo
from ..resumable_results import ResumableResults, beside
from .results_file import result_entries, write_results


def track_entries(
    video: BenchmarkVideo, results: Iterable[FrameResult], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Bring the results of a video's frames into the official results schema.

    Args:
        video: the video.
        results: of all its frames.
        category_ids: label -> category id.

    Raises:
        ValueError: a label has no category.
    """
    tracks = VideoTracks(video.length)
    for result in results:
        tracks.add(result)
    return result_entries(video.id, tracks.tracks(), category_ids)


class TrackResults(ResumableResults):
    """Tracks: an entry is one track in the YouTube-VIS results schema.

    Args:
        out, run, made_by, videos: see ``ResumableResults``.
        category_ids: label -> category id.
    """

    def __init__(
        self,
        out: str | Path,
        run: str,
        made_by: Mapping[str, str] | None = None,
        videos: Mapping[str, int] | None = None,
        category_ids: Sequence[int] = (),
    ) -> None:
        super().__init__(out, run, made_by, videos)
        self.category_ids = category_ids

    def keep(self, video: BenchmarkVideo, results: Iterable[FrameResult]) -> None:
        """Keep the tracks of one video."""
        self.append(video.id, track_entries(video, results, self.category_ids))

    def merge(self, video_ids: Sequence[int]) -> tuple[Path, ...]:
        """Join the tracks of all videos, see ``collect``; returns the paths of ``out.json`` and
        ``out.zip``.
        """

        def write(videos: Sequence[Sequence[Any]]) -> None:
            tracks = [track for entries in videos for track in entries]
            write_results(tracks, self.out)

        self.collect(video_ids, write)
        return beside(self.out, '.json'), beside(self.out, '.zip')


def check_is_not_ground_truth(path: Path, annotations: Path) -> None:
    """Refuse to write results over the annotations.

    Raises:
        DataError: both are one file.
    """
    if path.exists() and annotations.exists() and path.samefile(annotations):
        raise DataError(
            f'{path} holds the annotations, which the results would replace; give another --out'
        )
