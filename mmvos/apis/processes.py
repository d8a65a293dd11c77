"""Several processes of one run: their start on a machine without a GPU (mmengine's own start always
asks for a CUDA device), and the lock on an output that the main process holds for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

from mmvos.io.atomic import OutputError
from mmvos.io.output_lock import OutputLock


def join_processes(config: Config) -> None:
    """Connect this process with the others of its launch, where there is no GPU; with GPUs
    mmengine's runner does it.

    Args:
        config: ``launcher`` says how the processes were started; ``env_cfg.dist_cfg`` may give a
            ``timeout`` in seconds, its backend becomes gloo.

    Raises:
        ValueError: a launcher that needs GPUs.
    """
    if torch.cuda.is_available():
        return
    config.env_cfg.dist_cfg.backend = 'gloo'
    if config.launcher in ('slurm', 'mpi'):
        raise ValueError(
            f'--launcher {config.launcher} needs GPUs; on CPUs start the processes with '
            'tools/dist_train.sh or tools/dist_test.sh'
        )
    if config.launcher == 'pytorch':
        settings: dict[str, Any] = {'backend': 'gloo'}
        if (seconds := config.env_cfg.dist_cfg.get('timeout')) is not None:
            settings['timeout'] = timedelta(seconds=seconds)
        torch.distributed.init_process_group(**settings)
        # By default the runner names a CUDA device here too.
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=config.get('find_unused_parameters', False),
        )


@contextmanager
def lock_output(file: Path, output: Path) -> Iterator[None]:
    """Keep other runs away from an output; see ``OutputLock``.

    Args:
        file: the lock's file.
        output: what is locked, as the user calls it.

    Raises:
        OutputError: another run writes there; on all processes.
    """
    with ExitStack() as stack:
        refused: list[str | None] = [None]
        if is_main_process():
            try:
                stack.enter_context(OutputLock(file, output))
            except OutputError as error:
                refused = [str(error)]
        broadcast_object_list(refused)
        if refused[0] is not None:
            raise OutputError(refused[0])
        yield
