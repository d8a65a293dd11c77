"""Freezing parts of a model for a part of the training, as SiamMask's staged training needs it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmvos.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Keep modules untrained, their batch norms in evaluation mode, until a share of the training
    is over.

    The optimizer is made before the first iteration, with all parameters of the config and their
    learning rates (``paramwise_cfg``); a frozen parameter gets no gradient, so no optimizer touches
    it, and starts without momentum when its time has come. What the model itself freezes stays
    frozen. With several processes ``find_unused_parameters=True`` is needed.

    Args:
        modules: regular expressions; a module whose whole name matches one of them is frozen with
            all that is in it.
        until: share of the iterations, in [0, 1]; 1 for the whole training.

    Raises:
        ValueError: ``until`` is out of range, or (at the start of the training) an expression
            matches no module.
    """

    priority = 'HIGH'

    def __init__(self, modules: Sequence[str], until: float = 1.0) -> None:
        if not 0 <= until <= 1:
            raise ValueError(f'until is a share of the training between 0 and 1, not {until}')
        self.modules = tuple(modules)
        self.until = until
        self._chosen: list[nn.Module] = []
        self._own: list[nn.Parameter] = []  # what the hook froze
        self._modes: dict[nn.Module, bool] = {}  # whether the model itself trains a module

    def before_train(self, runner: Runner) -> None:
        """Find the modules and their trained parameters."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        named = dict(model.named_modules())
        self._chosen = []
        for pattern in self.modules:
            found = [module for name, module in named.items() if re.fullmatch(pattern, name)]
            if not found:
                raise ValueError(f'FreezeHook: the model has no module {pattern!r}')
            self._chosen += found

        # Modules may share parameters; what the model itself freezes is left to it.
        parameters = {}
        for module in self._chosen:
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameters[id(parameter)] = parameter
        self._own = list(parameters.values())
        self._modes = {}

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Freeze or thaw; before every iteration, because the loops put the model into training
        mode in between.
        """
        if not self._own:
            return

        # The model has just been put into training mode, so this is how it trains its modules.
        if not self._modes:
            for module in self._chosen:
                for part in module.modules():
                    self._modes[part] = part.training

        trained = runner.iter >= self.until * runner.max_iters
        for parameter in self._own:
            parameter.requires_grad_(trained)
        for part, mode in self._modes.items():
            part.training = mode and trained

        if trained:
            # Thawed for good: there is nothing more to do.
            runner.logger.info(
                f'iteration {runner.iter}: {", ".join(self.modules)} are trained from now on'
            )
            self._own = []


@HOOKS.register_module()
class ResetOptimizerStateHook(Hook):
    """Let the optimizer forget its momentum where SiamMask's published training makes a new one.

    Args:
        at: shares of the iterations, in [0, 1], at which it forgets.
        every_epoch: whether it forgets at the start of every epoch, too.

    Raises:
        ValueError: a share is out of range.
    """

    def __init__(self, at: Sequence[float] = (), every_epoch: bool = False) -> None:
        if not all(0 <= share <= 1 for share in at):
            raise ValueError(f'at has shares of the training between 0 and 1, not {list(at)}')
        self.at = tuple(at)
        self.every_epoch = every_epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Forget, if every epoch is to start afresh."""
        if self.every_epoch:
            runner.optim_wrapper.optimizer.state.clear()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Forget in the first iteration after a share of the training."""
        for share in self.at:
            iteration = math.ceil(share * runner.max_iters)
            if runner.iter == iteration:
                optimizer = runner.optim_wrapper.optimizer
                optimizer.state.clear()


@HOOKS.register_module()
class FreezeBatchNormHook(Hook):
    """Let batch norms use their running statistics, as in a test, in the last part of a training.

    A siamese tracker's template and search image have statistics of their own, of which a test sees
    a mixture; what is trained on the mixture for a while fits it. Scales and offsets are trained
    on.

    Args:
        begin: share of the iterations, in [0, 1], from which on statistics are fixed.

    Raises:
        ValueError: ``begin`` is out of range.
    """

    def __init__(self, begin: float) -> None:
        if not 0 <= begin <= 1:
            raise ValueError(f'begin is a share of the training between 0 and 1, not {begin}')
        self.begin = begin

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None
    ) -> None:
        """Fix the statistics; before every iteration, because the loops put the model into
        training mode in between.
        """
        if runner.iter >= self.begin * runner.max_iters:
            for module in runner.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
