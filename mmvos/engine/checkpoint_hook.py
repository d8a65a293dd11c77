"""Checkpoints of a training that is stopped at any moment and goes on as if nothing had happened.

mmengine writes checkpoints in place, removes the old one before the new one is there, and on a
resume leaves out the validation that the stopped run had not finished, so the best checkpoint could
be another one than that of an uninterrupted run. Here files are written beside and renamed, old
ones are removed last, and a validation that is due is made up for.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmvos.io.atomic import write_bytes, write_text
from mmvos.io.errors import DataError
from mmvos.registry import HOOKS

_OUTDATED = 'outdated_ckpts'  # in the message hub, so in the checkpoint: what goes after it
_CHECKPOINT = re.compile(r'(?:epoch|iter)_(\d+)\.pth')


class AtomicLocalBackend(LocalBackend):
    """mmengine's files on the local disk; a final name never holds half a file."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        write_bytes(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text."""
        write_text(filepath, obj, encoding)


class _RemoveLater:
    """A file backend that keeps what it is asked to remove until `remove_now`."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.paths: list[str] = []  # of what is to be removed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Note a file that is not needed any more."""
        self.paths.append(str(path))

    def remove_now(self, needed: set[str]) -> None:
        """Remove the noted files but those that have been written again."""
        for path in self.paths:
            if path not in needed and self._backend.isfile(path):
                self._backend.remove(path)
        self.paths.clear()


class ResumableCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, for trainings that may be killed at any moment.

    Args:
        args, kwargs: see mmengine's hook. What it does not know it would hand on when the first
            checkpoint is written; here it is refused at once.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.args:
            raise DataError(f'CheckpointHook has no option {next(iter(self.args))!r}')

    def after_load_checkpoint(self, runner: Runner, checkpoint: Any) -> None:
        """Refuse to go on from a file that holds weights and no state of a training.

        Raises:
            DataError: a training is to be resumed from weights.
        """
        if runner._resume and not _is_state_of_training(checkpoint):
            raise DataError(
                f'{runner._load_from} holds weights and no state of a training, so there is '
                'nothing to resume; start from them with --cfg-options load_from=FILE'
            )

    def before_train(self, runner: Runner) -> None:
        """Make up for the validation that a stopped run had not finished."""
        super().before_train(runner)
        self.file_backend: Any = _RemoveLater(self.file_backend)

        # What the run that was stopped had no time to remove.
        for path in runner.message_hub.runtime_info.get(_OUTDATED, ()):
            self.file_backend.remove(str(Path(self.out_dir, Path(path).name)))
        last = Path(self.out_dir, Path(str(runner.message_hub.runtime_info.get('last_ckpt'))).name)
        if runner._resume and last.is_file():
            self.last_ckpt = str(last)
        if is_main_process():
            self._remove_outdated()
            if self.last_ckpt is not None:
                write_text(Path(runner.work_dir, 'last_checkpoint'), self.last_ckpt)
        if runner._resume and self._validation_is_due(runner):
            runner.logger.info(
                f'Validating {self._step_name(runner)} first: the run that was stopped may not '
                'have done it.'
            )
            runner.val_loop.run()

    def _validation_is_due(self, runner: Runner) -> bool:
        """Whether an uninterrupted run would have validated after the last training step."""
        loop = runner.train_loop
        if runner.val_loop is None:
            return False
        loop._decide_current_val_interval()
        if isinstance(loop, EpochBasedTrainLoop):
            step = loop.epoch
            last = loop.max_epochs
        else:
            step = loop.iter
            last = loop.max_iters
        if step == 0 or step < loop.val_begin:
            return False
        if step % loop.val_interval != 0 and step != last:
            return False

        # A checkpoint that knows itself as the best was written after its validation.
        name = self.filename_tmpl.format(step)
        best = [
            str(value)
            for key, value in runner.message_hub.runtime_info.items()
            if key.startswith('best_ckpt')
        ]
        return not any(path.endswith('_' + name) for path in best)

    def _step_name(self, runner: Runner) -> str:
        if self.by_epoch:
            return f'epoch {runner.epoch}'
        return f'iteration {runner.iter}'

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """Save a checkpoint, and remove the outdated one after that."""
        # As mmengine does, but what is outdated is removed at the end.
        keeps = self.max_keep_ckpts > 0
        if keeps and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                self.file_backend.remove(self.file_backend.join_path(self.out_dir, outdated))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

        # The new one is written first: a kill in between leaves one too many, not one too few.
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.message_hub.update_info(_OUTDATED, list(self.file_backend.paths))
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )

        # Now there is a newer one, and the outdated one can go.
        if is_main_process():
            write_text(Path(runner.work_dir, 'last_checkpoint'), str(self.last_ckpt))
            self._remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Save the best checkpoint, and remove the one before after that."""
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Remove all checkpoints but the last one and the best ones."""
        needed = {str(self.last_ckpt)}
        # mmengine sets these where it keeps a best checkpoint, of one score or of several.
        best = getattr(self, 'best_ckpt_path', None)
        needed.add(str(best))
        best_by_score = getattr(self, 'best_ckpt_path_dict', {})
        for path in best_by_score.values():
            needed.add(str(path))
        self.file_backend.remove_now(needed)


