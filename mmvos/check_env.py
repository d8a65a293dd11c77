"""Says whether this machine can run mmvos: `python -m mmvos.check_env`.

Prints the versions of what mmvos stands on, what the CPU and the GPUs can do, and proves the two
compiled ops of mmcv that Mask R-CNN needs, nms and RoIAlign, against numbers computed by hand. Exit
status 1, with a remedy per finding, where something is missing or wrong. Nothing is imported before
it is checked, so the check runs on a broken installation.
"""

import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from types import ModuleType
from typing import Any

from .cpu_flags import cpu_flags

REBUILD_MMCV = (
    'install torch first, then build the ops against it: pip install --no-build-isolation '
    '--no-cache-dir --force-reinstall --no-deps "onedl-mmcv>=2.3.6", or run tools/setup_env.sh'
)
HEADLESS_CV2 = (
    'pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless && '
    'pip install --no-deps opencv-python-headless'
)


class WrongNumbersError(Exception):
    """A compiled op runs but does not compute what it should."""


@dataclass(frozen=True)
class Requirement:
    """A library that mmvos imports: import name, distributions that provide it, least version,
    remedy.

    `probe` is a submodule to import too, where the package itself imports next to nothing.
    """

    module: str
    distributions: tuple[str, ...]
    minimum: tuple[int, ...]
    remedy: str
    probe: str = ''


@dataclass(frozen=True)
class Finding:
    """One line of the report; `remedy` is empty where all is well."""

    name: str
    text: str
    remedy: str = ''


REQUIREMENTS = (
    Requirement('torch', ('torch',), (2, 4), 'pip install "torch>=2.4"'),
    Requirement('mmcv', ('onedl-mmcv', 'mmcv'), (2, 0), REBUILD_MMCV),
    Requirement('mmengine', ('onedl-mmengine', 'mmengine'), (0, 10), 'pip install onedl-mmengine'),
    Requirement(
        'mmdet',
        ('onedl-mmdetection', 'mmdet'),
        (3, 3),
        'run tools/setup_env.sh, or pip install onedl-mmdetection',
        probe='mmdet.datasets',
    ),
    Requirement('numpy', ('numpy',), (1, 26), 'pip install "numpy>=1.26"'),
    Requirement('scipy', ('scipy',), (1, 11), 'pip install "scipy>=1.11"'),
    Requirement('cv2', ('opencv-python-headless', 'opencv-python'), (4, 8), HEADLESS_CV2),
    Requirement('av', ('av',), (14, 1), 'pip install "av>=14.1"'),
    Requirement('pycocotools', ('pycocotools',), (2, 0, 7), 'pip install "pycocotools>=2.0.7"'),
)


def parse_version(text: str) -> tuple[int, ...]:
    """Returns the leading numbers of a version: '2.13.0+cpu' -> (2, 13, 0); () where there are
    none.
    """
    found = re.match(r'\d+(\.\d+)*', text)
    return tuple(int(part) for part in found.group().split('.')) if found else ()


