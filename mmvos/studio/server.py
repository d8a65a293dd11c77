"""The routes of the studio: what a page may ask, as docs/studio.md says it.

Requests come in through ``AccessGuard``. A route reads its input, asks the session, and answers
JSON; what it may raise becomes a status and one sentence.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmvos.io.atomic import OutputError, output_errors
from mmvos.io.errors import DataError
from mmvos.io.paths import output_inside

from .access import AccessGuard, BodyTooLargeError
from .events import Listener
from .imports import MAX_FILES, receive
from .records import parse_name
from .runs import parse_find, parse_run
from .session import Session
from .worker import BusyError, ModelError, NotFoundError

STATIC = Path(__file__).resolve().parent / 'static'
MAX_MASK_FRAMES = 300  # of one answer
_MAX_LABEL = 80
_MAX_DEPTH = 20  # of JSON that a page sends
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (BodyTooLargeError, 413),
    (NotFoundError, 404),
    (BusyError, 409),
    (ModelError, 503),
    (OutputError, 507),
    (ValueError, 422),
    (OSError, 500),
)
_PRIVATE = {'cache-control': 'no-store'}
_FOR_EVER = {'cache-control': 'private, max-age=31536000, immutable'}
Endpoint = Callable[[Request], Awaitable[Response]]


class Studio:
    """The server of one session.

    Args:
        session: that was started.
        token: which requests must know.
        port: of the server.
        names: host names by which it may be asked, see ``AccessGuard``.
        warning: what the page says about who else can reach it.
    """

    def __init__(
        self, session: Session, token: str, port: int, names: tuple[str, ...], warning: str = ''
    ) -> None:
        self.session = session
        self.id = secrets.token_hex(8)
        self._warning = warning
        self._closing = asyncio.Event()
        self.app: ASGIApp = AccessGuard(self._make_app(), token, port, names)

    def _make_app(self) -> Starlette:
        routes = [
            Route('/', self.page),
            Mount('/static', StaticFiles(directory=STATIC)),
            Route('/api/project', _answers(self.project)),
            Route('/api/frames/{frame:int}.jpg', _answers(self.frame)),
            Route('/api/masks', _answers(self.masks)),
            Route('/api/timeline', _answers(self.timeline)),
            Route('/api/prompts', _answers(self.prompts)),
            Route('/api/objects', _answers(self.add_object), methods=['POST']),
            Route('/api/objects/{object:int}', _answers(self.change_object), methods=['PATCH']),
            Route('/api/objects/{object:int}', _answers(self.remove_object), methods=['DELETE']),
            Route(
                '/api/frames/{frame:int}/objects/{object:int}/prompt',
                _answers(self.put_prompt),
                methods=['PUT'],
            ),
            Route(
                '/api/frames/{frame:int}/objects/{object:int}/prompt',
                _answers(self.remove_prompt),
                methods=['DELETE'],
            ),
            Route('/api/undo', _answers(self.undo), methods=['POST']),
            Route('/api/redo', _answers(self.redo), methods=['POST']),
            Route('/api/run', _answers(self.run), methods=['POST']),
            Route('/api/find', _answers(self.find), methods=['POST']),
            Route('/api/run/{word}', _answers(self.control_run), methods=['POST']),
            Route('/api/system', _answers(self.system), methods=['POST']),
            Route('/api/exports', _answers(self.list_exports)),
            Route('/api/exports', _answers(self.start_export), methods=['POST']),
            Route('/api/exports/{export:int}/file', _answers(self.export_file)),
            Route('/api/exports/{export:int}/stop', _answers(self.stop_export), methods=['POST']),
            Route('/api/imports', _answers(self.bring), methods=['POST']),
            WebSocketRoute('/api/events', self.events),
        ]

        # Pages that wait for events are let go when the server ends.
        @asynccontextmanager
        async def lifespan(_: Starlette) -> Any:
            yield
            self._closing.set()

        return Starlette(
            routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http_error}
        )

    # ---- page and video

    async def page(self, _: Request) -> Response:
        """The page."""
        return FileResponse(STATIC / 'index.html', headers=_PRIVATE)

    async def project(self, _: Request) -> Response:
        """All but masks."""
        described = await run_in_threadpool(self.session.describe, self.id)
        return _json({**described, 'host_warning': self._warning})

    async def frame(self, request: Request) -> Response:
        """A frame as JPEG."""
        number = request.path_params['frame']
        width = _query_number(request, 'width')
        content = await run_in_threadpool(self._jpeg, number, width)
        headers = _FOR_EVER if request.query_params.get('v') else _PRIVATE
        return Response(content, media_type='image/jpeg', headers=headers)

    def _jpeg(self, number: int, width: int | None) -> bytes:
        video = self.session.video
        if video.is_known and number >= video.frames:
            raise NotFoundError(f'there is no frame {number}; the video has {video.frames}')
        return video.jpeg(number, width)

    async def masks(self, request: Request) -> Response:
        """Masks of some frames."""
        start = _query_number(request, 'start') or 0
        stop = _query_number(request, 'stop')
        if stop is None:
            stop = start + 1
        if not start < stop <= start + MAX_MASK_FRAMES:
            raise DataError(f'ask for 1 to {MAX_MASK_FRAMES} frames, not {start} to {stop}')
        masks = await run_in_threadpool(self.session.masks, start, stop)
        return _json(masks)

    async def timeline(self, _: Request) -> Response:
        """What was found where, and what is worth a look."""
        return _json(await run_in_threadpool(self.session.timeline))

    async def prompts(self, _: Request) -> Response:
        """What the user said."""
        return _json(await run_in_threadpool(self.session.prompts))

    # ---- objects and prompts

    async def add_object(self, request: Request) -> Response:
        """Make an object."""
        given = await _body(request)
        item = await run_in_threadpool(self.session.add_object, given)
        return _json(item.to_json())

    async def change_object(self, request: Request) -> Response:
        """Change an object."""
        given = await _body(request)
        number = request.path_params['object']
        item = await run_in_threadpool(self.session.change_object, number, given)
        return _json(item.to_json())

    async def remove_object(self, request: Request) -> Response:
        """Remove an object."""
        await run_in_threadpool(self.session.remove_object, request.path_params['object'])
        return _json({})

    async def put_prompt(self, request: Request) -> Response:
        """Say where an object is, and answer its mask."""
        given = await _body(request)
        label = request.query_params.get('label')
        if label is not None:
            label = parse_name(label[:_MAX_LABEL], 'label')
        frame = request.path_params['frame']
        number = request.path_params['object']
        waiting = await run_in_threadpool(self.session.put_prompt, frame, number, given, label)
        answer = await asyncio.wrap_future(waiting)
        return _json(answer)

    async def remove_prompt(self, request: Request) -> Response:
        """Take back what was said in a frame."""
        frame = request.path_params['frame']
        number = request.path_params['object']
        removed = self.session.remove_prompt(frame, number)
        await asyncio.wrap_future(removed)
        return _json({})

    async def undo(self, _: Request) -> Response:
        """Undo the last action."""
        return _json(await asyncio.wrap_future(self.session.undo()))

    async def redo(self, _: Request) -> Response:
        """Do it again."""
        return _json(await asyncio.wrap_future(self.session.undo(again=True)))

    # ---- runs and systems

    async def run(self, request: Request) -> Response:
        """Begin a run."""
        wanted = parse_run(await _body(request), self._frames_at_most())
        return _json(await run_in_threadpool(self.session.start_run, wanted), 202)

    async def find(self, request: Request) -> Response:
        """Begin to find objects."""
        wanted = parse_find(await _body(request), self._frames_at_most())
        return _json(await run_in_threadpool(self.session.start_run, wanted), 202)

    def _frames_at_most(self) -> int | None:
        """The number of frames, where it is known."""
        video = self.session.video
        return video.frames if video.is_known else None

    async def control_run(self, request: Request) -> Response:
        """Pause, resume or stop."""
        word = request.path_params['word']
        if word not in ('pause', 'resume', 'stop'):
            raise NotFoundError('a run can be paused, resumed and stopped')
        return _json(await run_in_threadpool(self.session.worker.control, word))

    async def system(self, request: Request) -> Response:
        """Take another system."""
        given = await _body(request)
        worker = self.session.worker
        await run_in_threadpool(worker.choose_system, given.get('name'))
        return _json({'model': worker.describe_model()})

    # ---- exports and imports

    async def list_exports(self, _: Request) -> Response:
        """All exports since the start."""
        return _json({'exports': await run_in_threadpool(self.session.exports.describe)})

    async def start_export(self, request: Request) -> Response:
        """Begin an export."""
        given = await _body(request)
        return _json(await run_in_threadpool(self.session.exports.start, given), 202)

    async def stop_export(self, request: Request) -> Response:
        """Stop an export."""
        number = request.path_params['export']
        return _json(await run_in_threadpool(self.session.exports.stop, number))

    async def export_file(self, request: Request) -> Response:
        """The result of an export as a download."""
        number = request.path_params['export']
        path = await run_in_threadpool(self.session.exports.pack, number)
        return FileResponse(path, filename=path.name, headers=_PRIVATE)

    async def bring(self, request: Request) -> Response:
        """Take files as prompts."""
        with receive(self.session.project.folder) as folder:
            async with request.form(max_files=MAX_FILES, max_fields=10) as form:
                kind = form.get('format', 'auto')
                count = 0
                for item in form.getlist('files'):
                    if isinstance(item, str) or not item.filename:
                        raise DataError('files must be files')
                    count += 1
                    target = output_inside(folder, item.filename, 'the import')
                    await run_in_threadpool(_save, item.file, target)
            if not count or not isinstance(kind, str):
                raise DataError('give files, and a format or auto')
            return _json(await asyncio.wrap_future(self.session.bring(folder, kind)))

    # ---- events

    async def events(self, socket: WebSocket) -> None:
        """Tell a page what changes, until it goes."""
        await socket.accept()
        hub = self.session.hub
        listener = hub.listen()
        tasks = [
            asyncio.create_task(self._send_events(socket, listener)),
            asyncio.create_task(_until_gone(socket)),
            asyncio.create_task(self._closing.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.leave(listener)
            for task in tasks:
                task.cancel()
            # A page that is gone cannot be told.
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()

    async def _send_events(self, socket: WebSocket, listener: Listener) -> None:
        hello = {'type': 'hello', 'server': self.id, 'seq': self.session.hub.last}
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(json.dumps(hello))
            while True:
                for text in await listener.get():
                    await socket.send_text(text)


async def _until_gone(socket: WebSocket) -> None:
    """Wait until a page closes its WebSocket; what it sends is not looked at."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await socket.receive()
            if message['type'] == 'websocket.disconnect':
                return


