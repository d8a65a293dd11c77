"""Scores results without a server: python tools/evaluate.py PROTOCOL --gt GT --results RESULTS

PROTOCOL is youtube-vis (also OVIS and own classes), davis, youtube-vos or vot; docs/evaluation.md
says what each one measures and which files it expects. Prints a table; --out writes all numbers as
JSON, --csv one row per object.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmvos.cli.guard import run_command
from mmvos.evaluation import (
    EvaluationInputError,
    Report,
    evaluate_davis,
    evaluate_vot,
    evaluate_youtube_vis_files,
    evaluate_youtube_vos,
)
from mmvos.evaluation.davis import Protocol
from mmvos.evaluation.vot import INTERVALS, export_workspace
from mmvos.io.atomic import open_atomic, write_json
from mmvos.io.run_record import check_finished

_ROW_TABLES = ('per_object', 'per_class')  # what --csv writes: the first that a protocol has


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Scores results without a server.')
    protocols = parser.add_subparsers(dest='protocol', required=True, metavar='PROTOCOL')
    adders = {
        'youtube-vis': _add_youtube_vis,
        'davis': _add_davis,
        'youtube-vos': _add_youtube_vos,
        'vot': _add_vot,
    }
    for name, add in adders.items():
        protocol = protocols.add_parser(name)
        protocol.add_argument(
            '--gt', required=True, type=Path, help='ground truth: ' + add(protocol)
        )
        protocol.add_argument('--results', required=True, type=Path, help='results to score')
        protocol.add_argument(
            '--out', type=Path, metavar='JSON', help='write all numbers to this file'
        )
        protocol.add_argument(
            '--csv',
            type=Path,
            metavar='CSV',
            help='write one row per object (youtube-vis: per class)',
        )
        protocol.add_argument(
            '--processes',
            type=int,
            default=os.cpu_count() or 1,
            metavar='N',
            help='work in N processes; changes no number (default: one per core)',
        )
    args = parser.parse_args()
    if args.processes < 1:
        parser.error('--processes must be at least 1')
    if args.protocol == 'vot' and bool(args.toolkit_workspace) != bool(args.tracker):
        parser.error('--toolkit-workspace and --tracker belong together')
    return args


def _add_youtube_vis(parser: argparse.ArgumentParser) -> str:
    parser.set_defaults(evaluate=lambda args: evaluate_youtube_vis_files(args.gt, args.results))
    return 'annotation JSON in YouTube-VIS format'


def _add_davis(parser: argparse.ArgumentParser) -> str:
    parser.add_argument(
        '--year', type=int, choices=(2016, 2017), default=2017, help='2016: all ids are one object'
    )
    parser.add_argument(
        '--task', choices=('semi-supervised', 'unsupervised'), default='semi-supervised'
    )
    parser.add_argument(
        '--split',
        default='val',
        help='name in ImageSets/, or a file with a sequence per line (default val)',
    )
    parser.add_argument(
        '--resolution', default='480p', help='folder in Annotations/ (default 480p)'
    )
    parser.add_argument(
        '--official',
        action='store_true',
        help="also the official code's phantom objects at gaps in the ids",
    )
    parser.set_defaults(
        evaluate=lambda args: evaluate_davis(
            args.gt,
            args.results,
            Protocol(args.year, args.task, args.official),
            args.split,
            args.resolution,
            args.processes,
        )
    )
    return 'the root of DAVIS, or a folder with one folder of label PNGs per sequence'


def _add_youtube_vos(parser: argparse.ArgumentParser) -> str:
    parser.add_argument(
        '--seen',
        type=Path,
        metavar='FILE',
        help="classes seen in training: one per line, or the training set's meta.json",
    )
    parser.set_defaults(
        evaluate=lambda args: evaluate_youtube_vos(args.gt, args.results, args.seen, args.processes)
    )
    return 'folder with Annotations/VIDEO/*.png and meta.json'


def _add_vot(parser: argparse.ArgumentParser) -> str:
    parser.add_argument(
        '--year',
        type=int,
        choices=tuple(INTERVALS),
        default=2018,
        help='interval of EAO (default 2018)',
    )
    parser.add_argument(
        '--interval',
        type=int,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help='another interval, for own sequences',
    )
    parser.add_argument(
        '--toolkit-workspace',
        type=Path,
        metavar='DIR',
        help='also export to this VOT toolkit workspace',
    )
    parser.add_argument('--tracker', metavar='NAME', help='name of the tracker in that workspace')

    def evaluate(args: argparse.Namespace) -> Report:
        report = evaluate_vot(
            args.gt, args.results, args.year, args.interval and tuple(args.interval), args.processes
        )
        if args.toolkit_workspace:
            export_workspace(args.results, args.gt, args.toolkit_workspace, args.tracker, args.year)
        return report

    parser.set_defaults(evaluate=evaluate)
    return 'folder that holds one folder with groundtruth.txt per sequence'


def print_report(report: Report) -> None:
    """The notes, and a line per summary value."""
    for note in report.notes:
        print(note)
    width = max(map(len, report.metrics))
    for name, value in report.metrics.items():
        # -1 is a value that a decay may have
        text = 'undefined' if name in report.undefined else format(value, '9.4f')
        print(f'{name:<{width}}  {text}')


def write_report(report: Report, path: Path) -> None:
    """{"metrics": ..., "notes": ..., and the tables}, numbers at full precision."""
    write_json(path, {'metrics': report.metrics, 'notes': report.notes, **report.tables}, indent=1)


def write_csv(report: Report, path: Path) -> None:
    """The protocol's finest table."""
    rows = next(report.tables[name] for name in _ROW_TABLES if name in report.tables)
    with open_atomic(path, 'w', newline='') as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def check_run(args: argparse.Namespace) -> None:
    """Say which run made the results.

    Raises:
        DataError: the run is unfinished.
    """
    record = check_finished(args.results)
    if record is not None:
        print(f'results of {record}')


def main() -> None:
    args = parse_args()
    for path in (args.out, args.csv):
        if path and path.is_file():
            # numbers of an earlier run must not outlive a failure of this one
            path.unlink()
    try:
        check_run(args)
        report = args.evaluate(args)
    except EvaluationInputError as error:
        sys.exit(f'evaluate: {error}')
    print_report(report)
    if args.out:
        write_report(report, args.out)
    if args.csv:
        write_csv(report, args.csv)


if __name__ == '__main__':
    run_command('evaluate', main)
