"""Tests of `python -m mmvos.check_env`: it sees what is broken and names the remedy."""

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import mmcv.ops
import pytest
import torch

from mmvos import check_env
from mmvos.check_env import REQUIREMENTS, Finding

BY_MODULE = {requirement.module: requirement for requirement in REQUIREMENTS}


def run_check(preparation: str) -> subprocess.CompletedProcess[str]:
    """Runs the whole check in a fresh process, after a line of Python that breaks something."""
    code = f'import sys\n{preparation}\nfrom mmvos.check_env import main\nsys.exit(main())'
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_versions_are_those_that_the_installation_asks_for() -> None:
    wanted = {}
    for path in (Path(__file__).resolve().parents[1] / 'requirements').glob('*.txt'):
        for name, version in re.findall(r'^([\w-]+)>=([\d.]+)', path.read_text(), re.MULTILINE):
            wanted[name] = check_env.parse_version(version)
    compared = []
    for requirement in REQUIREMENTS:
        for name in requirement.distributions:
            if name in wanted:
                compared.append(name)
                assert requirement.minimum == wanted[name], name
    assert {'av', 'numpy', 'pycocotools', 'opencv-python-headless'} <= set(compared)


@pytest.mark.parametrize('op', ['nms', 'RoIAlign'])
def test_ops_are_right_on_the_cpu(op: str) -> None:
    assert check_env.check_op(op, 'cpu') == Finding(f'{op} on cpu', 'right')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('op', ['nms', 'RoIAlign'])
def test_ops_are_right_on_the_gpu(op: str) -> None:
    assert check_env.check_op(op, 'cuda:0') == Finding(f'{op} on cuda:0', 'right')


def test_wrong_nms_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mmcv.ops.nms
    monkeypatch.setattr(
        mmcv.ops, 'nms', lambda boxes, scores, iou_threshold: right(boxes, scores, 0.95)
    )
    finding = check_env.check_op('nms', 'cpu')
    # C survives at IoU 0.9 < 0.95
    assert 'kept boxes [2, 1, 3, 0], expected [2, 1, 0]' in finding.text
    assert 'onedl-mmcv' in finding.remedy


def test_roi_align_off_by_half_a_pixel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mmcv.ops.roi_align
    monkeypatch.setattr(mmcv.ops, 'roi_align', lambda *args: right(*args[:-1], False))
    finding = check_env.check_op('RoIAlign', 'cpu')
    # Half a pixel on: y = 1.5, 2.5 and x = 1, 2, so 15 + 1, 15 + 4, 25 + 1, 25 + 4.
    assert (
        'bins [[16.0, 19.0], [26.0, 29.0]], expected [[10.5, 12.5], [20.5, 22.5]]' in finding.text
    )
    assert finding.remedy


def test_roi_align_without_the_right_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mmcv.ops.roi_align

    def forward_only(feature: torch.Tensor, *args: object) -> torch.Tensor:
        return right(feature, *args).detach() + 0 * feature.sum()

    monkeypatch.setattr(mmcv.ops, 'roi_align', forward_only)
    assert 'gradient' in check_env.check_op('RoIAlign', 'cpu').text


@pytest.mark.parametrize(
    ('message', 'device', 'said'),
    [
        ("No module named 'mmcv._ext'", 'cpu', 'without its compiled ops'),
        ('/x/_ext.so: undefined symbol: _ZN3c10', 'cpu', 'for another torch'),
        (
            'roi_align_forward_impl: implementation for device cuda:0 not found',
            'cuda:0',
            'VISIBLE_DEVICES=',
        ),
    ],
)
def test_each_way_to_fail_has_its_remedy(
    message: str, device: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise ImportError(message)

    monkeypatch.setitem(check_env.OPS, 'nms', fail)
    finding = check_env.check_op('nms', device)
    assert said in finding.remedy and 'onedl-mmcv' in finding.remedy
    assert message in finding.text


def test_a_desktop_opencv_without_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError('libGL.so.1: cannot open shared object file')

    monkeypatch.setattr(importlib, 'import_module', fail)
    finding = check_env.check_library(BY_MODULE['cv2'])
    assert 'libGL' in finding.text and 'opencv-python-headless' in finding.remedy


@pytest.mark.parametrize(
    ('version', 'good'), [('2.3.9', False), ('2.4.0', True), ('2.13.0+cpu', True), ('1.13', False)]
)
def test_versions_compare_as_numbers(
    version: str, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, 'version', lambda name: version)
    finding = check_env.check_library(BY_MODULE['torch'])
    assert (finding.remedy == '') is good
    assert version in finding.text


def test_upstream_distributions_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == 'mmcv':
            return '2.2.0'
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, 'version', version)
    assert check_env.check_library(BY_MODULE['mmcv']) == Finding('mmcv', '2.2.0')


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('flags\t\t: fpu avx512_bf16 amx_bf16', 'fast (AMX)'),
        ('flags\t\t: fpu avx512_bf16', 'AVX512-BF16'),
        ('Features\t: fp asimd bf16', 'ARM BF16'),
        ('flags\t\t: fpu avx2', 'slow'),
        ('nothing of use', 'slow'),
    ],
)
def test_bfloat16_verdict(line: str, said: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / 'cpuinfo'
    cpuinfo.write_text(f'processor : 0\n{line}\n')
    assert said in check_env.describe_bfloat16(check_env.cpu_flags(cpuinfo))


def test_no_cpuinfo(tmp_path: Path) -> None:
    assert check_env.cpu_flags(tmp_path / 'cpuinfo') == set()


@pytest.mark.parametrize(
    ('preparation', 'said'),
    [
        ("sys.modules['mmcv'] = None", 'not usable: mmcv'),
        ("sys.modules['mmcv._ext'] = None", 'mmcv was installed without its compiled ops'),
        ("sys.modules['torch'] = None", 'pip install "torch>=2.4"'),
    ],
)
def test_a_broken_installation_ends_with_a_remedy_and_no_traceback(
    preparation: str, said: str
) -> None:
    done = run_check(preparation)
    assert done.returncode == 1
    assert said in done.stdout
    assert 'Traceback' not in done.stdout + done.stderr


def test_a_good_installation_passes() -> None:
    done = run_check('')
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith('all right\n')
    assert 'RoIAlign on cpu' in done.stdout
