"""The command lines of the converters: one small file each, called as its script in
tools/dataset_converters.

What a converter needs is imported when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module

from mmvos.cli.guard import run_command

CONVERTERS = (
    'coco_to_youtube_vis',
    'compose_videos',
    'cvat_to_youtube_vis',
    'davis_to_youtube_vis',
    'labelme_to_youtube_vis',
    'make_sample_videos',
    'mots_to_youtube_vis',
    'split_youtube_vis',
    'youtube_vis_to_coco',
    'youtube_vis_to_davis',
    'youtube_vis_to_mots',
    'youtube_vos_to_youtube_vis',
)


def run_converter(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a converter and end the process as its result says.

    Args:
        name: one of `CONVERTERS`.
        arguments: of the command line; those of the process by default.

    Raises:
        SystemExit: with a sentence where an input or an output is at fault.
    """
    module = import_module(f'mmvos.cli.convert.{name}')
    run_command(name, partial(module.main, arguments))
