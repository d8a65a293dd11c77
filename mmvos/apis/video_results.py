"""Results of testing on a data set, kept on disk video by video, so that a killed test continues.

Each process appends one JSON line per finished video to its own file ``OUT.partial/rank<r>.jsonl``;
at the end the lines of all processes are joined in the order of the videos, byte for byte the same
for any number of processes: tracks (``VideoResults``) into ``OUT.json`` and ``OUT.zip``, label
images (``LabelFolders``) into ``OUT/VIDEO`` and ``OUT.zip``, supervised runs (``Trajectories``) into
``OUT/baseline``. Files wait in ``OUT.partial/files`` until all are there. ``OUT.run.json`` says which
run made the results; those of another run are renamed before the first video.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mmengine.dist import barrier, get_rank
from mmengine.logging import print_log

from mmvos.datasets import PromptedVideo
from mmvos.evaluation.vot import SupervisedVideo, write_trajectory
from mmvos.evaluation.youtube_vis import write_results
from mmvos.io import journal
from mmvos.io.atomic import (
    atomic_path,
    make_folder,
    output_errors,
    remove_leftovers,
    write_text,
)
from mmvos.io.errors import DataError
from mmvos.io.label_png import LabelImageError, as_labels, write_label_png
from mmvos.io.paths import output_inside
from mmvos.io.run_record import RunRecord, read_record, record_path, set_aside, write_record
from mmvos.structures import FrameResult

# a track: video_id, category_id, score, segmentations; or the name of a file of results
Entry = Any
Own = TypeVar('Own', bound='FinishedVideos')
_FORMAT = 2  # of the unfinished results
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: equal results give equal bytes


def fingerprint(settings: Mapping[str, Any], *files: str | Path) -> str:
    """Names what is being tested: equal only where the settings and the content of all files are
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


