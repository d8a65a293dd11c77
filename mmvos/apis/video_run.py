"""One video's results that a killed run goes on with: who made them, what is there, and the model's
state after the last frames.

While a run is under way its folder holds ``unfinished/results.jsonl`` (one line per frame) and
``unfinished/state.pth`` (the state after some frame, written every ten seconds). The same command
started again takes the results of the frames up to that state from the journal and lets the model
go on from there, so all files are byte for byte those of an uninterrupted run. Results of another
command in the folder are moved into ``earlier1`` first.
"""

from __future__ import annotations

import glob
import shutil
import time
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mmvos.io import journal
from mmvos.io.atomic import make_folder, output_errors
from mmvos.io.output_lock import OutputLock
from mmvos.io.run_record import IN_FOLDER, RunRecord, read_record, write_record
from mmvos.io.stored_state import CannotStoreError, digest_of, load_state, save_state
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import FrameResult, Prompts, TrackedObject
from mmvos.structures.soft_mask import from_plain

from .outputs import CUTOUT, MASKS, OVERLAY, RESULTS_JSON, SOFT

UNFINISHED = 'unfinished'
LOCK = '.mmvos.lock'
_FORMAT = 3  # of the unfinished results
_SECONDS = 10.0  # between two states on the disk


class VideoRun:
    """A run on one video; a context manager.

    Args:
        out: the folder of the results.
        fingerprint: equal only for runs that give equal results.
        names: the files and folders that the run writes in ``out``.
        made_by: see ``RunRecord``.
        goes_on: whether a stopped run can go on; not where the source cannot be read again.

    Attributes:
        frames: how many frames the results are there of.
        was_finished: whether an earlier run had finished; there is nothing to do.
        set_aside: where results of another run are now; None where there were none.

    Raises:
        OutputError: entered, another run writes there, or the folder cannot be written.
    """

    def __init__(
        self,
        out: str | Path,
        fingerprint: str,
        names: Sequence[str],
        made_by: Mapping[str, str],
        goes_on: bool,
    ) -> None:
        self.out = Path(out)
        self.frames = 0
        self.was_finished = False
        self.set_aside: Path | None = None
        self._goes_on = goes_on
        self._names = tuple(names)
        self._record = RunRecord(fingerprint, False, made_by)
        self._lock = OutputLock(self.out / LOCK, self.out)
        self._folder = self.out / UNFINISHED
        self._lines: list[journal.Line] = []
        self._stream: BinaryIO | None = None
        self._state: Any = None  # after the last frame, where it is not on the disk yet
        self._saved = time.monotonic()
        self._is_complete = False

    def __enter__(self) -> VideoRun:
        self._lock.__enter__()
        try:
            # Results of the same run are finished or gone on with, those of another set aside.
            found = read_record(self.out / IN_FOLDER)
            if found is not None and found.fingerprint == self._record.fingerprint:
                there = all((self.out / name).exists() for name in self._names)
                self.was_finished = found.finished and there
                self.frames = found.frames or 0
            else:
                self._set_others_aside()
            if not self.was_finished:
                self.frames = 0
                write_record(self.out / IN_FOLDER, self._record)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def _set_others_aside(self) -> None:
        """Move what another run left into a folder of its own; the record last."""
        written = (RESULTS_JSON, MASKS, OVERLAY, SOFT, CUTOUT)
        names = (*written, 'overlay.partial.mp4', UNFINISHED)
        there = [name for name in (*names, IN_FOLDER) if (self.out / name).exists()]
        if not there:
            return
        number = 1
        while (self.out / f'earlier{number}' / IN_FOLDER).exists() or (
            IN_FOLDER not in there and (self.out / f'earlier{number}').exists()
        ):
            number += 1
        target = make_folder(self.out / f'earlier{number}')
        for name in there:
            with output_errors(target / name):
                (self.out / name).rename(target / name)
        self.set_aside = target

    def start(self) -> tuple[int, Any]:
        """Begin to write.

        Returns:
            How many frames the results are taken of with `read`, and the model's state after them.
        """
        make_folder(self._folder)
        path = self._folder / 'results.jsonl'

        # 1. The state that was stored last, and the results before and after it.
        found = load_state(self._folder / 'state.pth') if self._goes_on else None
        lines = []
        if found is not None and path.is_file():
            journal.cut_off_damage(path)
            lines = [line for line, _ in journal.lines_of(path)]

        # 2. Results up to the state are taken; without a state everything is computed again.
        state = None
        if found is not None and 0 < found[0] <= len(lines):
            self._lines = lines[: found[0]]
            state = found[1]

        # 3. Write on behind them.
        with output_errors(path):
            self._stream = path.open('ab', buffering=0)
            # What comes after the state is computed again.
            size = 0
            if self._lines:
                last = self._lines[-1]
                size = last.start + last.length
            self._stream.truncate(size)
        self.frames = len(self._lines)
        return self.frames, state

    def read(self, index: int) -> FrameResult:
        """The result of a step of an earlier run, or of one before `index_results`.

        Args:
            index: the number of the step; where all frames come in order that of the frame.
        """
        content = journal.read_line(self._lines[index])
        objects = []
        for item in content['objects']:
            # JSON has lists where the result has tuples.
            item['box'] = tuple(item['box'])
            region = item['region']
            if region is not None:
                item['region'] = tuple(tuple(corner) for corner in region)
            soft = item.pop('soft', None)
            if soft is not None:
                item['soft'] = from_plain(soft)
            objects.append(TrackedObject(**item))
        shape = tuple(content['shape'])
        return FrameResult(content['frame'], shape, tuple(objects))

    def append(self, result: FrameResult, state: Any) -> None:
        """Keep the result of the next frame; a kill after this call does not lose it.

        Args:
            result: of the frame.
            state: the model's state after it.

        Raises:
            OutputError: the disk is full.
        """
        assert self._stream is not None
        objects = [_plain(item) for item in result.objects]
        content = {'frame': result.frame_index, 'shape': list(result.shape), 'objects': objects}
        with output_errors(self._folder / 'results.jsonl'):
            journal.append(self._stream, content)
        self.frames += 1
        self._state = state
        if self._goes_on and time.monotonic() - self._saved > _SECONDS:
            self._save_state()

    def store_state(self) -> None:
        """Store the model's state now, so that nothing before it is computed again."""
        if self._goes_on and self._state is not None:
            self._save_state()

    def index_results(self) -> None:
        """Make all results so far ready for `read`, where they are not all those of an earlier run.

        Memory grows by some 200 bytes a result.
        """
        path = self._folder / 'results.jsonl'
        self._lines = [line for line, _ in journal.lines_of(path)]

    def finish(self) -> None:
        """Say that all frames are there."""
        self._is_complete = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.was_finished:
                return
            if self._stream is not None:
                self._stream.close()
            is_finished = self._is_complete
            if not self._goes_on and kind in (None, GeneratorExit, KeyboardInterrupt):
                is_finished = True  # the way to end a camera
            # The next run goes on after the last frame, not after the last stored state.
            if not is_finished and self._state is not None:
                self._save_state()
            record = replace(self._record, finished=is_finished, frames=self.frames)
            write_record(self.out / IN_FOLDER, record)
            if is_finished:
                shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            self._lock.__exit__(None, None, None)

    def _save_state(self) -> None:
        try:
            save_state(self._folder / 'state.pth', self.frames, self._state)
        except CannotStoreError as error:
            warnings.warn(f'a run that is stopped starts anew: {error}', stacklevel=2)
            self._goes_on = False
        self._saved = time.monotonic()
        self._state = None


