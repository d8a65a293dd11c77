"""Measures speed: ``mmvos benchmark NAME``, one module of mmvos.benchmarks for each name.

A benchmark is a module with `add_arguments(parser)` and `run(args)`; its header says what it
measures.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib import import_module

# What each measures, by its name, which is that of its module.
MEASUREMENTS = {
    'busy': 'how much speed is lost beside other work',
    'corrections': 'how good masks become when the worst frames are corrected',
    'engines': 'the shipped MaskTrack in torch, onnxruntime and OpenVINO, and their masks',
    'evaluation': 'J and F, and the AP of YouTube-VIS, on synthetic results',
    'growth': 'what long videos hold in memory, at their beginning and at their end',
    'start': 'from the command to the first mask, all systems and engines',
    'studio': 'annotating a video with mmvos studio: actions and minutes to masks of a wanted J',
    'studio_times': 'how fast mmvos studio answers, and how much memory it takes',
    'tracking': 'SiamMask from boxes, 1 to 16 objects',
    'vis': "MaskTrack R-CNN beside mmdet's: inference, training, data, memory",
    'vos': 'following 1 to 8 objects from masks',
    'worst_frames': 'not speed: a picture of the frames in which results are worst',
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark that the first word names."""
    if argv is None:
        argv = sys.argv[1:]
    words = list(argv)
    parser = argparse.ArgumentParser(description='Measures speed.')
    commands = parser.add_subparsers(dest='name', required=True, metavar='NAME', title='benchmarks')
    for name, measures in MEASUREMENTS.items():
        command = commands.add_parser(name, help=measures)
        if name in words[:1]:
            # Only this one is imported: a benchmark may need what another can do without.
            module = import_module(f'mmvos.benchmarks.{name}')
            command.description = module.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args(words)

    machine = platform.processor() or platform.machine()
    print(f'{args.name} on {machine}, Python {platform.python_version()}')
    args.run(args)
