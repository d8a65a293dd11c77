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
    with opened.events() as socket:
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


def test_backwards_and_both_ways(opened: OpenStudio) -> None:
    two_objects(opened, 6)
    ended = run(opened, direction='backward', start=6)
    assert (ended['state'], ended['done']) == ('finished', 7)
    assert masks(opened, 7) == {}
    for frame in range(7):
        assert (mask_of(masks(opened, frame)['2']) == object_mask(frame, 2)).all()

    ended = run(opened, direction='both', start=3)
    assert (ended['done'], ended['total']) == (FRAMES, FRAMES)
    for frame in range(FRAMES):
        assert (mask_of(masks(opened, frame)['1']) == object_mask(frame, 1)).all()
    assert masks(opened, 6)['1']['source'] == CORRECTED


def test_an_object_that_is_given_later_is_followed_backwards(opened: OpenStudio) -> None:
    two_objects(opened, 8)
    ended = run(opened, direction='backward', start=9, stop=2)
    assert (ended['state'], ended['done']) == ('finished', 8)
    assert masks(opened, 1) == {}
    assert (mask_of(masks(opened, 2)['1']) == object_mask(2, 1)).all()


def test_all_corrected_frames_are_remembered(opened: OpenStudio) -> None:
    """The model is given what is remembered of each prompted frame, also of later ones."""
    recalled: list[dict[int, list[Any]]] = []
    model = opened.session.worker.segmenter().model
    recall = model.recall

    def note(state: Any, prompted: Any) -> Any:
        recalled.append({key: list(value) for key, value in prompted.items()})
        return recall(state, prompted)

    model.recall = note  # type: ignore[method-assign]
    two_objects(opened, 0)
    put(opened, 9, 1, box=box_of(9, 1))
    run(opened, direction='forward', start=0)
    assert recalled
    assert len(recalled[0][1]) == 2
    assert len(recalled[0][2]) == 1


def test_found_objects_become_objects(opened: OpenStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks of a model that finds objects: two frames of a sure one make an object; undo takes
    all of them away."""
    from mmvos.structures import FrameResult, TrackedObject, rle
    from mmvos.studio.segmenter import Segmenter
    from mmvos.studio.worker import Worker

    from .stand_ins import HEIGHT, WIDTH, ColorFollower, prepare

    class Finder(ColorFollower):
        takes_prompts = False

        def __init__(self) -> None:
            super().__init__()
            self.dataset_meta = {'classes': ('fish', 'cat'), 'category_ids': (1, 2)}

        def step(self, frame: Any, state: Any, prompts: Any = None) -> Any:
            index = frame.meta.index
            objects = []
            for number, score in ((1, 0.9), (2, 0.8), (7, 0.2)):
                if number == 2 and index != 3:
                    continue  # seen once
                code = rle.encode(object_mask(index, min(number, 2)))
                box = rle.bounding_box(code)
                objects.append(TrackedObject(number, number % 2, score, box, code))
            return state, FrameResult(index, (HEIGHT, WIDTH), tuple(objects))

    finder: Any = Segmenter('masktrack-rcnn', Finder(), prepare)  # type: ignore[arg-type]
    monkeypatch.setattr(Worker, 'load', lambda self, name: finder)
    monkeypatch.setattr(Worker, 'find_system', lambda self, name: {'name': name})
    answer = opened.client.post('/api/find', json={'start': 2, 'min_score': 0.5})
    assert answer.status_code == 202, answer.text
    ended = opened.wait()
    assert (ended['kind'], ended['state'], ended['done']) == ('find', 'finished', FRAMES - 2)
    (item,) = opened.client.get('/api/project').json()['objects']
    assert item['category'] == 'cat'
    for frame in range(2, FRAMES):
        assert (mask_of(masks(opened, frame)['1']) == object_mask(frame, 1)).all()
    opened.client.post('/api/undo')
    assert opened.client.get('/api/project').json()['objects'] == []
