"""Which engine computes a system where several are installed."""

from __future__ import annotations

import pytest

from mmvos.apis import engine_choice
from mmvos.apis.engine_choice import choose_engine


@pytest.mark.parametrize(
    ('installed', 'flags', 'gpu', 'expected'),
    [
        ({'torch', 'onnxruntime', 'openvino'}, set(), False, 'openvino'),
        ({'torch', 'onnxruntime'}, {'avx512_bf16'}, False, 'onnxruntime'),
        ({'torch', 'onnxruntime', 'openvino'}, {'amx_bf16'}, False, 'torch'),
        ({'torch', 'onnxruntime', 'openvino'}, set(), True, 'torch'),
        ({'onnxruntime', 'openvino'}, {'amx_bf16'}, False, 'openvino'),
        ({'torch'}, set(), False, 'torch'),
        (set(), set(), False, 'onnxruntime'),
    ],
)
def test_the_fastest_that_is_installed(monkeypatch, installed, flags, gpu, expected):
    def find_spec(name: str) -> str | None:
        return name if name in installed else None

    monkeypatch.setattr(engine_choice, 'find_spec', find_spec)
    monkeypatch.setattr(engine_choice, 'cpu_flags', lambda: flags)
    monkeypatch.setattr(engine_choice.os.path, 'exists', lambda path: gpu)
    assert choose_engine('masktrack') == expected


@pytest.mark.parametrize('system', ['parts', 'masktrack-rcnn'])
def test_what_has_no_graphs_is_computed_by_torch(system):
    assert choose_engine(system) == 'torch'


def test_what_only_torch_does_is_computed_by_torch():
    assert choose_engine('masktrack', needs_torch=True) == 'torch'
