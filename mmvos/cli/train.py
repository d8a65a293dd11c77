"""Trains a model: ``mmvos train CONFIG [--work-dir DIR] [--amp] [--resume [CKPT]] [--cfg-options
k=v ...]``.

Validation with AP runs during training on the split that the config names; the checkpoint with the
best AP is kept. Several processes: ``tools/dist_train.sh CONFIG GPUS`` or ``tools/slurm_train.sh``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.cli.arguments import add_launcher, keep_local_rank
from mmvos.cli.config_options import add_config_options, read_config_options
from mmvos.io.config_file import config_errors, merge_options, read_config_file
from mmvos.io.errors import DataError
from mmvos.option_ranges import COUNT

if TYPE_CHECKING:
    from mmengine.config import Config

EXPECTED_ERRORS = (ValueError, FloatingPointError)
KEPT_WHEN_STOPPED = 'the checkpoints that were written are kept; --resume goes on from the last one'


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Trains a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints; default work_dirs/<name of the config>'
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision: float16 on a GPU, bfloat16 on a CPU'
    )
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from a checkpoint; without a path from the last one in the work dir',
    )
    add_config_options(parser)
    add_launcher(parser)
    arguments = parser.parse_args(argv)
    keep_local_rank(arguments)
    return arguments


def use_mixed_precision(config: Config) -> None:
    """Switch a config's optimizer wrapper to mixed precision for the device at hand."""
    import torch

    wrapper = config.optim_wrapper
    # float16 with scaled losses on a GPU, bfloat16 on a CPU.
    if torch.cuda.is_available():
        wrapper.type = 'AmpOptimWrapper'
        wrapper.loss_scale = 'dynamic'
        wrapper.pop('dtype', None)
    else:
        wrapper.type = 'mmvos.SafeOptimWrapper'
        wrapper.dtype = 'bfloat16'


def scale_learning_rate(config: Config) -> None:
    """Turn on mmengine's scaling of the learning rate."""
    if 'base_batch_size' not in config.get('auto_scale_lr', {}):
        raise SystemExit(
            f'{config.filename}: --auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in '
            f'the config'
        )
    config.auto_scale_lr.enable = True


def use_initial_weights(config: Config) -> None:
    """Turn ``load_from`` (a checkpoint of the model, of a COCO detector, or of a backbone) into a
    file that fits the model.
    """
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings

    from mmvos.apis.checkpoint import read_checkpoint
    from mmvos.apis.initial_weights import match_initial_weights
    from mmvos.io.atomic import save_torch
    from mmvos.registry import MODELS

    checkpoint = read_checkpoint(config.load_from)

    # Which weights fit is seen by building the model once.
    import_modules_from_strings(**config.custom_imports)
    init_default_scope(config.default_scope)
    initial = match_initial_weights(
        MODELS.build(config.model), checkpoint.weights, checkpoint.source
    )

    # The runner loads a file, so the weights become one.
    path = Path(config.work_dir, 'initial_weights.pth')
    save_torch(path, dict(initial.weights))  # several processes may do this at once
    print(
        f'initial weights: {len(initial.weights)} tensors of the {initial.source} from '
        f'{config.load_from}, {len(initial.random)} at random'
    )
    config.load_from = str(path)


def read_config(arguments: argparse.Namespace) -> Config:
    """Read the config, with the arguments applied.

    Raises:
        DataError: it is no config, or none of a training, or an argument does not fit it.
    """
    from mmvos.engine.checkpoint_hook import find_whole_checkpoint

    config = read_config_file(arguments.config)
    for name in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not config.get(name):
            raise DataError(f'{arguments.config} has no {name}, so nothing can be trained with it')
    config.launcher = arguments.launcher
    merge_options(config, read_config_options(arguments.cfg_options))
    for name in ('max_iters', 'max_epochs', 'val_interval'):
        value = config.train_cfg.get(name, 1)
        if value not in COUNT:
            raise DataError(f'train_cfg: {name} must be {COUNT}, not {value!r}')
    # Where results go: as asked for, as the config says, or by the config's name.
    config.work_dir = (
        arguments.work_dir
        or config.get('work_dir')
        or str(Path('work_dirs', Path(arguments.config).stem))
    )
    if arguments.amp:
        use_mixed_precision(config)
    if arguments.auto_scale_lr:
        scale_learning_rate(config)

    # Going on: at the newest whole checkpoint, or at the one that is named.
    is_asked_for = arguments.resume == 'auto' or (config.get('resume') and not config.load_from)
    if is_asked_for and arguments.resume in (None, 'auto'):
        found = find_whole_checkpoint(config.work_dir)
        config.resume = found is not None  # else a first start, from the config's load_from
        if found is not None:
            print(f'train: {found}', flush=True)
            config.load_from = str(found.path)
    elif arguments.resume:
        config.resume = True
        config.load_from = arguments.resume
    return config


def main(argv: Sequence[str] | None = None) -> None:
    """Read the config, apply the arguments and train.

    Raises:
        DataError, OSError, ValueError, FloatingPointError: what a user can mend.
    """
    arguments = parse_arguments(argv)

    from mmengine.runner import Runner

    from mmvos.apis.processes import join_processes, lock_output
    from mmvos.engine.worker_memory import fit_workers

    config = read_config(arguments)
    join_processes(config)
    # Workers that would not fit into the memory are left out.
    changed = fit_workers(config)
    if changed:
        print(f'train: {changed}', flush=True)
    with config_errors():
        if config.load_from and not config.resume:
            use_initial_weights(config)
        runner = Runner.from_cfg(config)

        # Two trainings in one folder would overwrite each other's checkpoints.
        work_dir = Path(config.work_dir)
        with lock_output(work_dir / '.mmvos.lock', work_dir):
            runner.train()