class FinishedVideos:
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
        self._folder = _beside(self.out, '.partial')
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
        place = record_path(self.out)
        found = read_record(place)
        if found is not None and found.fingerprint == self.record.fingerprint:
            if _run_of(self._folder) not in (None, found.fingerprint):
                _say(set_aside([self._folder], record_path(self._folder)), None)
            return
        paths = [_beside(self.out, '.json'), _beside(self.out, '.zip')]
        if _run_of(self._folder) != self.record.fingerprint:
            paths.append(self._folder)
        if found is not None:
            paths.append(self.out)  # without a record the folder may hold anything
        _say(set_aside(paths, place), found)
        write_record(place, self.record)

    def append(self, video_id: int, entries: Sequence[Entry]) -> None:
        """Keeps the entries of one finished video; a kill after this call does not lose them.

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
            use([_entries(lines[video_id]) for video_id in video_ids])
            write_record(record_path(self.out), replace(self.record, finished=True))
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
        return _beside(self.out, '.json'), _beside(self.out, '.zip')


class FinishedFiles(FinishedVideos):
    """Results in files; an entry is the path of one below ``out`` and the digest of its content.
    Where a file is gone or damaged, its video is not finished. See ``FinishedVideos``.
    """

    def __init__(
        self,
        out: str | Path,
        run: str,
        made_by: Mapping[str, str] | None = None,
        videos: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(out, run, made_by, videos)
        self.finished = frozenset(
            video_id
            for video_id in self._earlier
            if all(self._find(name, digest) for name, digest in self.read(video_id))
        )

    def staged(self, name: str) -> Path:
        """Where a file waits until all videos are finished.

        Raises:
            UnsafeNameError: the name, which is a video's or stands in the journal, leads out.
        """
        return output_inside(self._folder / 'files', name, str(self.out))

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """The entries of files that are staged."""
        return [[name, journal.digest(self.staged(name).read_bytes())] for name in names]

    def _find(self, name: str, digest: str) -> Path | None:
        """Where the whole file is; a run that was stopped at its end has moved some of them."""
        for path in (self.staged(name), output_inside(self.out, name, str(self.out))):
            if path.is_file() and journal.digest(path.read_bytes()) == digest:
                return path
        return None

    def _place(self, videos: Sequence[Sequence[Entry]]) -> None:
        """Gives all files their final names; in one step where nothing stands there."""
        with output_errors(self.out):
            staged = self._folder / 'files'
            if not self.out.exists() and staged.is_dir():
                staged.rename(self.out)
                return
            for name, digest in itertools.chain.from_iterable(videos):
                path = self._find(name, digest)
                if path is None:
                    raise DataError(f'{self.out / name} has gone; start the test again')
                (self.out / name).parent.mkdir(parents=True, exist_ok=True)
                path.replace(self.out / name)


class Trajectories(FinishedFiles):
    """Supervised runs ``out/baseline/SEQUENCE/SEQUENCE_001.txt``, as the tools of VOT write
    them.
    """

    def keep(self, video: SupervisedVideo, lines: Iterable[Any]) -> None:
        """Writes the lines of one sequence, and keeps it as finished."""
        name = f'baseline/{video.name}/{video.name}_001.txt'
        write_trajectory(self.staged(name), list(lines))
        self.append(video.id, self.entries([name]))

    def merge(self, video_ids: Sequence[int]) -> Path:
        """Ends the run, see ``collect``; returns the folder of the results."""
        self.collect(video_ids, self._place)
        return self.out


class LabelFolders(FinishedFiles):
    """Label images ``out/VIDEO/FRAME.png`` in DAVIS's palette, whose pixel values are the objects'
    ids. See ``FinishedFiles``.
    """

    def keep(self, video: PromptedVideo, results: Iterable[FrameResult]) -> None:
        """Writes the label image of each result as it comes, and keeps the video as finished.

        Raises:
            ValueError: the folder is that of the ground truth, or an id does not fit into a label
                image.
        """
        check_is_not_ground_truth(self.out, video)
        folder = self.staged(video.name)
        make_folder(folder)
        remove_leftovers(folder)
        names = []
        for result in results:
            try:
                labels = as_labels(result.label_map())
            except LabelImageError as error:
                raise LabelImageError(f'video {video.name}: {error}.') from None
            names.append(f'{video.name}/{video.frame_names[result.frame_index]}.png')
            write_label_png(self.staged(names[-1]), labels)
        final = self.out / video.name
        surplus = {path.name for path in final.glob('*.png')} - {Path(name).name for name in names}
        if surplus:
            warnings.warn(
                f'{final} still holds {len(surplus)} label images that this run did not write, '
                f'e.g. {min(surplus)}; remove them before scoring',
                stacklevel=2,
            )
        self.append(video.id, self.entries(names))

    def merge(self, video_ids: Sequence[int], folder: str = '') -> Path:
        """Packs the label images of all videos, see ``collect``; returns the path of ``out.zip``.

        Args:
            folder: where the videos stand in the zip, e.g. 'Annotations/'; at the top by default.
        """
        path = _beside(self.out, '.zip')

        def finish(videos: Sequence[Sequence[Entry]]) -> None:
            self._pack(path, folder, itertools.chain.from_iterable(videos))
            self._place(videos)

        self.collect(video_ids, finish)
        return path

    def _pack(self, path: Path, folder: str, files: Iterable[Entry]) -> None:
        with atomic_path(path) as partial, zipfile.ZipFile(partial, 'w') as archive:
            for name, digest in files:  # PNGs do not become smaller
                member = zipfile.ZipInfo(folder + name, _FIXED_TIME)
                member.create_system = 3  # also on other systems
                member.external_attr = 0o644 << 16
                found = self._find(name, digest)
                if found is None:
                    raise DataError(f'{self.staged(name)} has gone; start the test again')
                archive.writestr(member, found.read_bytes())


def check_is_not_ground_truth(out: Path, video: PromptedVideo) -> None:
    """Refuses to write results of a video over its given label images.

    Raises:
        DataError: the folder is that of the ground truth.
    """
    folder = out / video.name
    given = (path.parent for path in video.files.masks if path is not None)
    if folder.exists() and any(parent.samefile(folder) for parent in given):
        raise DataError(
            f'{folder} holds the given label images, which the results would overwrite; give '
            f'another place for the results'
        )


def _beside(out: Path, suffix: str) -> Path:
    return out.with_name(out.name + suffix)


def _say(moved: Sequence[Path], found: RunRecord | None) -> None:
    """Names what was set aside."""
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
    """Makes the folder ready; what follows a damaged line in a shard is cut off."""
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
