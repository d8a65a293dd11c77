"""Scores results without a server: ``evaluate PROTOCOL --gt GT --results RESULTS``.

docs/evaluation.md says what each protocol measures and which files it expects. Prints a table;
``--out`` writes all numbers as JSON, ``--csv`` one row per object.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmvos.evaluation.benchmark import Benchmark, Option
from mmvos.evaluation.benchmarks import BENCHMARKS
from mmvos.io.errors import DataError

if TYPE_CHECKING:
    from mmvos.evaluation.report import Report

_ROW_TABLES = ('per_object', 'per_class')  # what --csv writes: the first that a protocol has


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; each benchmark is a sub-command with its own options."""
    parser = argparse.ArgumentParser(description='Scores results without a server.')
    protocols = parser.add_subparsers(
        dest='protocol', required=True, metavar='PROTOCOL', title='protocols'
    )
    for benchmark in BENCHMARKS.values():
        protocol = protocols.add_parser(benchmark.name, help=benchmark.measures)
        add_options(protocol, benchmark)

    args = parser.parse_args(argv)
    if args.processes < 1:
        parser.error('--processes must be at least 1')
    fault = BENCHMARKS[args.protocol].option_fault(vars(args))
    if fault is not None:
        parser.error(fault)
    return args


def add_options(parser: argparse.ArgumentParser, benchmark: Benchmark) -> None:
    """Add the options of one benchmark, and those that all have."""
    for option in benchmark.options:
        parser.add_argument(option.name, **_argument_of(option))
    parser.add_argument(
        '--gt', required=True, type=Path, help=f'ground truth: {benchmark.ground_truth}'
    )
    parser.add_argument('--results', required=True, type=Path, help='results to score')
    parser.add_argument('--out', type=Path, metavar='JSON', help='write all numbers to this file')
    parser.add_argument(
        '--csv',
        type=Path,
        metavar='CSV',
        help='write one row per object (youtube-vis: per class)',
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=os.cpu_count() or 1,
        metavar='N',
        help='work in N processes; changes no number (default: one per core)',
    )


def _argument_of(option: Option) -> dict[str, Any]:
    """Bring an option into argparse's words."""
    if option.is_switch:
        return {'action': 'store_true', 'help': option.help}
    argument: dict[str, Any] = {
        'type': option.kind,
        'default': option.default,
        'choices': option.choices,
        'metavar': option.metavar,
        'help': option.help,
    }
    if option.count > 1:
        argument['nargs'] = option.count
    return argument


def print_report(report: Report) -> None:
    """Print the notes, and a line per summary value."""
    for note in report.notes:
        print(note)
    width = max(map(len, report.metrics))
    for name, value in report.metrics.items():
        # -1 is a value that a decay may have
        text = 'undefined' if name in report.undefined else format(value, '9.4f')
        print(f'{name:<{width}}  {text}')


def write_report(report: Report, path: Path) -> None:
    """Write {"metrics": ..., "notes": ..., and the tables}, numbers at full precision."""
    from mmvos.io.atomic import write_json

    content = {'metrics': report.metrics, 'notes': report.notes, **report.tables}
    write_json(path, content, indent=1)


def write_csv(report: Report, path: Path) -> None:
    """Write the protocol's finest table."""
    import csv

    from mmvos.io.atomic import open_atomic

    # Of several tables the one with the most rows to an object.
    names = [name for name in _ROW_TABLES if name in report.tables]
    names += [name for name in report.tables if name not in names]
    if not names or not report.tables[names[0]]:
        raise DataError(f'{path} is not written: these scores have no table')
    rows = report.tables[names[0]]
    with open_atomic(path, 'w', newline='') as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def check_run(results: Path) -> None:
    """Say which run made the results.

    Raises:
        DataError: the run is unfinished.
    """
    from mmvos.io.run_record import check_finished

    record = check_finished(results)
    if record is not None:
        print(f'results of {record}')


def main(argv: Sequence[str] | None = None) -> None:
    """Score results, print the report and write the files that are asked for.

    Raises:
        DataError: input that cannot be scored.
    """
    args = parse_arguments(argv)
    from mmvos.io.atomic import check_file

    for path in (args.out, args.csv):
        if path:
            check_file(path)
        if path and path.is_file():
            # numbers of an earlier run must not outlive a failure of this one
            path.unlink()

    check_run(args.results)
    benchmark = BENCHMARKS[args.protocol]
    options = benchmark.option_values(vars(args))
    report = benchmark.score(args.gt, args.results, options, args.processes)

    print_report(report)
    if args.out:
        write_report(report, args.out)
    if args.csv:
        write_csv(report, args.csv)
