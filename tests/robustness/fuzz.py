"""Reads thousands of damaged inputs and counts what does not end well:

    python -m tests.robustness.fuzz --inputs 100000 --seed 0

Each input is a small valid one of a target (see targets.py) with one or two files damaged (see
mutations.py), and depends on nothing but the seed, the target and its number. It is read in a
forked process with a limit of time and memory. It ends well with a result, or with an error for
users: one sentence that names the file. Everything else is a finding: a traceback, a crash of the
process, a hang, a wrong result, a file outside the folder it was given. The input of a finding is
kept in --keep; --target T --number N runs one again.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .mutations import damage_folder
from .targets import TARGETS, Target, WrongResultError, quiet

SECONDS = 20.0  # of CPU time for one input; pictures of 100 million pixels are read
_WAIT = 10  # times as many seconds of a clock: who waits for something takes no CPU time
MEMORY = 3 << 30  # bytes more than the process has before it begins


@dataclass
class Finding:
    """An input that did not end well.

    Attributes:
        kind: 'traceback', 'crash', 'hang', 'wrong result', 'no sentence' or 'outside'.
        place: the last line of this project's code, to tell findings apart.
        text: what was said.
    """

    target: str
    seed: int
    number: int
    kind: str
    place: str
    text: str


@dataclass
class Count:
    """What became of a target's inputs."""

    inputs: int = 0
    read: int = 0
    refused: int = 0


def make_input(folder: Path, target: Target, name: str, seed: int, number: int) -> list[str]:
    """Make the valid input of a target (once) and a damaged one beside it.

    Args:
        folder: scratch; gets ``valid`` and ``w/in``.
        target: the reader.
        name: of the target.
        seed: of the run.
        number: of the input; a negative one is not damaged.

    Returns:
        What was damaged.
    """
    valid = folder / f'valid {zlib.crc32(name.encode())}'
    if not valid.exists():
        valid.mkdir()
        target.make(valid)
    shutil.rmtree(folder / 'w', ignore_errors=True)
    (folder / 'w/out').mkdir(parents=True)
    shutil.copytree(valid, folder / 'w/in')
    found = {path for pattern in target.harmed for path in valid.glob(pattern)}
    names = sorted(str(path.relative_to(valid)) for path in found if path.is_file())
    if number < 0:
        return []
    return damage_folder(folder / 'w/in', names, random.Random(f'{seed}/{name}/{number}'))


def attempt(folder: Path, target: Target) -> tuple[str, str, str]:
    """Read the input that was made.

    Returns:
        'read', 'refused' or the kind of finding; the place; what was said.
    """
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            said = str(target.read(folder / 'w/in', folder / 'w/out'))
    except WrongResultError as error:
        return 'wrong result', _place(error), str(error)
    except BaseException as error:
        if _is_for_users(error):
            return _judge_sentence(error, folder)
        text = ''.join(traceback.format_exception(error)[-6:])
        return 'traceback', _place(error), text[-1500:]
    finally:
        escaped = {path.name for path in (folder / 'w').iterdir()} - {'in', 'out'}
    if escaped:
        return 'outside', '', f'{escaped} was made outside of the folder'
    return 'read', '', said[:200]


def _is_for_users(error: BaseException) -> bool:
    """Whether an error is one that command lines print as a sentence."""
    from mmvos.io.errors import DataError

    if isinstance(error, SystemExit):
        return isinstance(error.code, str)
    if isinstance(error, (DataError, OSError)) and not isinstance(error, MemoryError):
        return isinstance(error, DataError) or error.errno is not None
    if type(error) is not ValueError:
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return '/mmvos/' in frames[-1].filename or '/robustness/' in frames[-1].filename


def _judge_sentence(error: BaseException, folder: Path) -> tuple[str, str, str]:
    text = str(error)
    lines = text.count('\n') + 1
    files = [path for kind in ('valid*', 'w') for path in folder.glob(f'{kind}/**/*')]
    is_named = (
        'w/in' in text
        or 'victim' in text
        or any(path.name in text for path in files if path.suffix or len(path.name) > 2)
    )
    if not is_named or len(text) < 15 or lines > 8 or len(text) > 3000:
        return 'no sentence', _place(error), f'{type(error).__name__}: {text[:600]}'
    return 'refused', '', text[:200]


