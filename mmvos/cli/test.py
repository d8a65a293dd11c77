"""Tests a model on a data set: ``test CONFIG CHECKPOINT --out OUT [--eval BENCHMARK]``.

The metric of the config's test_evaluator says which benchmark it is: how the videos are run, and
what is written. Video instance segmentation: OUT.json (the official results schema, with the data
set's video and category ids) and OUT.zip (results.json inside). Objects that are given (DAVIS,
YouTube-VOS): OUT/VIDEO/FRAME.png (palette, pixel value = object id) and OUT.zip, in the layout that
the benchmark's server takes. Supervised runs (VOT): OUT/baseline/SEQUENCE/SEQUENCE_001.txt. With
``--eval`` the written files are scored where there is ground truth. Finished videos are kept in
OUT.partial until all are finished, so a killed run started again with the same arguments goes on
where it stopped. OUT.run.json says which model and data made the results; those of another run are
renamed to OUT.earlier1 first. In several processes: ``tools/dist_test.sh``.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmvos.evaluation.benchmark import Benchmark
from mmvos.evaluation.benchmarks import BENCHMARKS, benchmark_of_metric
from mmvos.io.config_file import config_errors, merge_options, read_config_file
from mmvos.io.errors import DataError

from .arguments import add_launcher, keep_local_rank
from .config_options import add_config_options, read_config_options
from .evaluate import print_report
from .guard import INTERRUPTED

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from mmvos.apis.checkpoint import Checkpoint

# How the command ends, see ``run_command``.
EXPECTED_ERRORS = (ValueError,)
KEPT_WHEN_STOPPED = 'the videos that were finished are kept'


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    by_eval_name = {benchmark.eval_name: benchmark for benchmark in BENCHMARKS.values()}
    measures = '; '.join(f'{name}: {one.measures}' for name, one in by_eval_name.items())

    parser = argparse.ArgumentParser(description='Tests a model on a data set of videos.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: a .pth or .safetensors file, or a URL')
    parser.add_argument(
        '--out', required=True, help='results go to OUT.json, or to the folder OUT, and to OUT.zip'
    )
    parser.add_argument(
        '--eval',
        nargs='+',
        choices=list(by_eval_name),
        default=[],
        help=f'{measures}; where there is ground truth',
    )
    parser.add_argument(
        '--load_result',
        '--load-result',
        action='store_true',
        help='score results that are there already',
    )
    parser.add_argument(
        '--precision',
        choices=['float32', 'bfloat16', 'float16', 'auto'],
        default='float32',
        help='arithmetic of the network; auto: bfloat16 where the device has instructions for it, '
        'else float32',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='torch.compile for the networks of SiamMask, S2iamMask and MaskTrack, on a GPU as '
        'CUDA graphs; the first frames take minutes',
    )
    parser.add_argument('--work-dir', help='folder for logs; default: the folder of OUT')
    add_config_options(parser)
    add_launcher(parser)
    arguments = parser.parse_args(argv)
    keep_local_rank(arguments)
    return arguments


def read_config(arguments: argparse.Namespace) -> Config:
    """Read the config, with the arguments applied."""
    from mmengine.config import Config

    # Without its name the runner's copy cannot overwrite a config that lies beside the results.
    config = Config(read_config_file(arguments.config).to_dict())
    config.launcher = arguments.launcher
    merge_options(config, read_config_options(arguments.cfg_options))
    config.work_dir = arguments.work_dir or str(Path(arguments.out).parent)
    config.load_from = None
    config.resume = False
    return config


def find_benchmark(config: Config, arguments: argparse.Namespace) -> Benchmark:
    """Find the benchmark of a config's test_evaluator.

    Raises:
        DataError: there is none, ``--eval`` names another, or the config is none for tests.
    """
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings

    from mmvos.registry import METRICS

    for name in ('model', 'test_dataloader', 'test_evaluator', 'test_cfg'):
        if not isinstance(config.get(name), Mapping):
            raise DataError(f'{arguments.config} has no {name}, so nothing can be tested with it')

    # The metric's class, of the config's own modules, too.
    import_modules_from_strings(**config.get('custom_imports', {'imports': []}))
    init_default_scope(config.get('default_scope', 'mmdet'))
    metric_type = config.test_evaluator.type
    metric = METRICS.get(metric_type)
    benchmark = None if metric is None else benchmark_of_metric(metric)

    # Each --eval must be what the metric measures.
    for name in arguments.eval:
        if benchmark is None or benchmark.eval_name != name:
            needed = next(one.metric for one in BENCHMARKS.values() if one.eval_name == name)
            raise DataError(
                f'--eval {name} needs a test_evaluator of type mmvos.{needed}, but that of '
                f'{arguments.config} is {metric_type}'
            )
    if benchmark is None:
        known = ', '.join(f'mmvos.{one.metric}' for one in BENCHMARKS.values())
        raise DataError(
            f'{arguments.config}: the test_evaluator {metric_type} belongs to no benchmark, so it '
            f'is not known how the videos are run; give one of {known}'
        )
    # The metric is not built, as results are scored from the files.
    known_options = inspect.signature(metric).parameters
    for option in config.test_evaluator:
        if option != 'type' and option not in known_options:
            raise DataError(
                f'{arguments.config} gives the test_evaluator {metric_type} the option {option!r}, '
                f'which it does not have'
            )
    return benchmark


def compare_with_truth(dataset: Any, scored: Collection[str]) -> None:
    """Refuse to test on other videos than those that are scored afterwards.

    Args:
        dataset: what is tested on.
        scored: names of the videos of the ground truth.

    Raises:
        DataError: a video is in one of them only.
    """
    tested = {video.name for video in dataset.videos}
    only_scored = set(scored) - tested
    only_tested = tested - set(scored)

    # Each video of the one is one of the other.
    for videos, place in (
        (only_scored, 'in the ground truth but not in the data that is tested'),
        (only_tested, 'in the data that is tested but not in the ground truth'),
    ):
        if videos:
            raise DataError(
                f'{min(videos)} is {place} ({len(videos)} such videos), so --eval could not score '
                'the results; give both the same split.'
            )


def test(
    config: Config,
    arguments: argparse.Namespace,
    benchmark: Benchmark,
    scored: Collection[str] | None = None,
) -> None:
    """Run the model over the data set and write the results.

    Args:
        config: see `read_config`.
        arguments: of the command line.
        benchmark: that of the config.
        scored: names of the videos that the results will be scored on; None where it is not known.
    """
    from mmengine.model import is_model_wrapper
    from mmengine.runner import Runner

    from mmvos.apis.checkpoint import load_weights, read_checkpoint
    from mmvos.apis.processes import join_processes, lock_output
    from mmvos.engine.worker_memory import fit_workers
    from mmvos.evaluation.resumable_results import fingerprint
    from mmvos.ops.precision import choose_dtype
    from mmvos.optimize import optimize

    # Results are scored from the files, so the loop needs no evaluator.
    checkpoint = read_checkpoint(arguments.checkpoint)
    join_processes(config)
    settings_of_data = config.test_dataloader.to_dict()
    changed = fit_workers(config)
    if changed:
        print(f'mmvos test: {changed}', flush=True)
    ground_truth = config.test_evaluator[benchmark.ground_truth_key]
    config.test_evaluator = []
    config.test_cfg.benchmark = benchmark.name
    runner = Runner.from_cfg(config)

    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    load_weights(model, checkpoint)
    precision = choose_dtype(arguments.precision, next(model.parameters()).device)
    if runner.test_loop.tuner is None:
        optimize(model, precision, arguments.compile)
    elif arguments.compile:
        raise DataError('--compile: a model that is fine-tuned on each video cannot be compiled')
    else:  # it needs a model that can be trained, and makes the adapted ones fast
        runner.test_loop.tuner.precision = precision

    out = Path(arguments.out)
    dataset = runner.test_loop.dataloader.dataset
    with lock_output(out.with_name(f'{out.name}.lock'), out):
        benchmark.check_output(out, dataset, ground_truth)
        if scored is not None:
            compare_with_truth(dataset, scored)
        if benchmark.has_classes:
            warn_of_other_classes(runner, checkpoint, ground_truth)

        # What decides the results: a run goes on only with those of an equal one.
        arithmetic = str(precision).removeprefix('torch.')
        if arguments.compile:
            arithmetic += ', compiled'
        settings = dict(
            model=config.model.to_dict(),
            data=settings_of_data,
            test=config.test_cfg.to_dict(),
            precision=arithmetic,
            checkpoint=arguments.checkpoint,
            inputs=benchmark.describe_inputs(dataset, ground_truth),
        )
        run = fingerprint(settings, *files_of(arguments.checkpoint))
        made_by = describe_run(config, arguments)
        with benchmark.open_results(out, run, made_by, dataset) as results:
            runner.test_loop.store = results
            run_videos(runner, results.finished)
            paths = results.merge([video.id for video in dataset.videos])
        runner.logger.info(f'Results are in {" and ".join(map(str, paths))}.')


def run_videos(runner: Runner, finished: frozenset[int]) -> None:
    """Run the videos that no earlier run has finished.

    Raises:
        KeyboardInterrupt: with the sentence that says what is kept.
    """
    from mmengine.dist import is_main_process

    loop = runner.test_loop
    if finished:
        runner.logger.info(
            f'{len(finished)} of {len(loop.dataloader.dataset.videos)} videos were finished '
            'before; going on'
        )

    # The sampler leaves them out; their results are on the disk.
    loop.dataloader.sampler.skip_videos = finished
    try:
        runner.test()
    except KeyboardInterrupt:
        if not is_main_process():
            sys.exit(INTERRUPTED)  # the main process says it for all
        raise KeyboardInterrupt(
            'the videos that were finished are kept; the same command goes on with the next one'
        ) from None


def files_of(checkpoint: str) -> list[Path]:
    """The checkpoint, where it is a file and no URL."""
    path = Path(checkpoint)
    return [path] if path.is_file() else []


def describe_run(config: Config, arguments: argparse.Namespace) -> dict[str, str]:
    """Name config, weights and data, also by a digest; see ``RunRecord``."""
    from mmvos.evaluation.resumable_results import fingerprint

    dataset = config.test_dataloader.dataset
    return {
        'config': arguments.config,
        'weights': arguments.checkpoint,
        'data': str(dataset.get('ann_file') or dataset.get('data_root', '')),
        'sha256 of the model': fingerprint(config.model.to_dict()),
        'sha256 of the weights': fingerprint({}, *files_of(arguments.checkpoint)),
        'sha256 of the data': fingerprint(dataset.to_dict()),
    }


def check_results(config: Config, arguments: argparse.Namespace) -> None:
    """Say where results that are there already were made by another model or on other data.

    Args:
        config: of the test.
        arguments: of the command line.

    Raises:
        DataError: they are unfinished.
    """
    from mmvos.io.run_record import check_finished, differences

    out = Path(arguments.out)
    record = check_finished(out)
    if record is None:
        partial = out.with_name(f'{out.name}.partial')
        if partial.is_dir():
            raise DataError(
                f'{out} is unfinished ({partial} holds what is there); start the test again '
                'without --load_result, it goes on where it stopped'
            )
        return

    # The record has check sums of config, data and weights.
    other = []
    for name in differences(record, describe_run(config, arguments)):
        if name.startswith('sha256'):
            other.append(name.removeprefix('sha256 of the '))
    if other:
        print(f'note: {out} was made with another {" and other ".join(other)}: {record}')


def warn_of_other_classes(runner: Runner, checkpoint: Checkpoint, annotations: str) -> None:
    """Warn where a checkpoint was trained for other classes than those of the data set.

    Args:
        runner: of the test, with the data set.
        checkpoint: of the model.
        annotations: the file with the classes.
    """
    dataset_meta = runner.test_loop.dataloader.dataset.metainfo
    trained = tuple(checkpoint.dataset_meta.get('classes') or ())
    tested = tuple(dataset_meta.get('classes') or ())
    if trained and trained != tested:
        runner.logger.warning(
            f'{checkpoint.source} was trained for other classes ({", ".join(trained)}) than those '
            f'of {annotations} ({", ".join(tested)}); the categories of the results will be wrong'
        )


def score(benchmark: Benchmark, evaluator: Any, out: Path) -> None:
    """Print the scores of results files, or that there is nothing to score against.

    Args:
        benchmark: that of the evaluator.
        evaluator: the config's ``test_evaluator``, which says where the ground truth is.
        out: ``--out``.
    """
    ground_truth = Path(evaluator[benchmark.ground_truth_key])
    results = benchmark.results_path(out)
    if not benchmark.has_annotations(ground_truth):
        print(
            f'{ground_truth} has no annotations, so there is no score; the results are in '
            f'{results}.'
        )
        return

    # What was tested is scored with the options of the config.
    options = benchmark.option_values(evaluator)
    report = benchmark.score(ground_truth, results, options, os.cpu_count() or 1)
    if benchmark.explanation:
        print(benchmark.explanation)
    print_report(report)


def main(argv: Sequence[str] | None = None) -> None:
    """Test, then score.

    Raises:
        DataError: an input or output is at fault; also ValueError, where it is the config.
    """
    arguments = parse_arguments(argv)
    from mmengine.dist import is_main_process

    config = read_config(arguments)
    benchmark = find_benchmark(config, arguments)
    evaluator = config.test_evaluator
    if arguments.load_result:
        check_results(config, arguments)
    else:
        # Data that cannot be scored is found before the work, not after it.
        scored = None
        if arguments.eval:
            ground_truth = Path(evaluator[benchmark.ground_truth_key])
            scored = benchmark.required_videos(ground_truth, benchmark.option_values(evaluator))
        with config_errors():
            test(config, arguments, benchmark, scored)

    # One process scores, when all results are there.
    if is_main_process():
        for _ in arguments.eval:
            score(benchmark, evaluator, Path(arguments.out))