def use_resumable_checkpoints() -> None:
    """Let every config have `ResumableCheckpointHook` where it says ``CheckpointHook``, and
    mmengine write files beside their final names.
    """
    MMENGINE_HOOKS.register_module('CheckpointHook', force=True, module=ResumableCheckpointHook)
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')


HOOKS.register_module('CheckpointHook', module=ResumableCheckpointHook)
use_resumable_checkpoints()


@dataclass(frozen=True)
class FoundCheckpoint:
    """Where a training goes on: the checkpoint, and the newer ones that are damaged."""

    path: Path
    damaged: tuple[Path, ...]

    def __str__(self) -> str:
        if not self.damaged:
            return f'going on from {self.path}'
        names = ', '.join(str(path) for path in self.damaged)
        verb = 'is' if len(self.damaged) == 1 else 'are'
        return f'going on from {self.path}; {names} {verb} damaged and passed over'


def find_whole_checkpoint(work_dir: str | Path) -> FoundCheckpoint | None:
    """Find the newest checkpoint of a training that is whole.

    Args:
        work_dir: the folder of the training.

    Returns:
        The checkpoint; None where there is none at all.

    Raises:
        DataError: there are some, and all of them are damaged.
    """
    damaged: list[Path] = []
    for path in _newest_first(Path(work_dir)):
        if is_whole(path):
            return FoundCheckpoint(path, tuple(damaged))
        damaged.append(path)
    if damaged:
        names = ', '.join(str(path) for path in damaged)
        raise DataError(
            f'{names}: damaged, and {work_dir} has no other checkpoint to go on from; remove it to '
            'start from the beginning'
        )
    return None


def _is_state_of_training(checkpoint: Any) -> bool:
    """Whether a loaded checkpoint says where its training was, and what mmengine had noted."""
    if not isinstance(checkpoint, Mapping):
        return False
    meta = checkpoint.get('meta')
    notes = checkpoint.get('message_hub')
    if not isinstance(meta, Mapping) or not isinstance(notes, Mapping):
        return False
    has_epoch = type(meta.get('epoch')) is int
    has_iteration = type(meta.get('iter')) is int
    return has_epoch and has_iteration


def is_whole(path: Path) -> bool:
    """Whether a checkpoint (a zip, as torch writes it) has all of its bytes, by their checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a damaged zip makes zipfile and zlib raise seven unrelated kinds
        return False


def _newest_first(work_dir: Path) -> list[Path]:
    """The checkpoints of a training. A file with a higher number than the one that was written last
    counts only if it is not older: it may be of an earlier training in the same folder.
    """
    numbers = {}
    for path in work_dir.glob('*.pth'):
        match = _CHECKPOINT.fullmatch(path.name)
        if match and path.is_file():
            numbers[path] = int(match[1])
    by_number = sorted(numbers, key=lambda path: numbers[path], reverse=True)
    last = _last_checkpoint(work_dir)
    if last is None:
        return by_number

    # Those that were written after the last one that is noted, then it, then the rest.
    last_number = numbers.get(last, 0)
    last_written = last.stat().st_mtime
    newer = []
    older = []
    for path in by_number:
        is_newer = numbers[path] > last_number and path.stat().st_mtime >= last_written
        if is_newer:
            newer.append(path)
        elif path != last:
            older.append(path)
    return [*newer, last, *older]


def _last_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint that mmengine's file ``last_checkpoint`` names, where it is there."""
    try:
        name = (work_dir / 'last_checkpoint').read_text(errors='replace').strip()
    except OSError:
        return None
    if not name:
        return None

    # The folder may have been moved since.
    for path in (work_dir / Path(name).name, Path(name)):
        if path.is_file():
            return path
    return None
