"""Measures speed: python tools/benchmark.py NAME, one module of tools/benchmarks/ per NAME.

A benchmark is a module with `add_arguments(parser)` and `run(args)`; its header says what it
measures.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / 'tools')]  # a checkout works without being installed


def main() -> None:
    names = sorted(path.stem for path in (_ROOT / 'tools' / 'benchmarks').glob('[a-z]*.py'))
    parser = argparse.ArgumentParser(description='Measures speed.')
    commands = parser.add_subparsers(dest='name', required=True, metavar='NAME')
    wanted = next((name for name in sys.argv[1:] if name in names), None)
    for name in names:
        command = commands.add_parser(name)
        # only this one is imported: a benchmark may need what another can do without
        if name == wanted:
            module = importlib.import_module(f'benchmarks.{name}')
            command.description = module.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args()
    print(
        f'{args.name} on {platform.processor() or platform.machine()}, Python '
        f'{platform.python_version()}'
    )
    args.run(args)


if __name__ == '__main__':
    main()