def _place(error: BaseException) -> str:
    """The last line of the project that an error came through."""
    ours = [
        f'{frame.filename.split("/mmvos/")[-1]}:{frame.lineno}'
        for frame in traceback.extract_tb(error.__traceback__)
        if '/mmvos/' in frame.filename and '/site-packages/' not in frame.filename
    ]
    return f'{ours[-1] if ours else "?"} {type(error).__name__}'


def _work(pipe: Any, folder: Path, name: str, seed: int, numbers: Sequence[int]) -> None:
    """Read the inputs of a target one by one, in a process of their own."""
    _limit()
    stacks = (folder / 'stacks').open('w+')
    faulthandler.register(signal.SIGUSR1, file=stacks)  # the parent asks where it hangs
    for number in numbers:
        make_input(folder, TARGETS[name], name, seed, number)
        pipe.send(('begin', number))
        random.seed(number)
        answer = attempt(folder, TARGETS[name])
        pipe.send(('end', number, *answer))
        if answer[0] not in ('read', 'refused'):
            break  # the input lies there to be kept
    pipe.close()
    os._exit(0)


def _limit() -> None:
    gc.freeze()  # mmengine collects at each data set, which takes .2 s with all modules loaded
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.fsync = lambda descriptor: None  # no disk is pulled here
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    faulthandler.disable()


def run_target(
    name: str,
    numbers: Sequence[int],
    seed: int,
    scratch: Path,
    keep: Path | None = None,
    seconds: float = SECONDS,
) -> tuple[Count, list[Finding]]:
    """Read some inputs of one target.

    Args:
        name: of the target.
        numbers: of the inputs.
        seed: of the run.
        scratch: an empty folder.
        keep: where inputs of findings are kept.
        seconds: limit of CPU time for one input, so that it holds on a busy machine, too.
    """
    count, findings = Count(), []
    left = list(numbers)
    folder = scratch / str(zlib.crc32(name.encode()))
    folder.mkdir(parents=True, exist_ok=True)
    while left:
        kinds = _read_until_end(folder, name, seed, left, seconds)
        for number, kind, place, text in kinds:
            left.remove(number)
            count.inputs += 1
            if kind in ('read', 'refused'):
                setattr(count, kind, getattr(count, kind) + 1)
                continue
            findings.append(Finding(name, seed, number, kind, place, text))
            if keep is not None:
                _keep(folder, keep, findings[-1])
    shutil.rmtree(folder, ignore_errors=True)
    return count, findings


def _read_until_end(
    folder: Path, name: str, seed: int, numbers: Sequence[int], seconds: float
) -> list[tuple[int, str, str, str]]:
    """Start a process and note what it says, until it has read all, crashed, or hung."""
    context = get_context('fork')
    ours, theirs = context.Pipe(duplex=False)
    arguments = (theirs, folder, name, seed, numbers)
    process = context.Process(target=_work, args=arguments, daemon=True)
    process.start()
    theirs.close()
    answers: list[tuple[int, str, str, str]] = []
    current: int | None = None
    try:
        while len(answers) < len(numbers):
            if not _answers(ours, process.pid, seconds + (30 if current is None else 0)):
                os.kill(process.pid, signal.SIGUSR1)
                time.sleep(0.5)
                stacks = (folder / 'stacks').read_text(errors='replace')
                place = next((line for line in stacks.splitlines() if '/mmvos/' in line), '')
                if current is not None:
                    answers.append((current, 'hang', place.strip(), stacks[:1500]))
                break
            message = ours.recv()
            if message[0] == 'begin':
                current = message[1]
            else:
                answers.append(message[1:])
                current = None
                if message[2] not in ('read', 'refused'):
                    break  # the input lies there to be kept
    except EOFError:
        process.join(5)
        if current is None:
            raise RuntimeError(f'{name}: the process ended between two inputs') from None
        status = process.exitcode or 0
        what = signal.Signals(-status).name if status < 0 else f'exit status {status}'
        answers.append((current, 'crash', what, what))
    finally:
        process.kill()
        process.join()
        ours.close()
    return answers


