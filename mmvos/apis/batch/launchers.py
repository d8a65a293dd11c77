"""Who has started the processes of a run, and which of all processes this one is."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mmvos.io.errors import DataError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'ray')
# An environment variable: a process of mmvos has started this one and speaks for it; when it began.
PARENT = 'MMVOS_PARENT'
# Where each launcher says number of the process, number of all, and number on its machine.
_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
}


@dataclass(frozen=True)
class Share:
    """Which of all processes this one is.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        local_rank: its number on this machine.
        parent_began: when the process of mmvos began that has started all and speaks for them, in
            nanoseconds; None where there is none.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    parent_began: int | None = None

    @property
    def is_first(self) -> bool:
        """Whether it speaks for all."""
        return self.rank == 0 and self.parent_began is None


def find_share(launcher: str) -> Share:
    """Find out which of all processes this one is.

    Args:
        launcher: 'none', 'pytorch' (torchrun) or 'slurm' (srun).

    Raises:
        DataError: the launcher has not started this process.
    """
    if launcher not in _VARIABLES:
        return Share()
    names = _VARIABLES[launcher]
    values = [os.environ.get(name, '') for name in names]
    missing = [name for name, value in zip(names, values, strict=True) if not value.isdecimal()]
    if missing:
        program = {'pytorch': 'torchrun', 'slurm': 'srun'}[launcher]
        raise DataError(
            f'--launcher {launcher} is for processes that {program} has started, but {missing[0]} '
            f'is not set; on one machine give --processes N instead'
        )
    rank, world, local_rank = map(int, values)
    parent_began = os.environ.get(PARENT)
    if parent_began is None:
        return Share(rank, world, local_rank)
    return Share(rank, world, local_rank, int(parent_began))
