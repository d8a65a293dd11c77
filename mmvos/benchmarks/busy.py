"""How much speed is lost beside other work: the shipped MaskTrack in torch, alone and beside a
program that computes without end.

    mmvos benchmark busy                     # about 90 seconds, on a machine that does nothing else
    mmvos benchmark busy --loops 2 --threads 1 2 4

Each way for OpenMP's threads to wait is tried in a process of its own. A thread that spins while it
waits takes the time of others, and of its own neighbors. On C cores, T threads beside L loops have
a fair share of C / (T + L) of the time, at most all; ``kept`` should not be far below.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from .tables import print_head, print_row

# How OpenMP's threads wait: environment variables by name.
POLICIES = {
    'spin (the default of OpenMP)': {},
    'spin for some microseconds': {'GOMP_SPINCOUNT': '10000', 'KMP_BLOCKTIME': '0'},
    'sleep (what the command mmvos sets)': {'OMP_WAIT_POLICY': 'passive', 'KMP_BLOCKTIME': '0'},
}
VARIABLES = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')
_MEASURE = """
import json, subprocess, sys, time
import numpy as np
import torch
from mmvos.apis import VideoInferencer

threads, loops, seconds = json.loads(sys.argv[1])
torch.set_num_threads(threads)
inferencer = VideoInferencer('masktrack', device='cpu', engine='torch')
picture = np.random.default_rng(0).integers(0, 255, (480, 854, 3), np.uint8)
inferencer.start([(300, 100, 500, 300)])

def frames_per_second():
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        inferencer.step(picture)
        count += 1
    return count / (time.perf_counter() - began)

for _ in range(3):
    inferencer.step(picture)
alone = frames_per_second()
others = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(loops)]
try:
    beside = frames_per_second()
finally:
    for other in others:
        other.kill()
print(json.dumps([alone, beside]))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument('--threads', type=int, nargs='+', default=(1, 2), help='default: 1 2')
    parser.add_argument('--loops', type=int, default=1, help='programs beside it (default 1)')
    parser.add_argument(
        '--seconds', type=float, default=4, help='of each of the two measurements (default 4)'
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    assert cores is not None
    print(f'{cores} cores, {args.loops} loops beside, one object, 854x480, frames per second')
    print_head(('how threads wait', 'threads', 'alone', 'beside', 'kept', 'fair share'))
    for policy, variables in POLICIES.items():
        for threads in args.threads:
            alone, beside = measure(variables, threads, args.loops, args.seconds)
            share = min(1.0, cores / (threads + args.loops))
            kept = beside / alone
            numbers = [f'{number:.2f}' for number in (alone, beside, kept, share)]
            print_row((policy, threads, *numbers))


def measure(
    variables: dict[str, str], threads: int, loops: int, seconds: float
) -> tuple[float, float]:
    """Return frames per second alone and beside other work, of a process of its own.

    Args:
        variables: of the environment.
        threads: of torch.
        loops: programs beside it.
        seconds: of each measurement.
    """
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment.pop('OMP_NUM_THREADS', None)
    done = subprocess.run(
        [sys.executable, '-c', _MEASURE, json.dumps([threads, loops, seconds])],
        env={**environment, **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    alone, beside = json.loads(done.stdout.splitlines()[-1])
    return alone, beside
