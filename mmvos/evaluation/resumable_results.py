"""Results of testing on a data set, kept on disk video by video, so that a killed test continues.

Each process appends one JSON line per finished video to its own file ``OUT.partial/rank<r>.jsonl``;
at the end the lines of all processes are joined in the order of the videos, byte for byte the same
for any number of processes. Files of results wait in ``OUT.partial/files`` until all are there.
``OUT.run.json`` says which run made the results; those of another run are renamed before the first
video. What a benchmark keeps stands in its own classes: ``TrackResults``, ``LabelMapResults`` and
``TrajectoryResults``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mmengine.dist import barrier, get_rank
from mmengine.logging import print_log

from mmvos.io import journal
from mmvos.io.atomic import make_folder, output_errors, write_text
from mmvos.io.errors import DataError
from mmvos.io.paths import output_inside
from mmvos.io.run_record import RunRecord, read_record, record_path, set_aside, write_record

# a track: video_id, category_id, score, segmentations; or the name of a file of results
Entry = Any
Own = TypeVar('Own', bound='ResumableResults')
_FORMAT = 2  # of the unfinished results


def fingerprint(settings: Mapping[str, Any], *files: str | Path) -> str:
    """Name what is being tested: equal only where the settings and the content of all files are
    equal.

    Args:
        settings: the parts of the config that decide the results (model, data set); values that
            ``str`` can show.
        files: checkpoint, annotation file.
    """
    content = {'format': _FORMAT, 'settings': settings}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    for path in files:
        with open(path, 'rb') as stream:
            for block in iter(lambda: stream.read(1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()


class ResumableResults(ABC):
    """What one test run has finished; a context manager, because it keeps its shard open.

    All processes of a distributed run construct it together (it waits for the others). What an
    earlier run with the same fingerprint left behind is kept, other is set aside.

    Args:
        out: path without suffix; the folder ``out.partial`` holds the shards until ``collect``.
        run: the fingerprint of the run.
        made_by: what the run's record says beside it, see ``RunRecord``.
        videos: length of each video in frames, by id or by the name of its folder.

    Attributes:
        finished: ids of the videos that an earlier run has finished.

    Raises:
        OutputError: constructed, the output cannot be written.
    """

    def __init__(
        self,
        out: str | Path,
        run: str,
        made_by: Mapping[str, str] | None = None,
        videos: Mapping[str, int] | None = None,
    ) -> None:
        self.out = Path(out)
        self.record = RunRecord(run, False, made_by or {}, videos or {})
        self._folder = beside(self.out, '.partial')
        self._shard: BinaryIO | None = None
        if get_rank() == 0:
            self._set_others_aside()
            _prepare(self._folder, run)
        barrier()
        self._earlier = _lines(self._folder)
        self.finished = frozenset(self._earlier)
        barrier()  # no process may append before all have looked

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _set_others_aside(self) -> None:
        """Rename what another run left under our names, and begin the record of this one."""
        ours = self.record.fingerprint
        place = record_path(self.out)
        found = read_record(place)
        run_of_folder = _run_of(self._folder)
        if found is not None and found.fingerprint == ours:
            # The record is ours; only the folder of partial results may be another run's.
            if run_of_folder not in (None, ours):
                renamed = set_aside([self._folder], record_path(self._folder))
                _say(renamed, None)
            return

        paths = [beside(self.out, '.json'), beside(self.out, '.zip')]
        if run_of_folder != ours:
            paths.append(self._folder)
        if found is not None:
            paths.append(self.out)  # without a record the folder may hold anything
        renamed = set_aside(paths, place)
        _say(renamed, found)
        write_record(place, self.record)

    def append(self, video_id: int, entries: Sequence[Entry]) -> None:
        """Keep the entries of one finished video; a kill after this call does not lose them.

        Raises:
            OutputError: the disk is full.
        """
        path = self._folder / f'rank{get_rank()}.jsonl'
        with output_errors(path):
            if self._shard is None:
                # Unbuffered: what is written is with the operating system.
                self._shard = path.open('ab', buffering=0)
            journal.append(self._shard, {'video_id': video_id, 'entries': list(entries)})

    def read(self, video_id: int) -> list[Entry]:
        """Read the entries of a video that an earlier run has finished."""
        return _entries(self._earlier[video_id])

    def close(self) -> None:
        """Close the shard; what was appended stays."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def collect(self, video_ids: Sequence[int], use: Callable[[list[list[Entry]]], object]) -> None:
        """Hand the entries of all videos to ``use`` on the main process, then forgets them; all
        processes call it, and wait for each other.

        Args:
            video_ids: all videos of the data set; their order is the order of the entries.

        Raises:
            ValueError: a video has no result.
            OutputError: the results cannot be written; what is finished stays.
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
            entries = [_entries(lines[video_id]) for video_id in video_ids]
            use(entries)
            write_record(record_path(self.out), replace(self.record, finished=True))
            shutil.rmtree(self._folder)
        barrier()

    @abstractmethod
    def keep(self, video: Any, results: Iterable[Any]) -> None:
        """Keep the results of one video as they come; it is finished when this returns.

        Args:
            video: of the data set.
            results: what the benchmark's ``run`` yields.
        """

    @abstractmethod
    def merge(self, video_ids: Sequence[int]) -> tuple[Path, ...]:
        """Give the results of all videos their final form, see ``collect``.

        Args:
            video_ids: all videos of the data set, in its order.

        Returns:
            Where the results are.
        """


class ResumableFiles(ResumableResults):
    """Results in files; an entry is the path of one below ``out`` and the digest of its content.
    Where a file is gone or damaged, its video is not finished. See ``ResumableResults``.
    """

    def __init__(
        self,
        out: str | Path,
        run: str,
        made_by: Mapping[str, str] | None = None,
        videos: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(out, run, made_by, videos)
        whole = set()
        for video_id in self._earlier:
            files = [self.find(name, digest) for name, digest in self.read(video_id)]
            if None not in files:
                whole.add(video_id)
        self.finished = frozenset(whole)

    def staged(self, name: str) -> Path:
        """Say where a file waits until all videos are finished.

        Raises:
            UnsafeNameError: the name, which is a video's or stands in the journal, leads out.
        """
        return output_inside(self._folder / 'files', name, str(self.out))

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """Give the entries of files that are staged."""
        found = []
        for name in names:
            content = self.staged(name).read_bytes()
            found.append([name, journal.digest(content)])
        return found

    def find(self, name: str, digest: str) -> Path | None:
        """Find the whole file; a run that was stopped at its end has moved some of them."""
        final = output_inside(self.out, name, str(self.out))
        for path in (self.staged(name), final):
            if not path.is_file():
                continue
            content = path.read_bytes()
            if journal.digest(content) == digest:
                return path
        return None

    def place(self, videos: Sequence[Sequence[Entry]]) -> None:
        """Give all files their final names; in one step where nothing stands there."""
        with output_errors(self.out):
            staged = self._folder / 'files'
            if not self.out.exists() and staged.is_dir():
                staged.rename(self.out)
                return
            for name, digest in itertools.chain.from_iterable(videos):
                path = self.find(name, digest)
                if path is None:
                    raise DataError(f'{self.out / name} has gone; start the test again')
                (self.out / name).parent.mkdir(parents=True, exist_ok=True)
                path.replace(self.out / name)


def beside(out: Path, suffix: str) -> Path:
    """Name a file beside the output, e.g. OUT.zip."""
    return out.with_name(out.name + suffix)


def _say(moved: Sequence[Path], found: RunRecord | None) -> None:
    """Name what was set aside."""
    if not moved:
        return
    by = f' of {found}' if found is not None else ''
    names = ', '.join(str(path) for path in moved)
    print_log(f'The results of another run{by} are kept as {names}.', 'current')


def _run_of(folder: Path) -> str | None:
    """The fingerprint of unfinished results; '' where it is gone, None without results."""
    mark = folder / 'fingerprint'
    if mark.is_file():
        return mark.read_text(errors='replace')
    return '' if folder.exists() else None


def _prepare(folder: Path, run: str) -> None:
    """Make the folder ready; what follows a damaged line in a shard is cut off."""
    make_folder(folder)
    write_text(folder / 'fingerprint', run)
    for path in sorted(folder.glob('rank*.jsonl')):
        if journal.cut_off_damage(path):
            print_log(
                f'{path} is damaged; the videos after the damage are tested again.', 'current'
            )


def _lines(folder: Path) -> dict[int, journal.Line]:
    """The finished videos of all shards; where two processes had the same video, the first shard
    counts.
    """
    found: dict[int, journal.Line] = {}
    for path in sorted(folder.glob('rank*.jsonl')):
        for line, content in journal.lines_of(path):
            found.setdefault(content['video_id'], line)
    return found


def _entries(line: journal.Line) -> list[Entry]:
    entries: list[Entry] = journal.read_line(line)['entries']
    return entries