def _answers(pipe: Any, process_id: int, seconds: float) -> bool:
    """Wait until a process says something; False when it has taken too much time before."""
    began = time.monotonic()
    used_before = _cpu_seconds(process_id)
    while not pipe.poll(min(seconds / 4, 1.0)):
        used = _cpu_seconds(process_id) - used_before
        if used > seconds or time.monotonic() - began > _WAIT * seconds:
            return False
    return True


def _cpu_seconds(process_id: int) -> float:
    """CPU time of a process; 0 when it has ended."""
    try:
        status = Path(f'/proc/{process_id}/stat').read_text()
    except FileNotFoundError:
        return 0.0
    fields = status.rpartition(')')[2].split()
    ticks = int(fields[11]) + int(fields[12])  # in user mode, in the kernel
    return ticks / os.sysconf('SC_CLK_TCK')


def _keep(folder: Path, keep: Path, finding: Finding) -> None:
    kind = f'{finding.target} {finding.kind} {finding.place}'
    place = keep / finding.target.replace(' ', '_') / f'{zlib.crc32(kind.encode()):08x}'
    if place.exists() or not (folder / 'w').exists():
        return
    shutil.copytree(folder / 'w/in', place / 'in', symlinks=True)
    (place / 'what.json').write_text(json.dumps(asdict(finding), indent=1))


def warm_up() -> None:
    """Import what all targets need, once, before processes are forked."""
    import mmdet.datasets  # noqa: F401
    import torch
    from mmengine.registry import init_default_scope

    import mmvos.apis
    import mmvos.datasets
    import mmvos.datasets.transforms
    import mmvos.evaluation  # noqa: F401

    torch.set_num_threads(1)
    init_default_scope('mmdet')
    import cv2

    cv2.setNumThreads(0)


def choose_scratch() -> Path:
    """A folder in memory where there is one with room, else in the temporary folder."""
    memory = Path('/dev/shm')
    if memory.is_dir() and shutil.disk_usage(memory).free > 200_000_000:
        return Path(tempfile.mkdtemp(prefix='mmvos-fuzz-', dir=memory))
    return Path(tempfile.mkdtemp(prefix='mmvos-fuzz-'))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    keep_lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep_lines)
    parser.add_argument('--inputs', type=int, default=3000, help='over all targets')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--first', type=int, default=0, help='number of the first input')
    parser.add_argument('--target', action='append', choices=sorted(TARGETS))
    parser.add_argument('--number', type=int, help='read this input only, and say what it ends in')
    parser.add_argument('--keep', type=Path, default=Path('work_dirs/fuzz'))
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the inputs and print a table; exit status 1 with findings."""
    args = parse_arguments(arguments)
    warm_up()
    # Only here: a test that warms up goes on in the same process as others.
    logging.disable(logging.CRITICAL)
    names = args.target or list(TARGETS)
    scratch = choose_scratch()
    each = max(1, args.inputs // len(names))
    numbers = range(args.first, args.first + each)
    if args.number is not None:
        numbers = range(args.number, args.number + 1)
    every: list[Finding] = []
    total = Count()
    try:
        for name in names:
            begin = time.monotonic()
            count, findings = run_target(name, numbers, args.seed, scratch, args.keep)
            took = time.monotonic() - begin
            total = Count(total.inputs + count.inputs, total.read + count.read)
            every += findings
            print(
                f'{name:28} {count.inputs:6} inputs, {count.read:6} read, {count.refused:6} '
                f'refused, {len(findings):4} findings, {took:6.1f} s',
                flush=True,
            )
            kinds = Counter((finding.kind, finding.place) for finding in findings)
            shown: set[tuple[str, str]] = set()
            for finding in findings:
                kind = (finding.kind, finding.place)
                if kind in shown:
                    continue
                shown.add(kind)
                last = finding.text.strip().splitlines()[-1:] or ['']
                print(
                    f'    {kinds[kind]} x {finding.kind} at {finding.place}: {last[0][:300]}\n'
                    f'        again: --seed {args.seed} --target "{name}" --number '
                    f'{finding.number}',
                    flush=True,
                )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    kinds_of_all = Counter(finding.kind for finding in every)
    print(f'{total.inputs} inputs, seed {args.seed}: {len(every)} findings {dict(kinds_of_all)}')
    sys.exit(bool(every))


if __name__ == '__main__':
    main()
