"""VideoResults: results of testing on a data set, kept on disk video by video, so that a killed test
continues.

Each process appends one JSON line per finished video to its own file ``OUT.partial/rank<r>.jsonl``; at the
end the lines of all processes are joined in the order of the videos into ``OUT.json`` and ``OUT.zip``, byte
for byte the same for any number of processes. A fingerprint of what was tested keeps results of different
runs apart.
"""
from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mmengine.dist import barrier, get_rank

from mmvos.evaluation.youtube_vis import write_results

Entry = dict[str, Any]  # one track: video_id, category_id, score, segmentations


def fingerprint(settings: Mapping[str, Any], *files: str | Path) -> str:
    """Names what is being tested: equal only where the settings and the content of all files are equal.

    Args:
        settings: the parts of the config that decide the results (model, data set); values that ``str`` can
            show.
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


class VideoResults:
    """The results of one test run; a context manager, because it keeps its shard open.

    All processes of a distributed run construct it together (it waits for the others). Results that an
    earlier run with the same fingerprint left behind are kept, others are deleted.

    Args:
        out: path without suffix; ``out.json``, ``out.zip`` and, until ``merge``, the folder ``out.partial``
            are its.
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

    def __enter__(self) -> VideoResults:
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

    def merge(self, video_ids: Sequence[int]) -> tuple[Path, Path]:
        """Joins the results of all processes into the results file; all processes call it, and wait for each
        other.

        Args:
            video_ids: all videos of the data set; their order is the order of the results.

        Returns:
            The paths of ``out.json`` and ``out.zip``.

        Raises:
            ValueError: a video has no result.
        """
        self.close()
        barrier()
        if get_rank() == 0:
            lines = _lines(self._folder)
            missing = [video_id for video_id in video_ids if video_id not in lines]
            if missing:
                raise ValueError(f'{self._folder}: {len(missing)} of {len(video_ids)} videos have no result, '
                                 f'the first is video {missing[0]}; start the test again, it continues there')
            write_results([entry for video_id in video_ids for entry in _entries(lines[video_id])], self.out)
            shutil.rmtree(self._folder)
        barrier()
        return self.out.with_name(self.out.name + '.json'), self.out.with_name(self.out.name + '.zip')


def _prepare(folder: Path, run: str) -> None:
    """Makes the folder ready: results of another run are deleted, the half line of a killed run cut off."""
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
    """Whether a line was written to its end: after a kill the last may be short, after a power cut also
    zeros.
    """
    try:
        return line.endswith(b'\n') and 'entries' in json.loads(line)
    except ValueError:
        return False


def _lines(folder: Path) -> dict[int, _Line]:
    """The finished videos of all shards; where two processes had the same video, the first shard counts."""
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
