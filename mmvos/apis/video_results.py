"""Results of testing on a data set, kept on disk video by video, so that a killed test continues.

Each process appends one JSON line per finished video to its own file ``OUT.partial/rank<r>.jsonl``;
at the end the lines of all processes are joined in the order of the videos, byte for byte the same
for any number of processes: tracks (``VideoResults``) into ``OUT.json`` and ``OUT.zip``, label
images (``LabelFolders``), which stand in ``OUT/VIDEO`` at once, into ``OUT.zip``; supervised runs
(``Trajectories``) stand in ``OUT/baseline`` at once. A fingerprint of what was tested keeps results
of different runs apart.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mmengine.dist import barrier, get_rank

from mmvos.datasets import PromptedVideo
from mmvos.evaluation.vot import SupervisedVideo, write_trajectory
from mmvos.evaluation.youtube_vis import write_results
from mmvos.io.label_png import LabelImageError, as_labels, write_label_png
from mmvos.structures import FrameResult

# a track: video_id, category_id, score, segmentations; or the name of a file of results
Entry = Any
Own = TypeVar('Own', bound='FinishedVideos')
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: equal results give equal bytes


def fingerprint(settings: Mapping[str, Any], *files: str | Path) -> str:
    """Names what is being tested: equal only where the settings and the content of all files are
    equal.

    Args:
        settings: the parts of the config that decide the results (model, data set); values that
            ``str`` can show.
        files: checkpoint, annotation file.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in files:
        with open(path, 'rb') as stream:
            for block in iter(lambda: stream.read(1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Line:
    """Where the line of a finished video stands, in bytes."""

    path: Path
    start: int
    length: int


class FinishedVideos:
    """What one test run has finished; a context manager, because it keeps its shard open.

    All processes of a distributed run construct it together (it waits for the others). What an
    earlier run with the same fingerprint left behind is kept, other is deleted.

    Args:
        out: path without suffix; the folder ``out.partial`` holds the shards until ``collect``.
        run: the fingerprint of the run.

    Attributes:
        finished: ids of the videos that an earlier run has finished.
    """

    def __init__(self, out: str | Path, run: str) -> None:
        self.out = Path(out)
        self._folder = self.out.with_name(self.out.name + '.partial')
        self._shard: BinaryIO | None = None
        if get_rank() == 0:
            _prepare(self._folder, run)
        barrier()
        self._earlier = _lines(self._folder)
        self.finished = frozenset(self._earlier)
        barrier()  # no process may append before all have looked

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def append(self, video_id: int, entries: Sequence[Entry]) -> None:
        """Keeps the entries of one finished video; a kill after this call does not lose them."""
        if self._shard is None:
            # Unbuffered: what is written is with the operating system.
            self._shard = (self._folder / f'rank{get_rank()}.jsonl').open('ab', buffering=0)
        content = {'video_id': video_id, 'entries': list(entries)}
        line = json.dumps(content, separators=(',', ':'), allow_nan=False)
        self._shard.write(line.encode() + b'\n')

    def read(self, video_id: int) -> list[Entry]:
        """The entries of a video that an earlier run has finished."""
        return _entries(self._earlier[video_id])

    def close(self) -> None:
        """Closes the shard; what was appended stays."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def collect(self, video_ids: Sequence[int], use: Callable[[list[list[Entry]]], object]) -> None:
        """Hands the entries of all videos to ``use`` on the main process, then forgets them; all
        processes call it, and wait for each other.

        Args:
            video_ids: all videos of the data set; their order is the order of the entries.

        Raises:
            ValueError: a video has no result.
        """
        self.close()
        barrier()
        if get_rank() == 0:
            lines = _lines(self._folder)
            missing = [video_id for video_id in video_ids if video_id not in lines]
            if missing:
                raise ValueError(
                    f'{self._folder}: {len(missing)} of {len(video_ids)} videos have no result, '
                    f'the first is video {missing[0]}; start the test again, it continues there'
                )
            use([_entries(lines[video_id]) for video_id in video_ids])
            shutil.rmtree(self._folder)
        barrier()


class VideoResults(FinishedVideos):
    """Tracks: an entry is one track in the YouTube-VIS results schema. See ``FinishedVideos``."""

    def merge(self, video_ids: Sequence[int]) -> tuple[Path, Path]:
        """Joins the tracks of all videos, see ``collect``; returns the paths of ``out.json`` and
        ``out.zip``.
        """
        self.collect(
            video_ids,
            lambda videos: write_results([entry for video in videos for entry in video], self.out),
        )
        return self.out.with_name(self.out.name + '.json'), self.out.with_name(
            self.out.name + '.zip'
        )


class FinishedFiles(FinishedVideos):
    """Results in files; an entry is the path of one below ``out``. Where one of a video's is gone,
    it is not finished.
    """

    def __init__(self, out: str | Path, run: str) -> None:
        super().__init__(out, run)
        self.finished = frozenset(
            video_id
            for video_id in self._earlier
            if all((self.out / name).is_file() for name in self.read(video_id))
        )


class Trajectories(FinishedFiles):
    """Supervised runs ``out/baseline/SEQUENCE/SEQUENCE_001.txt``, as the tools of VOT write
    them.
    """

    def keep(self, video: SupervisedVideo, lines: Iterable[Any]) -> None:
        """Writes the lines of one sequence, and keeps it as finished."""
        name = f'baseline/{video.name}/{video.name}_001.txt'
        write_trajectory(self.out / name, list(lines))
        self.append(video.id, [name])

    def merge(self, video_ids: Sequence[int]) -> Path:
        """Ends the run, see ``collect``; returns the folder of the results."""
        self.collect(video_ids, lambda _: None)
        return self.out


class LabelFolders(FinishedFiles):
    """Label images ``out/VIDEO/FRAME.png`` in DAVIS's palette, whose pixel values are the objects'
    ids; an entry is the path of one below ``out``. See ``FinishedVideos``.
    """

    def keep(self, video: PromptedVideo, results: Iterable[FrameResult]) -> None:
        """Writes the label image of each result as it comes, and keeps the video as finished.

        Raises:
            ValueError: the folder is that of the ground truth, or an id does not fit into a label
                image.
        """
        folder = self.out / video.name
        folder.mkdir(parents=True, exist_ok=True)
        if any(path is not None and path.parent.samefile(folder) for path in video.files.masks):
            raise ValueError(
                f'{folder} holds the given label images, which the results would overwrite; give '
                f'another place for the results'
            )
        names = []
        for result in results:
            try:
                labels = as_labels(result.label_map())
            except LabelImageError as error:
                raise LabelImageError(f'video {video.name}: {error}.') from None
            names.append(f'{video.name}/{video.frame_names[result.frame_index]}.png')
            write_label_png(self.out / names[-1], labels)
        surplus = {path.name for path in folder.glob('*.png')} - {Path(name).name for name in names}
        if surplus:
            warnings.warn(
                f'{folder} still holds {len(surplus)} label images that this run did not write, '
                f'e.g. '
                f'{min(surplus)}; remove them before scoring',
                stacklevel=2,
            )
        self.append(video.id, names)

    def merge(self, video_ids: Sequence[int], folder: str = '') -> Path:
        """Packs the label images of all videos, see ``collect``; returns the path of ``out.zip``.

        Args:
            folder: where the videos stand in the zip, e.g. 'Annotations/'; at the top by default.
        """
        path = self.out.with_name(self.out.name + '.zip')
        self.collect(
            video_ids,
            lambda videos: self._pack(path, folder, (name for video in videos for name in video)),
        )
        return path

    def _pack(self, path: Path, folder: str, names: Iterable[str]) -> None:
        with zipfile.ZipFile(path, 'w') as archive:  # PNGs do not become smaller
            for name in names:
                member = zipfile.ZipInfo(folder + name, _FIXED_TIME)
                member.create_system = 3  # also on other systems
                member.external_attr = 0o644 << 16
                archive.writestr(member, (self.out / name).read_bytes())


def _prepare(folder: Path, run: str) -> None:
    """Makes the folder ready: results of another run are deleted, the half line of a killed run cut
    off.
    """
    mark = folder / 'fingerprint'
    if folder.exists() and (not mark.is_file() or mark.read_text() != run):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(run)
    for path in folder.glob('rank*.jsonl'):
        with open(path, 'rb+') as stream:
            stream.truncate(_length_of_whole_lines(stream))


def _length_of_whole_lines(stream: BinaryIO) -> int:
    return sum(len(line) for line in itertools.takewhile(_is_whole, stream))


def _is_whole(line: bytes) -> bool:
    """Whether a line was written to its end: after a kill the last may be short, after a power cut
    also zeros.
    """
    try:
        return line.endswith(b'\n') and 'entries' in json.loads(line)
    except ValueError:
        return False


def _lines(folder: Path) -> dict[int, _Line]:
    """The finished videos of all shards; where two processes had the same video, the first shard
    counts.
    """
    found: dict[int, _Line] = {}
    for path in sorted(folder.glob('rank*.jsonl')):
        with open(path, 'rb') as stream:
            for start, line in _with_offset(stream):
                found.setdefault(json.loads(line)['video_id'], _Line(path, start, len(line)))
    return found


def _with_offset(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    start = 0
    for line in stream:
        yield start, line
        start += len(line)


def _entries(line: _Line) -> list[Entry]:
    with open(line.path, 'rb') as stream:
        stream.seek(line.start)
        content: list[Entry] = json.loads(stream.read(line.length))['entries']
    return content
