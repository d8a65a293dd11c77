"""The model that the options of ``mmvos segment`` name, for one video and for many."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mmvos.apis.engine_choice import TORCH, choose_engine, load_graphs
from mmvos.apis.systems import SYSTEMS
from mmvos.cli.config_options import read_config_options
from mmvos.lazy_packages import lazy_packages

if TYPE_CHECKING:
    from mmvos.models.video_steps import VideoSteps

DEFAULT_SYSTEM = 'masktrack'
FINDS_OBJECTS = 'masktrack-rcnn'  # the default where no objects are given
_HOW_TO_PROMPT = '--mask first.png, --box x1,y1,x2,y2, --point x,y or --prompts prompts.json'


def choose_default_system(args: argparse.Namespace) -> None:
    """Take the system that finds objects where neither objects nor a model are given.

    Without torch it cannot run, and `check_prompts_fit` says what else can be done.

    Args:
        args: of the command line; ``args.system`` may be set.
    """
    gives_objects = args.mask or args.box or args.point or args.negative or args.prompts
    gives_model = args.system or args.config or args.checkpoint or args.graphs
    if gives_objects or gives_model or args.engine not in (None, TORCH):
        return
    if find_spec('torch') is not None:
        args.system = FINDS_OBJECTS


def build_model(args: argparse.Namespace, has_prompts: bool) -> VideoSteps:
    """Build the model of the system or config, with its weights, and make it faster.

    Args:
        args: of the command line.
        has_prompts: whether it is to be given any.

    Raises:
        ValueError: only a checkpoint is given, or prompts and model do not fit each other.
        FileNotFoundError: the weights are missing; the message says how to get them.
    """
    from mmvos.onnx.engines import ENGINES
    from mmvos.onnx.segmenter import OnnxSegmenter

    if args.checkpoint and not (args.config or args.system):
        raise ValueError('--checkpoint needs the --config or the --system that it belongs to')
    if args.system or not args.config:
        # before the weights are looked for
        system = SYSTEMS[args.system or DEFAULT_SYSTEM]
        check_prompts_fit(bool(system.accepted_prompts), has_prompts)

    # 1. A model of ONNX graphs, which needs no torch.
    if args.graphs:
        others = (args.config, args.system, args.checkpoint, args.device, args.cfg_options)
        if any(others) or args.engine == TORCH or args.compile:
            raise ValueError(
                '--graphs is a model without torch: leave system, config, checkpoint, device, '
                '--compile and options of the config out'
            )
        check_prompts_fit(True, has_prompts)
        return OnnxSegmenter(args.graphs, args.engine or ENGINES[0])
    needs_torch = bool(
        args.config or args.checkpoint or args.cfg_options or args.device or args.compile
    )
    engine = choose_engine(args.system or DEFAULT_SYSTEM, args.engine, needs_torch)
    if engine != TORCH:
        return load_graphs(args.system or DEFAULT_SYSTEM, engine)

    # 2. One in torch.
    with lazy_packages():
        from mmvos.apis.model_loading import load_optimized

    name = args.config or args.system or DEFAULT_SYSTEM
    options = read_config_options(args.cfg_options)
    model = load_optimized(name, args.checkpoint, args.device, options, args.compile)
    check_prompts_fit(model.takes_prompts, has_prompts)
    return model


def check_prompts_fit(takes_prompts: bool, has_prompts: bool) -> None:
    """Check that a model that needs prompts has some, and that one that takes none has none.

    Raises:
        ValueError: it is not so.
    """
    # Both would run, but not do what was meant.
    if takes_prompts and not has_prompts:
        raise ValueError(
            f'the model follows what it is given: say which objects to follow, with '
            f'{_HOW_TO_PROMPT}; or take one that finds objects by itself, with --system '
            f'masktrack-rcnn or its CONFIG and CHECKPOINT'
        )
    if has_prompts and not takes_prompts:
        raise ValueError(
            'the model finds objects by itself: leave --mask, --box, --point and --prompts out'
        )


def describe_model(args: argparse.Namespace) -> dict[str, str]:
    """Name the model, for the record of a run."""
    return {
        'config': str(args.config or args.system or DEFAULT_SYSTEM),
        'weights': str(args.checkpoint or args.graphs or 'that come with it'),
    }
