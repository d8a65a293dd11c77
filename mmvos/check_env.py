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
    'pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless && pip install '
    '--no-deps opencv-python-headless'
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
    """Return the leading numbers of a version: '2.13.0+cpu' -> (2, 13, 0); () where there are
    none.
    """
    found = re.match(r'\d+(\.\d+)*', text)
    return tuple(int(part) for part in found.group().split('.')) if found else ()


def one_line(error: BaseException) -> str:
    """Return the kind and the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0] if lines else "no message"}'


def installed_version(requirement: Requirement, module: ModuleType) -> tuple[str, str]:
    """Return (name, version) of the distribution that `module` comes from, ('', '') if none is
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
    """Import one library and compare its version with the least one that mmvos accepts.

    Args:
        requirement: the library.

    Returns:
        A finding, with a remedy where the library is missing, broken or too old.
    """
    name = requirement.module
    try:
        with redirect_stdout(StringIO()):  # mmdet greets
            module = importlib.import_module(name)
            importlib.import_module(requirement.probe or name)
    # a broken binary raises OSError, RuntimeError, AttributeError and others
    except Exception as error:
        return broken_library(requirement, error)

    distribution, version = installed_version(requirement, module)
    if not version:
        version = str(getattr(module, '__version__', 'unknown'))
    text = version
    if distribution not in ('', name):
        text = f'{version} ({distribution})'
    if parse_version(version) < requirement.minimum:
        needed = '.'.join(map(str, requirement.minimum))
        text = f'{text} is too old, at least {needed} is needed'
        return Finding(name, text, requirement.remedy)
    return Finding(name, text)


def broken_library(requirement: Requirement, error: Exception) -> Finding:
    """Return the finding of a library whose import raised an error."""
    message = str(error)
    hint = ''
    if 'libGL' in message:
        hint = ' (this OpenCV needs a desktop)'
    remedy = requirement.remedy
    if 'mmcv._ext' in message:
        remedy = op_remedy(error, 'cpu')
    return Finding(requirement.module, f'cannot be imported: {one_line(error)}{hint}', remedy)


def expect(what: str, numbers: Any, wanted: Any) -> None:
    """Compare numbers with those that were computed by hand.

    Args:
        what: the numbers are, for the message.
        numbers: tensor on any device.
        wanted: tensor on the CPU.

    Raises:
        WrongNumbersError: they have another shape or are not close.
    """
    torch = importlib.import_module('torch')
    found = numbers.detach().cpu()
    found = found.to(wanted.dtype)
    has_shape = found.shape == wanted.shape
    if has_shape and torch.allclose(found, wanted):
        return
    raise WrongNumbersError(f'{what} {found.tolist()}, expected {wanted.tolist()}')


def check_nms(device: str) -> None:
    """Run mmcv's nms on four boxes.

    With scores .9 .8 .7 .6 for A (0 0 10 10), B (0 0 10 5), C (0 0 10 9), D (20 20 30 30): IoU(A,
    B) = 0.5, IoU(A, C) = 0.9, D touches none. Above a threshold of 0.6 only C falls to A.

    Args:
        device: 'cpu' or 'cuda:N'.

    Raises:
        WrongNumbersError: it keeps other boxes than expected by hand.
    """
    torch = importlib.import_module('torch')
    nms = importlib.import_module('mmcv.ops').nms
    # D, B, A, C
    boxes = torch.tensor(
        [
            [20.0, 20, 30, 30],
            [0, 0, 10, 5],
            [0, 0, 10, 10],
            [0, 0, 10, 9],
        ]
    )
    scores = torch.tensor([0.6, 0.8, 0.9, 0.7])
    kept, indices = nms(
        boxes.to(device),
        scores.to(device),
        iou_threshold=0.6,
    )
    # A, B, D, the highest score first
    expected_indices = torch.tensor([2, 1, 0])
    expected_scores = torch.tensor([0.9, 0.8, 0.6])
    expect('kept boxes', indices, expected_indices)
    expect('kept scores', kept[:, 4], expected_scores)


