"""What the commands that follow drawn objects have in common: the choice of the model, and the work
itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmvos.apis.engine_choice import ALL_ENGINES
from mmvos.apis.systems import SYSTEMS

if TYPE_CHECKING:
    from mmvos.annotate.propagation import PartlyAnnotated
    from mmvos.convert.annotation_model import Notes

_SYSTEMS = [name for name, system in SYSTEMS.items() if system.accepted_prompts]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('--overwrite', action='store_true', help='write files that are there again')
    parser.add_argument(
        '--system', choices=_SYSTEMS, default='masktrack', help='default: masktrack'
    )
    parser.add_argument(
        '--engine',
        choices=ALL_ENGINES,
        help='what computes the network; default: the fastest that is installed',
    )
    parser.add_argument('--device', help='e.g. cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument(
        '--direction',
        choices=('both', 'forward', 'backward'),
        default='both',
        help='follow objects both ways from each annotated frame (default), which uses all of '
        'them for the frames between, or only to the end or to the beginning of the video',
    )


def run(open_annotations: Callable[[Notes], PartlyAnnotated], args: argparse.Namespace) -> None:
    """Read the annotations, follow their objects, and say what was written.

    Args:
        open_annotations: reads them.
        args: of `add_arguments`.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    from mmvos.annotate.propagation import propagate
    from mmvos.apis import VideoInferencer
    from mmvos.cli.progress import Progress
    from mmvos.convert.annotation_model import Notes

    # What can be refused is refused before the weights are looked for.
    notes = Notes()
    annotations = open_annotations(notes)
    notes.show()
    prompts = annotations.prompts
    ids = {number for given in prompts.values() for number in given.ids}
    length = annotations.source.length
    print(
        f'{annotations.source.name}: {len(ids)} objects, annotated in {len(prompts)} of '
        f'{length or "?"} frames',
        flush=True,
    )

    inferencer = VideoInferencer(args.system, device=args.device, engine=args.engine)
    with Progress('frame', None) as progress:

        def show(done: int, total: int) -> None:
            progress.expect(total)
            progress.advance()

        written = propagate(annotations, inferencer, args.direction, show)
    print(f'written: {written}')
