"""Opens a page in the browser on which a video is segmented, looked at and corrected: mmvos studio
VIDEO

VIDEO is a video file, a folder of images, or the folder of a project; without one the only project
of the working folder is opened. What is done is kept as it happens in a project's folder beside the
video (clip.mp4: clip.mmvos); the same command goes on with it later. The server listens on this
machine only, unless --host says otherwise, and asks no address outside of it. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser
from collections.abc import Sequence

from mmvos.apis.systems import SYSTEMS
from mmvos.io.errors import DataError
from mmvos.io.paths import user_path

EXPECTED_ERRORS = (ValueError,)
KEPT_WHEN_STOPPED = 'everything is kept; the same command goes on'
_MISSING = (
    'the studio needs {}, which is not installed here; '
    "install it with all others: pip install 'mmvos[studio]', or in a clone bash tools/setup_env.sh"
)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Opens a page in the browser on which a video is segmented and corrected.'
    )
    parser.add_argument(
        'video', nargs='?', help='video file, folder of images, or folder of a project'
    )
    parser.add_argument(
        '--project', metavar='DIR', help='folder of the project (default: VIDEO.mmvos beside it)'
    )
    parser.add_argument(
        '--export', metavar='DIR', help='where exports are written (default: in the project)'
    )
    prompted = [name for name, system in SYSTEMS.items() if system.accepted_prompts]
    parser.add_argument(
        '--system', choices=prompted, default=prompted[0], help=f'default: {prompted[0]}'
    )
    parser.add_argument('--weights', metavar='FILE', help='checkpoint of the system')
    parser.add_argument('--device', help='e.g. cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument('--port', type=_port, help='default: the first that is free from 8123 on')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on; another than 127.0.0.1 lets everyone who reaches this machine '
        'and has the printed address see and change the project, without encryption',
    )
    parser.add_argument(
        '--no-browser', action='store_true', help='print the address and open no browser'
    )
    return parser.parse_args(argv)


def _port(text: str) -> int:
    """A number of a port.

    Raises:
        ArgumentTypeError: it is none.
    """
    if text.isdecimal():
        port = int(text)
        if 0 < port < 1 << 16:
            return port
    raise argparse.ArgumentTypeError(f'{text} is no port; give 1 to 65535')


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)
    try:
        from mmvos.studio.opening import StudioServer, find_place, open_session, warning_of
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith('mmvos'):
            raise
        raise DataError(_MISSING.format(error.name)) from error

    def show(address: str) -> None:
        print(f'{session.video.name}: {address}', flush=True)
        print('Open this address in a browser. Ctrl-C ends; everything is kept.', flush=True)
        if not args.no_browser:
            # A browser may take seconds to start; the page waits for nobody.
            opening = threading.Thread(target=webbrowser.open, args=(address,), daemon=True)
            opening.start()

    place = find_place(args.video, args.project)
    warning = warning_of(args.host)
    if warning:
        print(f'warning: {warning}', file=sys.stderr, flush=True)
    exports = user_path(args.export) if args.export else None
    with open_session(place, args.system, args.weights, args.device, exports) as session:
        print(f'project: {place.folder}', flush=True)
        StudioServer(session, args.host, args.port, show).run_studio()