def _plain(item: TrackedObject) -> dict[str, Any]:
    """An object as JSON takes it; numbers keep all of their digits."""
    region = item.region
    if region is not None:
        region = tuple((float(x), float(y)) for x, y in region)
    plain: dict[str, Any] = {
        'id': int(item.id),
        'label': int(item.label),
        'score': float(item.score),
        'box': [float(side) for side in item.box],
        'mask': item.mask,
        'region': region,
    }
    if item.soft is not None:
        plain['soft'] = item.soft.to_plain()
    return plain


def source_identity(source: Any) -> str | None:
    """What tells a source from others: path, size and time of its files; None where it cannot be
    read twice (cameras, streams, arrays of a caller's).
    """
    if not isinstance(source, (str, Path)):
        return None
    path = Path(source).expanduser()
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
    else:
        files = sorted(Path(name) for name in glob.glob(str(path)))
    if not files:
        return None
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return digest_of(states)


def fingerprint_of(
    model: VideoSteps | str, source: Any, prompts: Mapping[int, Prompts], **options: Any
) -> str:
    """A digest of everything that decides the results of a run; of a source that cannot be read
    twice one that never comes again.

    Args:
        model: config and weights count; or a digest of its identity, for many videos.
        source: what the caller named.
        prompts: by frame index.
        options: other settings, plain values.
    """
    identity = source_identity(source)
    if not identity:
        identity = uuid.uuid4().hex
    texts = {name: str(value) for name, value in options.items()}
    known: list[Any] = [model]
    if not isinstance(model, str):
        known = model.identity()
    parts = [_FORMAT, *known, identity, dict(prompts), texts]
    return digest_of(parts)
