"""Tests a model on a data set: ``python tools/test_video.py CONFIG CHECKPOINT --out OUT [--eval segm]``.

Writes OUT.json (the official results schema, with the data set's video and category ids) and OUT.zip (results.json inside).
With ``--eval segm`` the results are scored where the config's annotation file has ground truth. Finished videos are kept in
OUT.partial, so a killed run started again with the same arguments goes on where it stopped. In several processes:
``tools/dist_test.sh``.
"""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout works without being installed

import torch
from evaluate import print_report
from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmvos.apis.checkpoint import load_weights, read_checkpoint
from mmvos.apis.processes import join_processes
from mmvos.apis.video_results import VideoResults, fingerprint
from mmvos.evaluation import EvaluationInputError, evaluate_youtube_vis_files
from mmvos.evaluation.youtube_vis import has_annotations, read_json


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Tests a model on a data set of videos.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: a .pth file or a URL')
    parser.add_argument('--out', required=True, help='results go to OUT.json and OUT.zip')
    parser.add_argument('--eval', nargs='+', choices=['segm'], default=[],
                        help='segm: AP of the masks, where there is ground truth')
    parser.add_argument('--load_result', '--load-result', action='store_true', help='score an OUT.json that is there already')
    parser.add_argument('--precision', choices=['float32', 'bfloat16', 'float16'], default='float32',
                        help='arithmetic of the network')
    parser.add_argument('--work-dir', help='folder for logs; default: the folder of OUT')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override config entries: key=value ...')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    return arguments


def read_config(arguments: argparse.Namespace) -> Config:
    """The config with the arguments applied; nothing is evaluated inside the loop, because results are scored from the file."""
    config = Config.fromfile(arguments.config)
    config.launcher = arguments.launcher
    if arguments.cfg_options:
        config.merge_from_dict(arguments.cfg_options)
    config.work_dir = arguments.work_dir or str(Path(arguments.out).parent)
    config.load_from, config.resume = None, False
    return config


def test(config: Config, arguments: argparse.Namespace) -> None:
    """Runs the model over the data set and writes OUT.json and OUT.zip."""
    checkpoint = read_checkpoint(arguments.checkpoint)
    join_processes(config)
    annotations = config.test_evaluator.ann_file
    config.test_evaluator = []
    runner = Runner.from_cfg(config)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    load_weights(model, checkpoint)
    model.accelerate(getattr(torch, arguments.precision))
    loop = runner.test_loop
    dataset = loop.dataloader.dataset
    trained, tested = (tuple(meta.get('classes') or ()) for meta in (checkpoint.dataset_meta, dataset.metainfo))
    if trained and trained != tested:
        runner.logger.warning(f'{checkpoint.source} was trained for other classes ({", ".join(trained)}) than those of '
                              f'{annotations} ({", ".join(tested)}); the categories of the results will be wrong')
    settings = dict(model=config.model.to_dict(), data=config.test_dataloader.to_dict(), precision=arguments.precision)
    weights = [arguments.checkpoint] if Path(arguments.checkpoint).is_file() else []
    settings['checkpoint'] = arguments.checkpoint
    with VideoResults(arguments.out, fingerprint(settings, annotations, *weights)) as store:
        if store.finished:
            runner.logger.info(f'{len(store.finished)} of {len(dataset.videos)} videos were finished before; going on')
        loop.store = store
        loop.dataloader.sampler.skip_videos = store.finished
        runner.test()
        paths = store.merge([video.id for video in dataset.videos])
    runner.logger.info(f'Results are in {paths[0]} and {paths[1]}.')


def score(ground_truth: str, results: str) -> None:
    """Prints the scores of a results file, or that there is nothing to score against."""
    if has_annotations(read_json(ground_truth)):
        print_report(evaluate_youtube_vis_files(ground_truth, results))
    else:
        print(f'{ground_truth} has no annotations, so there is no score; the results are in {results}.')


def main() -> None:
    """Tests, then scores."""
    arguments = parse_arguments()
    try:
        config = read_config(arguments)
        ground_truth = config.test_evaluator.ann_file
        if not arguments.load_result:
            test(config, arguments)
        if arguments.eval and is_main_process():
            score(ground_truth, f'{arguments.out}.json')
    except (FileNotFoundError, ValueError, EvaluationInputError) as error:
        sys.exit(f'test_video: {error}')


if __name__ == '__main__':
    main()
