"""In which arithmetic a network computes, and whether the device is fast in it.

bfloat16 halves the memory that is moved, but only some processors compute in it. Where there are no
instructions for it, torch converts to float32 and back, which was measured to take 1.9 to 3.5 times
as long as float32.
"""

from __future__ import annotations

import platform
import warnings

import torch

from mmvos.cpu_flags import cpu_flags

_AMPERE = (8, 0)  # the compute capability from which on NVIDIA's GPUs have bfloat16
# what torch 2.5 and later answer about an x86 CPU
_QUESTIONS = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')
# AMX and AVX512-BF16 of x86, BF16 of ARM, as Linux names them
_FLAGS = {'amx_bf16', 'avx512_bf16', 'bf16'}


def has_fast_bfloat16(device: torch.device | str) -> bool:
    """Say whether a device has instructions for bfloat16.

    On a CPU these are AMX, AVX512-BF16 or ARM's BF16. A machine that does not say (an old torch
    outside Linux, Apple's GPUs) counts as one without.
    """
    device = torch.device(device)
    if device.type == 'cpu':
        return _cpu_has_bfloat16()
    if device.type == 'cuda':
        if torch.version.hip:
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        return torch.cuda.get_device_capability(device) >= _AMPERE
    return device.type != 'mps'


def choose_dtype(name: str, device: torch.device | str) -> torch.dtype:
    """Return the dtype that is asked for by name.

    Args:
        name: 'float32', 'float16', 'bfloat16', or 'auto': bfloat16 where the device has
            instructions for it, else float32.
        device: where the network computes.

    Returns:
        The dtype; ``warn_of_slow_bfloat16`` says whether it is a good choice.
    """
    if name == 'auto':
        name = 'bfloat16' if has_fast_bfloat16(device) else 'float32'
    found: torch.dtype = getattr(torch, name)
    return found


def warn_of_slow_bfloat16(dtype: torch.dtype, device: torch.device | str) -> None:
    """Warn where bfloat16 is asked for and the device has no instructions for it."""
    if dtype == torch.bfloat16 and not has_fast_bfloat16(device):
        warnings.warn(
            f'bfloat16 is slow on this {torch.device(device).type}, which has no instructions for '
            f'it '
            f'(on a CPU: AMX, AVX512-BF16 or ARM BF16); float32, or the precision auto, is 1.9 to '
            f'3.5 '
            f'times faster here',
            stacklevel=3,
        )


def _cpu_has_bfloat16() -> bool:
    """Whether torch, or else the operating system, says so."""
    questions = [getattr(torch.cpu, name, None) for name in _QUESTIONS]
    machine = platform.machine().lower()
    if machine in ('x86_64', 'amd64') and all(questions):
        answers = [question() for question in questions if question]
        return any(answers)
    flags = cpu_flags()
    return bool(flags & _FLAGS)
