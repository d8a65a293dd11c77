"""Runs: masks from frame to frame, corrections that stay, prompts, pause and stop on the way."""

from __future__ import annotations

from typing import Any

import pytest

from mmvos.studio.records import CORRECTED

from .stand_ins import FRAMES, OpenStudio, box_of, mask_of, object_mask
from .test_prompts import masks, painted, put


def run(studio: OpenStudio, **request: Any) -> dict[str, Any]:
    """Run to the end."""
    answer = studio.client.post('/api/run', json=request)
    assert answer.status_code == 202, answer.text
    return studio.wait()


def two_objects(studio: OpenStudio, frame: int) -> None:
    """Give both objects in a frame."""
    for number in (1, 2):
        studio.client.post('/api/objects', json={})
        put(studio, frame, number, box=box_of(frame, number))


def test_forwards_to_the_end(opened: OpenStudio) -> None:
    two_objects(opened, 2)
    ended = run(opened, direction='forward', start=2)
    assert (ended['state'], ended['done'], ended['total']) == ('finished', FRAMES - 2, FRAMES - 2)
    assert masks(opened, 1) == {}
    for frame in range(2, FRAMES):
        entries = masks(opened, frame)
        for number in (1, 2):
            assert (mask_of(entries[str(number)]) == object_mask(frame, number)).all()
    timeline = opened.client.get('/api/timeline').json()
    assert timeline['objects']['1']['runs'] == [['corrected', 2, 2], ['seen', 3, FRAMES - 1]]


def test_what_was_corrected_is_never_overwritten(opened: OpenStudio) -> None:
    two_objects(opened, 0)
    run(opened, direction='forward', start=0)
    wrong = object_mask(5, 1)
    wrong[:20] = True
    put(opened, 5, 1, mask=painted(wrong))
    run(opened, direction='forward', start=0)
    assert (mask_of(masks(opened, 5)['1']) == wrong).all()
    assert masks(opened, 5)['1']['source'] == CORRECTED
    assert masks(opened, 5)['2']['source'] == 'model'


def test_to_the_next_corrected_frame(opened: OpenStudio) -> None:
    two_objects(opened, 0)
    put(opened, 6, 1, box=box_of(6, 1))
    ended = run(opened, direction='forward', start=0, until_corrected=True)
    assert ended['done'] == 6
    assert masks(opened, 6).keys() == {'1'}
    assert masks(opened, 5).keys() == {'1', '2'}


def test_some_objects_and_some_frames(opened: OpenStudio) -> None:
    two_objects(opened, 0)
    run(opened, direction='forward', start=0, stop=3, objects=[2])
    assert masks(opened, 3).keys() == {'2'}
    assert masks(opened, 4) == {}


def test_from_a_frame_that_a_run_found(opened: OpenStudio) -> None:
    two_objects(opened, 0)
    run(opened, direction='forward', start=0, stop=4)
    run(opened, direction='forward', start=4)
    assert (mask_of(masks(opened, 9)['2']) == object_mask(9, 2)).all()


@pytest.mark.parametrize(
    'wrong',
    [
        {'direction': 'sideways'},
        {'start': -1},
        {'start': FRAMES},
        {'start': 1.5},
        {'start': 5, 'stop': 4},
        {'start': 5, 'stop': 6, 'direction': 'backward'},
        {'start': 5, 'stop': 6, 'direction': 'both'},
        {'objects': []},
        {'objects': 'all'},
        {'until_corrected': 1},
    ],
)
def test_a_wrong_run_is_refused(opened: OpenStudio, wrong: dict[str, Any]) -> None:
    two_objects(opened, 0)
    assert opened.client.post('/api/run', json=wrong).status_code == 422
    assert opened.client.get('/api/project').json()['run'] is None


def test_a_run_without_an_object_fails_in_a_sentence(opened: OpenStudio) -> None:
    ended = run(opened, start=0)
    assert ended['state'] == 'failed'
    assert 'draw' in ended['message']
    two_objects(opened, 0)
    ended = run(opened, start=4, objects=[2])
    assert ended['state'] == 'failed'


def test_pause_prompt_resume_stop(opened: OpenStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run is paused, prompts are answered; it goes on with them, and a stop keeps all."""
    import time

    client = opened.client
    two_objects(opened, 0)
    read = opened.session.video.read

    def slowly(number: int, seeking: Any = None) -> Any:
        time.sleep(0.1)
        return read(number, seeking)

    monkeypatch.setattr(opened.session.video, 'read', slowly)
    client.post('/api/run', json={'start': 0})
    assert client.post('/api/run', json={'start': 0}).status_code == 409
    assert client.post('/api/run/pause').json()['state'] == 'paused'
    put(opened, 8, 1, mask=painted(object_mask(0, 1)))
    time.sleep(0.3)
    done = client.get('/api/project').json()['run']['done']
    time.sleep(0.3)
    paused = client.get('/api/project').json()['run']
    assert (paused['state'], paused['done']) == ('paused', done)
    assert done < FRAMES
    assert client.post('/api/run/resume').json()['state'] == 'running'
    assert opened.wait()['state'] == 'finished'
    assert (mask_of(masks(opened, 8)['1']) == object_mask(0, 1)).all()

    client.post('/api/run', json={'start': 0})
    client.post('/api/run/pause')
    client.post('/api/run/stop')
    assert opened.wait()['state'] == 'stopped'
    assert client.post('/api/run/pause').status_code == 409
    assert masks(opened, 9).keys() == {'1', '2'}
    assert client.post('/api/run/jump').status_code == 404


def test_masks_come_frame_by_frame_with_progress(opened: OpenStudio) -> None:
    two_objects(opened, 0)
    with opened.client.websocket_connect('/api/events') as socket:
        socket.receive_json()
        opened.client.post('/api/run', json={'start': 0})
        events = [socket.receive_json()]
        while events[-1]['type'] != 'timeline':
            events.append(socket.receive_json())
    frames = [event for event in events if event['type'] == 'frame']
    assert [event['frame'] for event in frames] == list(range(FRAMES))
    assert (mask_of(frames[-1]['entries']['1']) == object_mask(FRAMES - 1, 1)).all()
    states = [event['run']['state'] for event in events if event['type'] == 'run']
    assert states[0] == 'running' and states[-1] == 'finished'