def check_roi_align(device: str) -> None:
    """Run mmcv's RoIAlign forward and backward.

    Feature f(y, x) = 10 y + x^2 on 4x4; box x 0.5..2.5, y 1..3; 2x2 bins, one sample in the middle
    of each. Pixel centers lie at +0.5, so the samples are y = 1, 2 and x = 0.5, 1.5; bilinear, x^2
    gives 0.5 and 2.5.

    Args:
        device: 'cpu' or 'cuda:N'.

    Raises:
        WrongNumbersError: a number is not as computed by hand.
    """
    torch = importlib.import_module('torch')
    roi_align = importlib.import_module('mmcv.ops').roi_align

    # (1, 1, 4, 4): the feature f
    ys, xs = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij')
    values = 10 * ys + xs**2
    feature = values[None, None].to(device)
    feature.requires_grad_()

    # The box: image index, x1, y1, x2, y2.
    box = torch.tensor([[0, 0.5, 1.0, 2.5, 3.0]], device=device)
    bins = roi_align(feature, box, (2, 2), 1.0, 1, 'avg', True)
    expected_bins = torch.tensor(
        [
            [10.5, 12.5],
            [20.5, 22.5],
        ]
    )
    expect('bins', bins[0, 0], expected_bins)

    # The gradient of the sum: a sample gives half to the pixel left and right of it.
    bins.sum().backward()
    expected_gradient = torch.zeros(4, 4)
    expected_gradient[1:3, :3] = torch.tensor([0.5, 1.0, 0.5])
    expect('gradient', feature.grad[0, 0], expected_gradient)


OPS: dict[str, Callable[[str], None]] = {'nms': check_nms, 'RoIAlign': check_roi_align}


def op_remedy(error: BaseException, device: str) -> str:
    """Return what to do about a compiled op that failed, from the way in which it failed."""
    message = str(error)
    if 'mmcv._ext' in message:
        return f'mmcv was installed without its compiled ops; {REBUILD_MMCV}'
    if 'undefined symbol' in message or 'cannot open shared object' in message:
        return f'the mmcv ops were compiled for another torch or Python; {REBUILD_MMCV}'
    if device != 'cpu':
        return (
            'the mmcv ops were compiled without CUDA or for another GPU; with the CUDA toolkit of '
            f'torch in CUDA_HOME, {REBUILD_MMCV}. To use the CPU only: export CUDA_VISIBLE_DEVICES='
        )
    return REBUILD_MMCV


def check_op(name: str, device: str) -> Finding:
    """Run one op of `OPS` on `device` ('cpu' or 'cuda:N') and reports right, wrong or missing."""
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
    """Say whether bfloat16 is faster than float32 on a CPU with these instruction sets."""
    if 'amx_bf16' in flags:
        return 'bfloat16 is fast (AMX)'
    if 'avx512_bf16' in flags:
        return 'bfloat16 is faster than float32 (AVX512-BF16)'
    if 'bf16' in flags:
        return 'bfloat16 is faster than float32 (ARM BF16)'
    return 'bfloat16 is slow here, use float32'


def describe_cpu(torch: ModuleType) -> str:
    """Return cores, torch threads, vector width and the bfloat16 verdict in one line."""
    machine = platform.machine()
    threads = torch.get_num_threads()
    vectors = torch.backends.cpu.get_cpu_capability()
    bfloat16 = describe_bfloat16(cpu_flags())
    return f'{machine}, {threads} threads, {vectors}, {bfloat16}'


def inspect() -> list[Finding]:
    """Return all findings in the order of the report: python, libraries, CPU, GPUs, compiled
    ops.
    """
    remedy = '' if sys.version_info >= (3, 10) else 'install Python 3.10 or newer'
    python = f'{platform.python_version()} ({sys.executable})'
    findings = [Finding('python', python, remedy)]
    findings += [check_library(requirement) for requirement in REQUIREMENTS]
    by_name = {finding.name: finding for finding in findings}

    # Everything below asks torch.
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

    # The compiled ops, on the CPU and on a GPU.
    if by_name['mmcv'].text.startswith('cannot be imported'):
        return findings
    devices = ['cpu'] + (['cuda:0'] if gpus else [])
    return findings + [check_op(name, device) for device in devices for name in OPS]


def main() -> int:
    """Print the report; return the exit status, 0 where nothing needs a remedy."""
    findings = inspect()
    width = max(len(finding.name) for finding in findings)
    wrong = []
    for finding in findings:
        print(f'{finding.name:<{width}}  {finding.text}')
        if finding.remedy:
            print(f'{"":<{width}}  -> remedy: {finding.remedy}')
            wrong.append(finding.name)
    if wrong:
        print(f'not usable: {", ".join(wrong)}')
        return 1
    print('all right')
    return 0


if __name__ == '__main__':
    sys.exit(main())
