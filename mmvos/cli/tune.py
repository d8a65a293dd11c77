"""Searches the settings of a tracker that do best on a data set:

    mmvos tune CONFIG CHECKPOINT --davis ROOT --out table.jsonl --processes 4 \\
        --grid model.tracker.penalty=0:0.1:0.03 model.tracker.window_influence=0.3:0.5:0.04 \\
        model.tracker.size_rate=0.8,0.9,1.0
    mmvos tune CONFIG CHECKPOINT --vot ROOT --interval 5 50 --out table.jsonl --random 40 --grid ...

A key is that of any entry of the config; its values are a list, or START:STOP:STEP without STOP.
Every combination is tried, or as many random ones as --random says. The table has one line of JSON
for each, written as soon as it is known: a killed search that is started again with the same
arguments goes on where it stopped, and one with other values adds to the table.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

from mmvos.cli.config_options import add_config_options, read_config_options
from mmvos.io.config_file import merge_options, read_config_file

EXPECTED_ERRORS = (TypeError, ValueError)
KEPT_WHEN_STOPPED = 'the rows of the table are kept; the same command goes on with the next one'


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Searches a tracker's settings.")
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: a .pth file')
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument('--davis', metavar='ROOT', help='folder with JPEGImages and Annotations')
    data.add_argument(
        '--vot',
        metavar='ROOT',
        help='folder with one folder with groundtruth.txt and frames per sequence',
    )
    parser.add_argument(
        '--split', default='val', help='of DAVIS: name in ImageSets/YEAR, or a file (default val)'
    )
    parser.add_argument(
        '--year',
        type=int,
        help='of DAVIS 2016 or 2017 (default), of VOT 2016, 2018 (default) or 2019',
    )
    parser.add_argument(
        '--prompt',
        choices=('box', 'mask'),
        default='box',
        help='what DAVIS objects are given by (default box)',
    )
    parser.add_argument(
        '--interval', type=int, nargs=2, metavar=('LOW', 'HIGH'), help='of EAO, for own sequences'
    )
    parser.add_argument(
        '--grid', nargs='+', required=True, metavar='KEY=VALUES', help='values of config entries'
    )
    parser.add_argument(
        '--random', type=int, metavar='N', help='N random combinations instead of all'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the random combinations')
    parser.add_argument('--objective', help='score to order by; default J&F_mean, or EAO for VOT')
    parser.add_argument('--out', required=True, type=Path, help='table of results, JSON lines')
    parser.add_argument(
        '--processes',
        type=int,
        default=1,
        metavar='N',
        help='work in N processes; changes no number',
    )
    parser.add_argument(
        '--device',
        nargs='+',
        help='e.g. cuda:0 cuda:1, taken in turn by the processes; default: a GPU, or cpu',
    )
    parser.add_argument(
        '--precision',
        choices=('float32', 'bfloat16', 'float16', 'auto'),
        default='float32',
        help='arithmetic of the network; auto: bfloat16 where the device has instructions for it',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Search, then show the best.

    Raises:
        DataError, OSError, TypeError, ValueError: what a user can mend; a TypeError is a key that
            nobody takes.
    """
    arguments = parse_arguments(argv)

    from mmvos.cli.tracker_search import (
        OBJECTIVES,
        Table,
        Trial,
        check_keys,
        combinations,
        parse_grid,
        print_best,
        search,
    )
    from mmvos.evaluation.resumable_results import fingerprint
    from mmvos.io.output_lock import OutputLock
    from mmvos.io.progress_bar import print_beside_bar, with_bar

    # What stands for all settings: model, data and objective.
    kind = 'davis' if arguments.davis else 'vot'
    objective = arguments.objective or OBJECTIVES[kind]
    year = arguments.year or (2017 if arguments.davis else 2018)
    interval = None
    if arguments.interval:
        interval = tuple(arguments.interval)
    trial = Trial(
        arguments.config,
        arguments.checkpoint,
        read_config_options(arguments.cfg_options),
        arguments.davis,
        arguments.vot,
        arguments.split,
        year,
        arguments.prompt,
        interval,
        arguments.precision,
    )

    # The settings; a key that the config does not have would change nothing.
    grid = parse_grid(arguments.grid)
    todo = combinations(grid, arguments.random, arguments.seed)
    config = read_config_file(trial.config)
    changed = copy.deepcopy(config)
    merge_options(changed, trial.overrides)
    check_keys(changed, grid)

    # The table keeps each row at once, so a search that was stopped goes on.
    lock = arguments.out.with_name(arguments.out.name + '.lock')
    with OutputLock(lock, arguments.out):
        table = Table(
            arguments.out,
            fingerprint(dict(vars(trial), config=config.model.to_dict()), trial.checkpoint),
        )
        left = [options for options in todo if options not in table]
        print(f'{len(todo)} combinations, {len(todo) - len(left)} of them known')
        rows = search(trial, left, arguments.processes, arguments.device or [None])
        shown = with_bar(rows, 'searching', len(left), unit=' settings')
        for done, row in enumerate(shown, 1):
            if objective not in row['metrics']:
                raise ValueError(f'--objective {objective} is none of {", ".join(row["metrics"])}')
            table.add(row)
            score = row['metrics'][objective]
            seconds = row['seconds']
            print_beside_bar(
                f'{done}/{len(left)}  {objective} {score:.4f}  {seconds:.1f} s  {row["options"]}'
            )
        print_best([row for row in table.rows if row['options'] in todo], objective)
