"""Hooks that mmengine lacks: a guard that names the batch of a non-finite loss, and random numbers
that survive a resume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmvos.deprecation import accept_old_options
from mmvos.registry import HOOKS

MAX_SKIPS = 100  # in a row, after which a training stops all the same


@HOOKS.register_module()
@accept_old_options(removed=('max_skips',))
class NonFiniteLossHook(Hook):
    """Stop at, or skip, a batch whose loss is not finite, and name the batch.

    A batch with finite losses whose step ``SafeOptimWrapper`` skipped, as a gradient was not
    finite or the loss too large, is always skipped.

    Args:
        action: 'stop' raises; 'skip' goes on (the optimizer wrapper has skipped the step), but not
            for more than ``MAX_SKIPS`` batches in a row.
    """

    def __init__(self, action: str = 'stop') -> None:
        if action not in ('stop', 'skip'):
            raise ValueError(f"action must be 'stop' or 'skip', not {action!r}")
        self.action = action
        self.in_a_row = 0
        self._seen_skips = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Look at the losses of the iteration.

        Raises:
            FloatingPointError: a loss is not finite and ``action`` is 'stop', or too many batches
                in a row were skipped.
        """
        # 1. A loss that is not finite; the optimizer wrapper has skipped its step, too.
        losses = outputs or {}
        bad = []
        if losses:
            # all in one look, since each look waits for the device
            sums = [torch.as_tensor(value).float().sum() for value in losses.values()]
            are_finite = torch.stack(sums).isfinite().tolist()
            bad = [name for name, is_fine in zip(losses, are_finite) if not is_fine]
        reason = f'{", ".join(bad)} is not finite' if bad else ''

        # 2. Finite losses, but a step that was skipped since the last iteration.
        skipped_steps = getattr(runner.optim_wrapper, 'skipped_steps', 0)
        if skipped_steps > self._seen_skips and not bad:
            reason = runner.optim_wrapper.skip_reason
        self._seen_skips = skipped_steps

        if not reason:
            self.in_a_row = 0
            return

        # 3. Name the batch, and stop or go on.
        self.in_a_row += 1
        files = '; '.join(_image_files(data_batch))
        message = f'iteration {runner.iter + 1} (rank {get_rank()}): {reason} for the batch {files}'
        stops = bool(bad) and self.action == 'stop'
        if stops or self.in_a_row > MAX_SKIPS:
            raise FloatingPointError(message + '; lower the learning rate or look at these frames')
        runner.logger.warning(f'{message}; the step is skipped')


def _image_files(batch: dict[str, Any] | None) -> list[str]:
    """The image files of a batch, whose samples are frames or clips of frames."""
    paths: list[str] = []
    for sample in (batch or {}).get('data_samples', []):
        for frame in getattr(sample, 'video_data_samples', [sample]):
            paths.append(str(frame.metainfo.get('img_path', 'unnamed')))
    return paths


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed the random numbers of each iteration from the run's seed, the iteration and the rank.

    With it a resumed training draws what the uninterrupted one would have drawn; the frames' own
    augmentations are seeded by the data set (see ``OrientationBatchSampler``).
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Count iterations anew from the finished epochs where an epoch has another number of them
        than before a resume, as with another number of GPUs.
        """
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop):
            return
        expected = loop.epoch * len(loop.dataloader)
        if loop.iter != expected:
            runner.logger.info(
                f'Iteration {loop.iter} of the checkpoint becomes {expected}: {loop.epoch} epochs '
                f'of {len(loop.dataloader)} iterations.'
            )
            loop._iter = expected

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Seed torch and numpy."""
        run_seed = runner.seed or 0
        entropy = [run_seed, runner.iter, get_rank()]
        sequence = np.random.SeedSequence(entropy)
        state = sequence.generate_state(1)
        seed = int(state[0])
        torch.manual_seed(seed)
        np.random.seed(seed)
