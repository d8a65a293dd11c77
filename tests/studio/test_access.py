"""Attacks: foreign hosts and pages, no token, names that lead out, too much at once."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mmvos.studio.access import MAX_BODY, MAX_IMPORT

from .stand_ins import PORT, OpenStudio

ROUTES = [
    ('GET', '/'),
    ('GET', '/static/index.html'),
    ('GET', '/api/project'),
    ('GET', '/api/frames/0.jpg'),
    ('GET', '/api/masks'),
    ('POST', '/api/objects'),
    ('PUT', '/api/frames/0/objects/1/prompt'),
    ('POST', '/api/run'),
]


@pytest.mark.parametrize(('method', 'path'), ROUTES)
def test_nothing_without_the_token(opened: OpenStudio, method: str, path: str) -> None:
    for client in (opened.stranger(), opened.stranger(**{'x-mmvos-token': 'a' * 32})):
        answer = client.request(method, path)
        assert answer.status_code == 403
        assert 'token' in answer.json()['error']


def test_the_address_gives_the_page_and_a_cookie_that_is_enough(opened: OpenStudio) -> None:
    stranger = opened.stranger()
    page = stranger.get(f'/?token={opened.token}')
    assert page.status_code == 200
    assert page.headers['content-type'].startswith('text/html')
    cookie = page.headers['set-cookie']
    assert f'mmvos_studio_{PORT}=' in cookie
    assert 'HttpOnly' in cookie
    assert 'SameSite=Strict' in cookie
    assert stranger.get('/api/project').status_code == 200
    assert stranger.get('/').status_code == 200


def test_the_token_counts_in_the_address_of_the_page_only(opened: OpenStudio) -> None:
    assert opened.stranger().get(f'/api/project?token={opened.token}').status_code == 403


@pytest.mark.parametrize(
    'host',
    ['evil.example', f'evil.example:{PORT}', '127.0.0.1', f'127.0.0.1:{PORT + 1}', ''],
)
def test_a_foreign_host_is_refused(opened: OpenStudio, host: str) -> None:
    answer = opened.client.get('/api/project', headers={'host': host})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    'headers',
    [
        {'origin': 'http://evil.example'},
        {'origin': 'null'},
        {'origin': f'http://localhost:{PORT}'},  # is not the host that is asked
        {'sec-fetch-site': 'cross-site'},
        {'sec-fetch-site': 'same-site'},
    ],
)
def test_a_foreign_page_is_refused_although_it_has_the_cookie(
    opened: OpenStudio, headers: dict[str, str]
) -> None:
    for method, path in (('GET', '/api/project'), ('POST', '/api/objects')):
        assert opened.client.request(method, path, headers=headers).status_code == 403
    assert opened.client.get('/api/project').json()['objects'] == []


def test_events_need_token_host_and_origin(opened: OpenStudio) -> None:
    attempts: list[tuple[TestClient, dict[str, str]]] = [
        (opened.stranger(), {}),
        (opened.client, {'origin': 'http://evil.example'}),
        (opened.client, {'host': 'evil.example'}),
    ]
    for client, headers in attempts:
        with (
            pytest.raises(WebSocketDisconnect),
            opened.events(client, **headers) as socket,
        ):
            socket.receive_json()
    with opened.events(origin=f'http://127.0.0.1:{PORT}') as socket:
        assert socket.receive_json()['type'] == 'hello'


@pytest.mark.parametrize(
    'path',
    [
        '/static/../server.py',
        '/static/%2e%2e/server.py',
        '/static/..%2fserver.py',
        '/static//etc/passwd',
        '/api/frames/../../project',
        '/api/frames/..%2f..%2fetc%2fpasswd.jpg',
        '/api/frames/-1.jpg',
        '/api/frames/99999999999999999999.jpg',
    ],
)
def test_names_do_not_lead_out(opened: OpenStudio, path: str) -> None:
    answer = opened.client.get(path)
    assert answer.status_code in (403, 404, 405, 422)
    assert b'root:' not in answer.content
    assert b'class Studio' not in answer.content


def test_a_body_that_is_announced_too_large_is_refused_unread(opened: OpenStudio) -> None:
    def chunks() -> object:
        raise AssertionError('the body was read')
        yield b''

    for path, limit in (('/api/objects', MAX_BODY), ('/api/imports', MAX_IMPORT)):
        headers = {'content-length': str(max(limit + 1, 10 << 30))}
        answer = opened.client.post(path, content=chunks(), headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 413


def test_a_body_that_grows_too_large_is_refused(opened: OpenStudio) -> None:
    answer = opened.client.post('/api/objects', content=iter([b' ' * (MAX_BODY + 1)]))
    assert answer.status_code == 413


@pytest.mark.parametrize('body', [b'[', b'[1]', b'"a"', b'{"color": NaN}', b'[' * 100000, b'\xff'])
def test_what_is_no_json_object_is_refused(opened: OpenStudio, body: bytes) -> None:
    answer = opened.client.post('/api/objects', content=body)
    assert answer.status_code == 422
    assert set(answer.json()) == {'error'}


def test_numbers_that_python_does_not_read_are_refused(opened: OpenStudio) -> None:
    digits = '9' * 5000
    for path in (
        f'/api/frames/{digits}.jpg',
        f'/api/objects/{digits}',
        f'/api/exports/{digits}/file',
    ):
        answer = opened.client.get(path)
        assert answer.status_code == 414 and 'too long' in answer.json()['error']
    assert opened.client.get(f'/api/frames/{"9" * 250}.jpg').status_code == 404


def test_any_text_can_be_in_a_sentence(opened: OpenStudio) -> None:
    opened.client.post('/api/objects', json={'name': 'a'})
    answer = opened.client.put('/api/frames/0/objects/1/prompt', content=b'{"box": "\\ud800"}')
    assert answer.status_code == 422
    assert '\ud800' in answer.json()['error']


def test_every_answer_says_that_nothing_from_elsewhere_is_loaded(opened: OpenStudio) -> None:
    for path in ('/', '/api/project', '/static/index.html', '/api/frames/0.jpg', '/nothing'):
        headers = opened.client.get(path).headers
        assert "default-src 'self'" in headers['content-security-policy'], path
        assert headers['x-content-type-options'] == 'nosniff'


@pytest.mark.parametrize('name', ['<img src=x onerror=alert(1)>', '"&\'`${x}', '名前', '../../x'])
def test_names_are_text(opened: OpenStudio, name: str) -> None:
    made = opened.client.post('/api/objects', json={'name': name})
    assert made.json()['name'] == name
    answer = opened.client.get('/api/project')
    assert answer.json()['objects'][0]['name'] == name
    assert answer.headers['content-type'] == 'application/json'


@pytest.mark.parametrize(
    'wrong',
    [
        {'name': ''},
        {'name': 'a\x00b'},
        {'name': 'a\u202eb'},
        {'name': 'a' * 201},
        {'name': 3},
        {'color': 'red'},
        {'color': '#12345g'},
        {'color': 'url(x)'},
    ],
)
def test_wrong_names_and_colors_are_refused(opened: OpenStudio, wrong: dict[str, object]) -> None:
    assert opened.client.post('/api/objects', json=wrong).status_code == 422
    assert opened.client.get('/api/project').json()['objects'] == []
