"""Tests a model on a data set: ``python tools/test_video.py CONFIG CHECKPOINT --out OUT [--eval
segm|davis|youtube-vos|vot]``.

Video instance segmentation: writes OUT.json (the official results schema, with the data set's video
and category ids) and OUT.zip (results.json inside). Objects that are given (DAVIS, YouTube-VOS):
writes OUT/VIDEO/FRAME.png (palette, pixel value = object id) and OUT.zip, in the layout that the
benchmark's server takes. Supervised runs (VOT): writes OUT/baseline/SEQUENCE/SEQUENCE_001.txt. With
``--eval`` the written files are scored where there is ground truth. Finished videos are kept in
OUT.partial until all are finished, so a killed run started again with the same arguments goes on
where it stopped. OUT.run.json says which model and data made the results; those of another run are
renamed to OUT.earlier1 first. In several processes: ``tools/dist_test.sh``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from evaluate import print_report
from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmvos.apis.checkpoint import Checkpoint, load_weights, read_checkpoint
from mmvos.apis.processes import join_processes, lock_output
from mmvos.apis.video_results import (
    LabelFolders,
    Trajectories,
    VideoResults,
    check_is_not_ground_truth,
    fingerprint,
)
from mmvos.cli.guard import INTERRUPTED, run_command
from mmvos.datasets import MaskVideoDataset, PromptedVideo
from mmvos.engine.worker_memory import fit_workers
from mmvos.evaluation import (
    EvaluationInputError,
    davis,
    evaluate_davis,
    evaluate_vot,
    evaluate_youtube_vis_files,
    evaluate_youtube_vos,
    youtube_vos,
)
from mmvos.evaluation.davis import Protocol
from mmvos.evaluation.vot import VOTDataset
from mmvos.evaluation.youtube_vis import has_annotations, read_json
from mmvos.io.errors import DataError
from mmvos.io.run_record import check_finished, differences
from mmvos.ops.precision import choose_dtype
from mmvos.optimize import optimize

# The test_evaluator that --eval needs in the config.
_METRICS = {
    'segm': 'YouTubeVISMetric',
    'davis': 'DAVISMetric',
    'youtube-vos': 'YouTubeVOSMetric',
    'vot': 'VOTMetric',
}
_FOLDER_IN_ZIP = {'davis': '', 'youtube-vos': 'Annotations/'}  # by the data set's layout


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Tests a model on a data set of videos.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: a .pth or .safetensors file, or a URL')
    parser.add_argument(
        '--out', required=True, help='results go to OUT.json, or to the folder OUT, and to OUT.zip'
    )
    parser.add_argument(
        '--eval',
        nargs='+',
        choices=list(_METRICS),
        default=[],
        help='segm: AP of the masks; davis, youtube-vos: J and F; vot: accuracy, robustness, EAO; '
        'where there is '
        'ground truth',
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
    parser.add_argument('--work-dir', help='folder for logs; default: the folder of OUT')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='override config entries: key=value ...'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    return arguments


def read_config(arguments: argparse.Namespace) -> Config:
    """The config with the arguments applied.

    Raises:
        ValueError: the config's data is scored in another way than ``--eval`` says.
    """
    # Without its name the runner's copy cannot overwrite a config that lies beside the results.
    config = Config(Config.fromfile(arguments.config).to_dict())
    config.launcher = arguments.launcher
    if arguments.cfg_options:
        config.merge_from_dict(arguments.cfg_options)
    config.work_dir = arguments.work_dir or str(Path(arguments.out).parent)
    config.load_from, config.resume = None, False
    metric = config.test_evaluator.type.split('.')[-1]
    wrong = [name for name in arguments.eval if _METRICS[name] != metric]
    if wrong:
        raise ValueError(
            f'--eval {wrong[0]} needs a test_evaluator of type mmvos.{_METRICS[wrong[0]]}, but '
            f'that of '
            f'{arguments.config} is {config.test_evaluator.type}'
        )
    return config


def find_truth(name: str, evaluator: Any) -> dict[str, Path]:
    """The label images that results will be scored against, by sequence: looked at before the run.

    Args:
        name: of ``--eval``.
        evaluator: the config's ``test_evaluator``.

    Raises:
        DataError: the ground truth is not there, or nothing can be scored against it.
    """
    root = Path(evaluator.ground_truth)
    if name == 'youtube-vos':
        folders = youtube_vos.find_ground_truth(root)
        youtube_vos.check_ground_truth(folders)
        return folders
    protocol = Protocol(evaluator.get('year', 2017), evaluator.get('task', 'semi-supervised'))
    split, resolution = evaluator.get('split', 'val'), evaluator.get('resolution', '480p')
    folders = davis.find_ground_truth(root, protocol, split, resolution)
    davis.check_ground_truth(folders, protocol)
    return folders


def compare_with_truth(dataset: MaskVideoDataset, folders: Mapping[str, Path]) -> None:
    """Refuses to test on other videos than those that are scored afterwards.

    Args:
        dataset: what is tested on.
        folders: of the ground truth, by sequence.

    Raises:
        DataError: a video is in one of them only.
    """
    names = {video.name for video in dataset.videos}
    for others, place in (
        (folders.keys() - names, 'in the ground truth but not in the data that is tested'),
        (names - folders.keys(), 'in the data that is tested but not in the ground truth'),
    ):
        if others:
            raise DataError(
                f'{min(others)} is {place} ({len(others)} such videos), so --eval could not score '
                'the results; give both the same split.'
            )


def test(
    config: Config, arguments: argparse.Namespace, truth: Mapping[str, Path] | None = None
) -> None:
    """Runs the model over the data set and writes the results.

    Args:
        truth: label images that the results will be scored against, by sequence.
    """
    checkpoint = read_checkpoint(arguments.checkpoint)
    join_processes(config)
    settings_of_data = config.test_dataloader.to_dict()
    if changed := fit_workers(config):
        print(f'test_video: {changed}', flush=True)
    # results are scored from the files
    evaluator, config.test_evaluator = config.test_evaluator, []
    runner = Runner.from_cfg(config)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    load_weights(model, checkpoint)
    precision = choose_dtype(arguments.precision, next(model.parameters()).device)
    if runner.test_loop.tuner is None:
        optimize(model, precision)
    else:  # it needs a model that can be trained, and makes the adapted ones fast
        runner.test_loop.tuner.precision = precision
    settings = dict(
        model=config.model.to_dict(),
        data=settings_of_data,
        test=config.test_cfg.to_dict(),
        precision=str(precision).removeprefix('torch.'),
        checkpoint=arguments.checkpoint,
    )
    files = [arguments.checkpoint] if Path(arguments.checkpoint).is_file() else []
    made_by = describe_run(config, arguments)
    out = Path(arguments.out)
    dataset = runner.test_loop.dataloader.dataset
    with lock_output(out.with_name(out.name + '.lock'), out):
        if isinstance(dataset, MaskVideoDataset):
            for video in dataset.videos:
                check_is_not_ground_truth(out, video)
            if truth is not None:
                compare_with_truth(dataset, truth)
            settings['label_images'] = _label_images(dataset.videos)
            lengths = {video.name: video.length for video in dataset.videos}
            run = fingerprint(settings, *files)
            test_labels(runner, LabelFolders(out, run, made_by, lengths))
        elif isinstance(dataset, VOTDataset):
            settings['truth'] = [video.sequence.truth.tolist() for video in dataset.videos]
            lengths = {video.name: video.length for video in dataset.videos}
            run = fingerprint(settings, *files)
            test_supervised(runner, Trajectories(out, run, made_by, lengths))
        else:
            _check_is_not_input(out.with_name(out.name + '.json'), evaluator.ann_file)
            _compare_classes(runner, checkpoint, evaluator.ann_file)
            lengths = {str(video.id): video.length for video in dataset.videos}
            run = fingerprint(settings, evaluator.ann_file, *files)
            test_tracks(runner, VideoResults(out, run, made_by, lengths))


def describe_run(config: Config, arguments: argparse.Namespace) -> dict[str, str]:
    """Config, weights and data by name and by a digest; see ``RunRecord``."""
    dataset = config.test_dataloader.dataset
    weights = Path(arguments.checkpoint)
    return {
        'config': arguments.config,
        'weights': arguments.checkpoint,
        'data': str(dataset.get('ann_file') or dataset.get('data_root', '')),
        'sha256 of the model': fingerprint(config.model.to_dict()),
        'sha256 of the weights': fingerprint({}, *([weights] if weights.is_file() else [])),
        'sha256 of the data': fingerprint(dataset.to_dict()),
    }


def check_results(config: Config, arguments: argparse.Namespace) -> None:
    """Says where results that are there already were made by another model or on other data.

    Raises:
        DataError: they are unfinished.
    """
    out = Path(arguments.out)
    record = check_finished(out)
    partial = out.with_name(out.name + '.partial')
    if record is None and partial.is_dir():
        raise DataError(
            f'{out} is unfinished ({partial} holds what is there); start the test again without '
            f'--load_result, it goes on where it stopped'
        )
    if record is None:
        return
    other = [
        name.removeprefix('sha256 of the ')
        for name in differences(record, describe_run(config, arguments))
        if name.startswith('sha256')
    ]
    if other:
        print(f'note: {out} was made with another {" and other ".join(other)}: {record}')


def _check_is_not_input(path: Path, annotations: str) -> None:
    if path.exists() and Path(annotations).exists() and path.samefile(annotations):
        raise DataError(
            f'{path} holds the annotations, which the results would replace; give another --out'
        )


def test_tracks(runner: Runner, results: VideoResults) -> None:
    """Writes OUT.json and OUT.zip."""
    with results as store:
        runner.test_loop.store = store
        _run(runner, store.finished)
        paths = store.merge([video.id for video in runner.test_loop.dataloader.dataset.videos])
    runner.logger.info(f'Results are in {paths[0]} and {paths[1]}.')


def test_labels(runner: Runner, folders: LabelFolders) -> None:
    """Writes OUT/VIDEO/FRAME.png and OUT.zip."""
    dataset = runner.test_loop.dataloader.dataset
    with folders as labels:
        runner.test_loop.files = labels
        _run(runner, labels.finished)
        packed = labels.merge(
            [video.id for video in dataset.videos], _FOLDER_IN_ZIP[dataset.layout]
        )
    runner.logger.info(f'Results are in {labels.out} and {packed}.')


def test_supervised(runner: Runner, trajectories: Trajectories) -> None:
    """Writes OUT/baseline/SEQUENCE/SEQUENCE_001.txt."""
    with trajectories as files:
        runner.test_loop.files = files
        _run(runner, files.finished)
        folder = files.merge([video.id for video in runner.test_loop.dataloader.dataset.videos])
    runner.logger.info(f'Results are in {folder}.')


def _run(runner: Runner, finished: frozenset[int]) -> None:
    loop = runner.test_loop
    if finished:
        runner.logger.info(
            f'{len(finished)} of {len(loop.dataloader.dataset.videos)} videos were finished '
            f'before; going on'
        )
    loop.dataloader.sampler.skip_videos = finished
    try:
        runner.test()
    except KeyboardInterrupt:
        if not is_main_process():
            sys.exit(INTERRUPTED)  # the main process says it for all
        raise KeyboardInterrupt(
            'the videos that were finished are kept; the same command goes on with the next one'
        ) from None


def _label_images(videos: Sequence[PromptedVideo]) -> list[Any]:
    """Path, size and time of every label image: a run does not go on with results from other
    prompts.
    """
    paths = [path for video in videos for path in video.files.masks if path is not None]
    return [(str(path), (state := path.stat()).st_size, state.st_mtime_ns) for path in paths]


def _compare_classes(runner: Runner, checkpoint: Checkpoint, annotations: str) -> None:
    """Warns where a checkpoint was trained for other classes than those of the data set."""
    metas = checkpoint.dataset_meta, runner.test_loop.dataloader.dataset.metainfo
    trained, tested = (tuple(meta.get('classes') or ()) for meta in metas)
    if trained and trained != tested:
        runner.logger.warning(
            f'{checkpoint.source} was trained for other classes ({", ".join(trained)}) than those '
            f'of '
            f'{annotations} ({", ".join(tested)}); the categories of the results will be wrong'
        )


def score(name: str, evaluator: Any, out: str) -> None:
    """Prints the scores of results files, or that there is nothing to score against.

    Args:
        name: of ``--eval``.
        evaluator: the config's ``test_evaluator``, which says where the ground truth is.
        out: ``--out``.
    """
    processes = os.cpu_count() or 1
    if name == 'davis':
        protocol = Protocol(evaluator.get('year', 2017), evaluator.get('task', 'semi-supervised'))
        places = {key: evaluator[key] for key in ('split', 'resolution') if key in evaluator}
        print_report(
            evaluate_davis(evaluator.ground_truth, out, protocol, processes=processes, **places)
        )
    elif name == 'youtube-vos':
        print_report(
            evaluate_youtube_vos(evaluator.ground_truth, out, evaluator.get('seen'), processes)
        )
    elif name == 'vot':
        interval = evaluator.get('interval')
        report = evaluate_vot(
            evaluator.ground_truth,
            out,
            evaluator.get('year', 2018),
            interval and tuple(interval),
            processes,
        )
        print(
            'accuracy, robustness and EAO as the SiamMask and pysot tools count them, toolkit_* as '
            'the VOT toolkit does'
        )
        print_report(report)
    elif has_annotations(read_json(evaluator.ann_file)):
        print_report(evaluate_youtube_vis_files(evaluator.ann_file, f'{out}.json'))
    else:
        print(
            f'{evaluator.ann_file} has no annotations, so there is no score; the results are in '
            f'{out}.json.'
        )


def main() -> None:
    """Tests, then scores."""
    arguments = parse_arguments()
    try:
        config = read_config(arguments)
        evaluator = config.test_evaluator
        if arguments.load_result:
            check_results(config, arguments)
        else:
            scored = [name for name in arguments.eval if name in _FOLDER_IN_ZIP]
            truth = find_truth(scored[0], evaluator) if scored else None
            test(config, arguments, truth)
        if is_main_process():
            for name in arguments.eval:
                score(name, evaluator, arguments.out)
    except (FileNotFoundError, ValueError, EvaluationInputError) as error:
        sys.exit(f'test_video: {error}')


if __name__ == '__main__':
    run_command('test_video', main, kept='the videos that were finished are kept')
