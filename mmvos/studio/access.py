"""Access: who may ask the server, and how much a request may hold.

A page of another site can make a browser send requests to this machine, and a name of another site
can be made to mean this machine (DNS rebinding). So every request needs the server's own name as
``Host``, no foreign ``Origin``, and the token, which only who was given the address knows. Written
as ASGI middleware, so that WebSockets and static files pass it, too.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = 'x-mmvos-token'
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
}
_LOCAL_NAMES = ('127.0.0.1', 'localhost', '[::1]')
_REFUSED = 1008  # close code of a WebSocket
MAX_BODY = 16 << 20
_MAX_PATH = 300  # characters; Python reads no number of more than 4,300 digits
MAX_IMPORT = 1 << 30
_IMPORTS = '/api/imports'


class BodyTooLargeError(Exception):
    """A body has more bytes than its route takes."""


def names_of(host: str) -> tuple[str, ...]:
    """The names by which a server that listens on ``host`` may be asked.

    Args:
        host: '127.0.0.1', another address or name of this machine, or '0.0.0.0' for all.
    """
    if host in ('0.0.0.0', '::'):
        return ()  # any: whoever opens it to the network is told so
    named = f'[{host}]' if ':' in host else host
    return tuple(dict.fromkeys((*_LOCAL_NAMES, named)))


class AccessGuard:
    """Middleware that lets only the pages of this server pass.

    Args:
        app: what is guarded.
        token: what a request must know.
        port: of the server.
        names: host names it may be asked by; empty for any.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, names: Collection[str]) -> None:
        self.app = app
        self.token = token
        self.port = port
        self.names = tuple(names)
        self.cookie = f'mmvos_studio_{port}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] not in ('http', 'websocket'):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = self._token_of_address(scope)
        fault = self._fault(headers, given)
        if fault is not None:
            await _refuse(scope, receive, send, 403, fault)
            return
        if len(scope['path']) > _MAX_PATH:
            await _refuse(scope, receive, send, 414, 'the address is too long')
            return
        limit = MAX_IMPORT if scope['path'] == _IMPORTS else MAX_BODY
        try:
            announced = int(headers.get('content-length', '0'))
        except ValueError:
            announced = 0
        if announced > limit:
            await _refuse(scope, receive, send, 413, _too_large(limit))
            return
        await self._pass(scope, receive, send, limit, given)

    def _fault(self, headers: Headers, given: str | None) -> str | None:
        """Say why a request is refused; None where it is not."""
        host = headers.get('host', '')
        if not self._is_own(host):
            return 'this address does not belong to the studio'
        origin = headers.get('origin')
        if origin is not None and origin not in (f'http://{host}', f'https://{host}'):
            return 'another page may not ask the studio'
        if headers.get('sec-fetch-site', 'none') not in ('same-origin', 'none'):
            # A link on another page may open the studio, where it has the token.
            is_page = headers.get('sec-fetch-mode') == 'navigate' and given is not None
            if not is_page:
                return 'another page may not ask the studio'
        known = (given, headers.get(TOKEN_HEADER), self._token_of_cookie(headers))
        for token in known:
            if token is not None and secrets.compare_digest(
                token.encode('utf-8', 'surrogateescape'), self.token.encode()
            ):
                return None
        return 'the address lacks the token; open the whole address that mmvos studio printed'

    def _is_own(self, host: str) -> bool:
        """Whether a ``Host`` names this server."""
        name, colon, port = host.rpartition(':')
        if not colon or port != str(self.port):
            return False
        return not self.names or name.lower() in self.names

    def _token_of_cookie(self, headers: Headers) -> str | None:
        try:
            cookies = SimpleCookie(headers.get('cookie', ''))
        except CookieError:
            return None
        morsel = cookies.get(self.cookie)
        return None if morsel is None else morsel.value

    @staticmethod
    def _token_of_address(scope: Scope) -> str | None:
        """The token of ``/?token=``; no other address takes one."""
        if scope['path'] != '/' or scope['type'] != 'http':
            return None
        question = scope.get('query_string', b'').decode('latin-1')
        values = parse_qs(question).get('token')
        if not values:
            return None
        return values[0]

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, limit: int, given: str | None
    ) -> None:
        """Let a request through: count its body, and add the headers of every answer."""
        count = 0
        is_begun = False

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            if message['type'] == 'http.request':
                count += len(message.get('body', b''))
                if count > limit:
                    raise BodyTooLargeError(_too_large(limit))
            return message

        async def with_headers(message: Message) -> None:
            nonlocal is_begun
            if message['type'] == 'http.response.start':
                is_begun = True
                extra = dict(_HEADERS)
                if given is not None:
                    extra['set-cookie'] = (
                        f'{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict'
                    )
                message = {**message, 'headers': [*message['headers'], *_raw(extra)]}
            await send(message)

        try:
            await self.app(scope, counted, with_headers)
        except BodyTooLargeError:
            if is_begun:
                raise
            await _refuse(scope, receive, send, 413, _too_large(limit))


def _too_large(limit: int) -> str:
    return f'the request is larger than {limit >> 20} MB'


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    """Answer with a sentence, before anything was read."""
    if scope['type'] == 'websocket':
        await receive()
        await send({'type': 'websocket.close', 'code': _REFUSED, 'reason': sentence[:120]})
        return
    body = json.dumps({'error': sentence}).encode()
    headers = {'content-type': 'application/json', 'connection': 'close', **_HEADERS}
    await send({'type': 'http.response.start', 'status': status, 'headers': _raw(headers)})
    await send({'type': 'http.response.body', 'body': body})
