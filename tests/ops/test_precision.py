"""Which devices are fast in bfloat16, what is chosen, and who warns where they are not."""

from __future__ import annotations

import platform
import warnings

import pytest
import torch

from mmvos.ops import precision
from mmvos.ops.precision import choose_dtype, has_fast_bfloat16, warn_of_slow_bfloat16


def pretend_cpu(monkeypatch, machine: str, flags: set[str], amx=None, avx512=None) -> None:
    """A CPU that answers torch's questions so; None: torch does not have the question."""
    monkeypatch.setattr(platform, 'machine', lambda: machine)
    monkeypatch.setattr(precision, 'cpu_flags', lambda: flags)
    for name, answer in zip(precision._QUESTIONS, (amx, avx512), strict=True):
        if answer is None:
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer, raising=False)


@pytest.mark.parametrize(
    ('machine', 'flags', 'amx', 'avx512', 'fast'),
    [
        ('x86_64', set(), True, False, True),
        ('AMD64', set(), False, True, True),
        ('x86_64', {'avx2', 'avx512f'}, False, False, False),
        # AMX that the system does not let programs use
        ('x86_64', {'amx_bf16'}, False, False, False),
        # torch 2.4 cannot be asked
        ('x86_64', {'fpu', 'avx512_bf16'}, None, None, True),
        ('x86_64', {'fpu', 'avx512f'}, None, None, False),
        ('aarch64', {'asimd', 'bf16'}, False, False, True),
        ('aarch64', {'asimd'}, False, False, False),
        ('arm64', set(), False, False, False),  # nothing says so
    ],
)
def test_cpus(monkeypatch, machine, flags, amx, avx512, fast):
    pretend_cpu(monkeypatch, machine, flags, amx, avx512)
    assert has_fast_bfloat16('cpu') == fast
    assert choose_dtype('auto', 'cpu') == (torch.bfloat16 if fast else torch.float32)


@pytest.mark.parametrize(('capability', 'fast'), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_from_ampere_on(monkeypatch, capability, fast):
    """A T4 has 7.5, an A100 8.0."""
    monkeypatch.setattr(torch.version, 'hip', None)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    assert has_fast_bfloat16(torch.device('cuda:1')) == fast


def test_a_dtype_that_is_named_is_taken():
    for name in ('float32', 'bfloat16', 'float16'):
        assert choose_dtype(name, 'cpu') == getattr(torch, name)


def test_only_slow_bfloat16_is_warned_of(monkeypatch):
    monkeypatch.setattr(precision, '_cpu_has_bfloat16', lambda: False)
    with pytest.warns(UserWarning, match=r'bfloat16 .* cpu'):
        warn_of_slow_bfloat16(torch.bfloat16, 'cpu')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        warn_of_slow_bfloat16(torch.float32, 'cpu')
        monkeypatch.setattr(precision, '_cpu_has_bfloat16', lambda: True)
        warn_of_slow_bfloat16(torch.bfloat16, 'cpu')