def one_line(error: BaseException) -> str:
    """Returns the kind and the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0] if lines else "no message"}'


def installed_version(requirement: Requirement, module: ModuleType) -> tuple[str, str]:
    """Returns (name, version) of the distribution that `module` comes from, ('', '') if none is
    known.
    """
    names = requirement.distributions
    # both builds own the folder cv2
    if requirement.module == 'cv2' and not module.version.headless:
        names = tuple(reversed(names))
    for name in names:
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return '', ''


def check_library(requirement: Requirement) -> Finding:
    """Imports one library and compares its version with the least one that mmvos accepts."""
    try:
        with redirect_stdout(StringIO()):  # mmdet greets
            module = importlib.import_module(requirement.module)
            importlib.import_module(requirement.probe or requirement.module)
    # a broken binary raises OSError, RuntimeError, AttributeError and others
    except Exception as error:
        hint = ' (this OpenCV needs a desktop)' if 'libGL' in str(error) else ''
        remedy = op_remedy(error, 'cpu') if 'mmcv._ext' in str(error) else requirement.remedy
        return Finding(requirement.module, f'cannot be imported: {one_line(error)}{hint}', remedy)
    distribution, version = installed_version(requirement, module)
    version = version or str(getattr(module, '__version__', 'unknown'))
    text = version if distribution in ('', requirement.module) else f'{version} ({distribution})'
    if parse_version(version) < requirement.minimum:
        needed = '.'.join(map(str, requirement.minimum))
        text = f'{text} is too old, at least {needed} is needed'
        return Finding(requirement.module, text, requirement.remedy)
    return Finding(requirement.module, text)


def expect(what: str, numbers: Any, wanted: Any) -> None:
    """Raises WrongNumbersError where tensor `numbers` (any device) is not close to tensor `wanted`
    (CPU).
    """
    torch = importlib.import_module('torch')
    got = numbers.detach().cpu().to(wanted.dtype)
    if got.shape != wanted.shape or not torch.allclose(got, wanted):
        raise WrongNumbersError(f'{what} {got.tolist()}, expected {wanted.tolist()}')


def check_nms(device: str) -> None:
    """Runs mmcv's nms on four boxes; raises WrongNumbersError where it keeps others than expected
    by hand.

    With scores .9 .8 .7 .6 for A (0 0 10 10), B (0 0 10 5), C (0 0 10 9), D (20 20 30 30): IoU(A,
    B) = 0.5, IoU(A, C) = 0.9, D touches none. Above a threshold of 0.6 only C falls to A.
    """
    torch = importlib.import_module('torch')
    nms = importlib.import_module('mmcv.ops').nms
    # D, B, A, C
    boxes = torch.tensor([[20.0, 20, 30, 30], [0, 0, 10, 5], [0, 0, 10, 10], [0, 0, 10, 9]])
    scores = torch.tensor([0.6, 0.8, 0.9, 0.7])
    kept, indices = nms(boxes.to(device), scores.to(device), iou_threshold=0.6)
    expect('kept boxes', indices, torch.tensor([2, 1, 0]))
    expect('kept scores', kept[:, 4], torch.tensor([0.9, 0.8, 0.6]))


def check_roi_align(device: str) -> None:
    """Runs mmcv's RoIAlign forward and backward; raises WrongNumbersError where a number is not as
    by hand.

    Feature f(y, x) = 10 y + x^2 on 4x4; box x 0.5..2.5, y 1..3; 2x2 bins, one sample in the middle
    of each. Pixel centers lie at +0.5, so the samples are y = 1, 2 and x = 0.5, 1.5; bilinear, x^2
    gives 0.5 and 2.5.
    """
    torch = importlib.import_module('torch')
    roi_align = importlib.import_module('mmcv.ops').roi_align
    ys, xs = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij')
    feature = (10 * ys + xs**2)[None, None].to(device).requires_grad_()  # (1, 1, 4, 4)
    box = torch.tensor([[0, 0.5, 1.0, 2.5, 3.0]], device=device)  # image index, x1, y1, x2, y2
    bins = roi_align(feature, box, (2, 2), 1.0, 1, 'avg', True)
    expect('bins', bins[0, 0], torch.tensor([[10.5, 12.5], [20.5, 22.5]]))
    bins.sum().backward()
    gradient = torch.zeros(4, 4)
    # a sample gives half to the pixel left and right of it
    gradient[1:3, :3] = torch.tensor([0.5, 1.0, 0.5])
    expect('gradient', feature.grad[0, 0], gradient)


OPS: dict[str, Callable[[str], None]] = {'nms': check_nms, 'RoIAlign': check_roi_align}


def op_remedy(error: BaseException, device: str) -> str:
    """Returns what to do about a compiled op that failed, from the way in which it failed."""
    message = str(error)
    if 'mmcv._ext' in message:
        return f'mmcv was installed without its compiled ops; {REBUILD_MMCV}'
    if 'undefined symbol' in message or 'cannot open shared object' in message:
        return f'the mmcv ops were compiled for another torch or Python; {REBUILD_MMCV}'
    if device != 'cpu':
        return (
            'the mmcv ops were compiled without CUDA or for another GPU; with the CUDA toolkit of '
            'torch '
            f'in CUDA_HOME, {REBUILD_MMCV}. To use the CPU only: export CUDA_VISIBLE_DEVICES='
        )
    return REBUILD_MMCV


def check_op(name: str, device: str) -> Finding:
    """Runs one op of `OPS` on `device` ('cpu' or 'cuda:N') and reports right, wrong or missing."""
    label = f'{name} on {device}'
    try:
        OPS[name](device)
    except WrongNumbersError as error:
        return Finding(label, f'wrong numbers: {error}', op_remedy(error, device))
    # missing module, missing symbol, no kernel for the device: each has a remedy
    except Exception as error:
        return Finding(label, f'does not run: {one_line(error)}', op_remedy(error, device))
    return Finding(label, 'right')


def describe_bfloat16(flags: set[str]) -> str:
    """Says whether bfloat16 is faster than float32 on a CPU with these instruction sets."""
    if 'amx_bf16' in flags:
        return 'bfloat16 is fast (AMX)'
    if 'avx512_bf16' in flags:
        return 'bfloat16 is faster than float32 (AVX512-BF16)'
    if 'bf16' in flags:
        return 'bfloat16 is faster than float32 (ARM BF16)'
    return 'bfloat16 is slow here, use float32'


def describe_cpu(torch: ModuleType) -> str:
    """Returns cores, torch threads, vector width and the bfloat16 verdict in one line."""
    vectors = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return f'{platform.machine()}, {threads} threads, {vectors}, {describe_bfloat16(cpu_flags())}'


def inspect() -> list[Finding]:
    """Returns all findings in the order of the report: python, libraries, CPU, GPUs, compiled
    ops.
    """
    findings = [
        Finding(
            'python',
            f'{platform.python_version()} ({sys.executable})',
            '' if sys.version_info >= (3, 10) else 'install Python 3.10 or newer',
        )
    ]
    findings += [check_library(requirement) for requirement in REQUIREMENTS]
    by_name = {finding.name: finding for finding in findings}
    if by_name['torch'].remedy:
        return findings
    torch = importlib.import_module('torch')
    findings.append(Finding('CPU', describe_cpu(torch)))
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(gpus):
        gigabytes = torch.cuda.get_device_properties(index).total_memory / 2**30
        findings.append(
            Finding(f'cuda:{index}', f'{torch.cuda.get_device_name(index)}, {gigabytes:.0f} GiB')
        )
    if gpus == 0:
        findings.append(Finding('GPU', 'none'))
    if by_name['mmcv'].text.startswith('cannot be imported'):
        return findings
    devices = ['cpu'] + (['cuda:0'] if gpus else [])
    return findings + [check_op(name, device) for device in devices for name in OPS]


def main() -> int:
    """Prints the report; returns the exit status, 0 where nothing needs a remedy."""
    findings = inspect()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f'{finding.name:<{width}}  {finding.text}')
        if finding.remedy:
            print(f'{"":<{width}}  -> remedy: {finding.remedy}')
    wrong = [finding.name for finding in findings if finding.remedy]
    print(f'not usable: {", ".join(wrong)}' if wrong else 'all right')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
