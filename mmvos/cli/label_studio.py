"""Starts a machine learning backend for Label Studio.

    mmvos label-studio --port 9090

What is drawn in some frames of a video (VideoRectangle), or of a list of images (BrushLabels,
PolygonLabels, RectangleLabels), is followed through all frames. In Label Studio the server's
address is given under Settings, Model. For files that Label Studio keeps, set LABEL_STUDIO_URL and
LABEL_STUDIO_API_KEY.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmvos.apis.engine_choice import ALL_ENGINES
from mmvos.apis.systems import SYSTEMS

EXPECTED_ERRORS = (ValueError,)
KEPT_WHEN_STOPPED = 'predictions that were made are in Label Studio'
_SYSTEMS = [name for name, system in SYSTEMS.items() if system.accepted_prompts]


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Starts a machine learning backend for Label Studio, which follows what is '
        'drawn in some frames through all frames.'
    )
    parser.add_argument('--host', default='127.0.0.1', help='default: 127.0.0.1, this machine only')
    parser.add_argument('--port', type=int, default=9090, help='default: 9090')
    parser.add_argument(
        '--folder',
        type=Path,
        default=Path('work_dirs/label_studio'),
        metavar='DIR',
        help='where label-studio-ml keeps its files (default: work_dirs/label_studio)',
    )
    parser.add_argument(
        '--system', choices=_SYSTEMS, default='masktrack', help='default: masktrack'
    )
    parser.add_argument(
        '--engine',
        choices=ALL_ENGINES,
        help='what computes the network; default: the fastest that is installed',
    )
    parser.add_argument('--device', help='e.g. cpu or cuda:0; default: a GPU where there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until somebody stops it.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)

    from mmvos.annotate.label_studio import make_app
    from mmvos.apis import VideoInferencer
    from mmvos.io.atomic import make_folder

    folder = make_folder(args.folder)
    inferencer = VideoInferencer(args.system, device=args.device, engine=args.engine)
    app = make_app(inferencer, folder)
    print(f'Label Studio: add the model http://{args.host}:{args.port}', flush=True)
    # One request at a time: a model that follows objects uses all cores.
    app.run(host=args.host, port=args.port, threaded=False)
