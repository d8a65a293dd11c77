"""From what a user names (a video, a folder of images, a project) to a server that runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from mmvos.io.atomic import OutputError
from mmvos.io.errors import DataError
from mmvos.io.paths import user_path

from .access import names_of
from .events import Hub
from .project import DATABASE, Project, ProjectError
from .server import Studio
from .session import Session
from .video import StudioVideo

SUFFIX = '.mmvos'  # of a project's folder beside the video
FIRST_PORT = 8123
_PORTS = 20  # that are tried from there on
_LOCAL = ('127.0.0.1', 'localhost', '::1')
_CLOSE_SECONDS = 3


@dataclass(frozen=True)
class Place:
    """What is opened.

    Attributes:
        folder: of the project.
        video: file or folder of images; None: as the project says.
    """

    folder: Path
    video: Path | None


def find_place(given: str | None, project: str | None) -> Place:
    """Find project and video.

    Args:
        given: a video, a folder of images, a project's folder; None: the only project of the
            working folder.
        project: folder of the project, by default beside the video.

    Raises:
        DataError: there is no such thing.
    """
    # Only --project: that is the project.
    if given is None and project is not None:
        given = project
        project = None
    # Nothing: the only project of the working folder.
    if given is None:
        found = sorted(path.parent for path in Path().glob(f'*{SUFFIX}/{DATABASE}'))
        if len(found) != 1:
            raise DataError(
                f'give a video, a folder of images or a project; there are {len(found)} projects '
                f'in this folder'
            )
        return Place(found[0], None)

    # A project's own folder.
    path = user_path(given)
    if (path / DATABASE).is_file():
        if project is not None:
            raise DataError(f'{given} is a project itself; leave --project out')
        return Place(path, None)

    # A video, with its project beside it or where --project says.
    if not path.exists():
        raise DataError(f'{given} does not exist; give a video file or a folder of images')
    if project is not None:
        return Place(user_path(project), path)
    whole = path.resolve()
    name = whole.stem if whole.is_file() else whole.name
    return Place(whole.parent / f'{name}{SUFFIX}', path)


@contextmanager
def open_session(
    place: Place,
    system: str,
    weights: str | None = None,
    device: str | None = None,
    export_folder: Path | None = None,
) -> Iterator[Session]:
    """Open video and project and start the session; all is closed at the end.

    Args:
        place: of project and video.
        system, weights, device: of the model, see ``Session``.
        export_folder: where exports are written, by default in the project.

    Raises:
        DataError: one of them cannot be opened.
    """
    path = place.video
    if path is None:
        with Project(place.folder, None) as project:
            path = _video_of(project)
    video = StudioVideo(path, cache=place.folder)
    with Project(place.folder, _known_of(path, place.folder, video)) as project:
        session = Session(project, video, Hub(), system, weights, device, export_folder)
        session.start()
        try:
            yield session
        finally:
            session.close()


def _known_of(path: Path, folder: Path, video: StudioVideo) -> dict[str, Any]:
    """What a project remembers of its video."""
    size: str | int = path.stat().st_size
    if path.is_dir():
        size = video.fingerprint
    whole = path.resolve()
    return {
        'path': str(whole),
        'relative': os.path.relpath(whole, folder.resolve()),
        'size': size,
    }


def _video_of(project: Project) -> Path:
    """The video of a project: where it was, or at the same place beside the project."""
    known = project.video
    beside = (project.folder.resolve() / str(known.get('relative', ''))).resolve()
    for path in (beside, Path(str(known.get('path', '')))):
        if path.exists():
            return path
    raise ProjectError(
        f'the video of {project.folder}, {known.get("path")}, is not there any more; give it: '
        f'mmvos studio VIDEO --project {project.folder}'
    )


def open_socket(host: str, port: int | None) -> socket.socket:
    """Take a port.

    Args:
        host: address or name to listen on.
        port: the port; None: the first that is free from ``FIRST_PORT`` on.

    Raises:
        OutputError: it is taken.
        DataError: the host is none of this machine.
    """
    wanted = [port] if port is not None else [*range(FIRST_PORT, FIRST_PORT + _PORTS), 0]
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    error: OSError | None = None
    for number in wanted:
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, number))
            # Two servers may bind a port that nobody listens on; only one may listen.
            opened.listen()
        except socket.gaierror as fault:
            opened.close()
            raise DataError(f'{host} is no name or address of this machine') from fault
        except (OSError, OverflowError) as fault:
            opened.close()
            error = fault if isinstance(fault, OSError) else OSError(str(fault))
        else:
            return opened
    raise OutputError(
        f'port {port} of {host} cannot be used ({error.strerror if error else "unknown"}); give '
        f'another one with --port'
    )


def warning_of(host: str) -> str:
    """What a server on this address means for others; '' where nobody else reaches it."""
    if host in _LOCAL:
        return ''
    return (
        f'The studio listens on {host}: everyone who reaches this machine and has the whole '
        f'address with its token can see the video, change the project and write exports. The '
        f'connection is not encrypted.'
    )


class StudioServer(uvicorn.Server):
    """The server of one session; ``run_studio`` serves until it is interrupted, or ``should_exit``
    is set.

    Args:
        session: that was started.
        host, port: see ``open_socket``.
        on_ready: is told the address of the page when it can be opened.

    Raises:
        OutputError: see ``open_socket``.
    """

    def __init__(
        self,
        session: Session,
        host: str,
        port: int | None,
        on_ready: Callable[[str], object],
    ) -> None:
        self._opened = open_socket(host, port)
        number = self._opened.getsockname()[1]
        token = session.project.meta('token') or ''
        studio = Studio(session, token, number, names_of(host), warning_of(host))

        # The address that is printed: one that a browser on this machine can open.
        shown = host
        if host in ('0.0.0.0', '::', *_LOCAL):
            shown = '127.0.0.1'
        elif ':' in host:
            shown = f'[{host}]'
        self._address = f'http://{shown}:{number}/?token={token}'
        self._on_ready = on_ready
        config = uvicorn.Config(
            studio.app,
            log_level='warning',
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=1 << 16,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and tell it."""
        await super().startup(sockets)
        self._on_ready(self._address)

    def run_studio(self) -> None:
        """Serve until the end."""
        self.run(sockets=[self._opened])