def _answers(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose expected errors become a status and a sentence."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HTTPException:
            raise
        except tuple(kind for kind, _ in _STATUSES) as error:
            for kind, status in _STATUSES:
                if isinstance(error, kind):
                    return _error(status, str(error) or type(error).__name__)
            raise

    return answer


async def _http_error(_: Request, error: Exception) -> Response:
    """404 and the like, in the form of all errors."""
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail))


def _save(source: BinaryIO, target: Path) -> None:
    """Write a file that came in."""
    with output_errors(target.name):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, 'wb') as stream:
            shutil.copyfileobj(source, stream)


def _json(content: Any, status: int = 200) -> Response:
    text = json.dumps(content, separators=(',', ':'), allow_nan=False)
    return Response(text, status, media_type='application/json', headers=_PRIVATE)


def _error(status: int, sentence: str) -> Response:
    return _json({'error': sentence}, status)  # in ASCII, so that any name can be in it


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that a page sent.

    Raises:
        DataError: it is none.
    """
    content = await request.body()
    try:
        given = json.loads(content or b'{}', parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError('the request is no JSON') from error
    if not isinstance(given, dict):
        raise DataError('the request must be a JSON object')
    return given


def _refuse_constant(word: str) -> Any:
    raise ValueError(f'{word} is no number of JSON')


def _query_number(request: Request, key: str) -> int | None:
    """A whole number of the address, None where it has none.

    Raises:
        DataError: it is another text.
    """
    text = request.query_params.get(key)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise DataError(f'{key} must be a whole number')
    return int(text)
