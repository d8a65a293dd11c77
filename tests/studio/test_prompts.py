"""Objects and prompts through the page's own requests: masks, corrections, undo, events, tabs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmvos.structures import rle
from mmvos.studio.records import mask_to_json

from .stand_ins import (
    FRAMES,
    HEIGHT,
    WIDTH,
    OpenStudio,
    box_of,
    follow_colors,
    mask_of,
    object_mask,
    open_studio,
    point_of,
    write_frames,
)

PROMPT = '/api/frames/{}/objects/{}/prompt'


def painted(mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    """A mask as the page sends it."""
    return mask_to_json(rle.encode(mask)['counts'], (HEIGHT, WIDTH))


def put(studio: OpenStudio, frame: int, number: int, **prompt: Any) -> dict[str, Any]:
    """Give a prompt and return the answer."""
    answer = studio.client.put(PROMPT.format(frame, number), json=prompt)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def masks(studio: OpenStudio, frame: int) -> dict[str, Any]:
    """Entries of a frame by object."""
    answer = studio.client.get(f'/api/masks?start={frame}&stop={frame + 1}').json()
    found: dict[str, Any] = answer['frames'].get(str(frame), {})
    return found


def test_the_project_says_what_the_page_needs(opened: OpenStudio) -> None:
    project = opened.client.get('/api/project').json()
    video = project['video']
    assert (video['width'], video['height'], video['frames']) == (WIDTH, HEIGHT, FRAMES)
    assert video['frames_known'] is True
    assert project['objects'] == []
    assert project['run'] is None
    assert project['history'] == {'undo': None, 'redo': None}
    names = [system['name'] for system in project['systems']]
    assert 'masktrack' in names and 'masktrack-rcnn' in names
    assert project['model']['prompts'] == ['mask', 'box', 'points']


def test_frames_are_jpegs_of_any_width(opened: OpenStudio) -> None:
    import cv2

    for address, width in (('/api/frames/3.jpg', WIDTH), ('/api/frames/3.jpg?width=32', 32)):
        answer = opened.client.get(address)
        assert answer.headers['content-type'] == 'image/jpeg'
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[1] == width
    assert 'immutable' in opened.client.get('/api/frames/3.jpg?v=1').headers['cache-control']
    assert opened.client.get(f'/api/frames/{FRAMES}.jpg').status_code == 404


def test_a_box_gives_the_mask_and_undo_takes_it_away(opened: OpenStudio) -> None:
    client = opened.client
    number = client.post('/api/objects', json={}).json()['id']
    assert number == 1
    answer = put(opened, 2, 1, box=box_of(2, 1))
    assert (mask_of(answer['entry']) == object_mask(2, 1)).all()
    assert answer['entry']['source'] == 'corrected'
    assert answer['entry']['state'] == 'corrected'
    assert answer['entry']['area'] == 12 * 16
    assert masks(opened, 2)['1'] == answer['entry']
    assert client.get('/api/prompts').json()['prompts']['2']['1']['box'] == box_of(2, 1)

    assert client.post('/api/undo').json() == {'label': 'draw a box'}
    assert masks(opened, 2) == {}
    assert client.post('/api/redo').json() == {'label': 'draw a box'}
    assert masks(opened, 2)['1'] == answer['entry']
    assert client.post('/api/redo').status_code == 409

    # Two steps back: the object itself goes, and comes again.
    client.post('/api/undo')
    client.post('/api/undo')
    assert client.get('/api/project').json()['objects'] == []
    assert client.post('/api/undo').status_code == 409
    client.post('/api/redo')
    client.post('/api/redo')
    assert [item['id'] for item in client.get('/api/project').json()['objects']] == [1]


def test_points_add_and_take_away(opened: OpenStudio) -> None:
    opened.client.post('/api/objects', json={})
    both = object_mask(0, 1) | object_mask(0, 2)
    one = [*point_of(0, 1), 1]
    two = [*point_of(0, 2), 1]
    assert (mask_of(put(opened, 0, 1, points=[one])['entry']) == object_mask(0, 1)).all()
    assert (mask_of(put(opened, 0, 1, points=[one, two])['entry']) == both).all()
    minus = [*two[:2], 0]
    found = put(opened, 0, 1, points=[one, two, minus])['entry']
    assert (mask_of(found) == object_mask(0, 1)).all()


def test_a_painted_mask_is_taken_as_it_is_and_points_correct_it(opened: OpenStudio) -> None:
    opened.client.post('/api/objects', json={})
    half = object_mask(0, 1)
    half[:, 12:] = False
    answer = put(opened, 0, 1, mask=painted(half))
    assert (mask_of(answer['entry']) == half).all()
    answer = put(opened, 0, 1, mask=painted(half), points=[[*point_of(0, 2), 1]])
    assert (mask_of(answer['entry']) & object_mask(0, 2)).sum() == 12 * 16
    nothing = put(opened, 0, 1, mask=painted(np.zeros((HEIGHT, WIDTH), bool)))
    assert nothing['entry']['area'] == 0


def test_points_correct_what_a_run_had_found(opened: OpenStudio) -> None:
    """From the second point on it is still the run's mask that is corrected."""
    client = opened.client
    client.post('/api/objects', json={})
    put(opened, 0, 1, box=box_of(0, 1))
    client.post('/api/run', json={'direction': 'forward', 'start': 0})
    assert opened.wait()['state'] == 'finished'
    two = [*point_of(5, 2), 1]
    found = put(opened, 5, 1, points=[two])['entry']
    assert (mask_of(found) == (object_mask(5, 1) | object_mask(5, 2))).all()
    found = put(opened, 5, 1, points=[two, [*two[:2], 0]])['entry']
    assert (mask_of(found) == object_mask(5, 1)).all()


@pytest.mark.parametrize(
    'wrong',
    [
        {},
        {'box': [1, 2, 3]},
        {'box': [5, 5, 5, 5]},
        {'box': [100, 100, 200, 200]},
        {'points': [[1, 2]]},
        {'points': [[1, 2, 3]]},
        {'points': [[1000, 2, 1]]},
        {'points': [[1, 2, 0]]},
        {'mask': {'size': [48, 64], 'counts': [1]}},
        {'mask': {'size': [1, 1], 'counts': [1]}},
        {'mask': {'size': [48, 64], 'counts': 'x~~~'}},
        {'mask': [[0, 0, 5, 5, 9]]},
        {'mask': 'all'},
    ],
)
def test_a_wrong_prompt_is_one_sentence_and_changes_nothing(
    opened: OpenStudio, wrong: dict[str, Any]
) -> None:
    opened.client.post('/api/objects', json={})
    answer = opened.client.put(PROMPT.format(0, 1), json=wrong)
    assert answer.status_code == 422
    assert answer.json()['error']
    assert masks(opened, 0) == {}
    assert opened.client.get('/api/project').json()['history']['undo'] == 'add an object'


def test_what_is_not_there_is_404(opened: OpenStudio) -> None:
    prompt = {'box': [1, 1, 5, 5]}
    assert opened.client.put(PROMPT.format(0, 1), json=prompt).status_code == 404
    opened.client.post('/api/objects', json={})
    assert opened.client.put(PROMPT.format(FRAMES, 1), json=prompt).status_code == 404
    assert opened.client.patch('/api/objects/2', json={'name': 'x'}).status_code == 404
    assert opened.client.delete('/api/objects/2').status_code == 404


def test_taking_a_prompt_back(opened: OpenStudio) -> None:
    opened.client.post('/api/objects', json={})
    put(opened, 1, 1, box=box_of(1, 1))
    assert opened.client.delete(PROMPT.format(1, 1)).status_code == 200
    assert masks(opened, 1) == {}
    assert opened.client.get('/api/prompts').json()['prompts'] == {}
    opened.client.post('/api/undo')
    assert masks(opened, 1)['1']['area'] == 12 * 16


def test_objects_are_changed_removed_and_never_numbered_again(opened: OpenStudio) -> None:
    client = opened.client
    client.post('/api/objects', json={'name': 'fish', 'color': '#010203', 'category': 'animal'})
    put(opened, 0, 1, box=box_of(0, 1))
    changed = client.patch('/api/objects/1', json={'name': 'shark', 'visible': False}).json()
    assert (changed['name'], changed['visible'], changed['color']) == ('shark', False, '#010203')
    client.post('/api/undo')  # visibility is no action
    (item,) = client.get('/api/project').json()['objects']
    assert (item['name'], item['visible']) == ('fish', False)

    client.delete('/api/objects/1')
    assert client.get('/api/project').json()['objects'] == []
    assert masks(opened, 0) == {}
    assert client.get('/api/prompts').json()['prompts'] == {}
    client.post('/api/undo')
    assert masks(opened, 0)['1']['area'] == 12 * 16
    client.delete('/api/objects/1')
    assert client.post('/api/objects', json={}).json()['id'] == 2


def test_all_tabs_get_all_events(opened: OpenStudio) -> None:
    with opened.events() as one, opened.events() as two:
        hello = one.receive_json()
        assert hello['type'] == 'hello'
        assert hello == two.receive_json()
        opened.client.post('/api/objects', json={})
        put(opened, 0, 1, box=box_of(0, 1))
        told = []
        for socket in (one, two):
            events = []
            while not events or events[-1].get('undo') != 'draw a box':
                events.append(socket.receive_json())
            told.append([event for event in events if event['type'] not in ('model', 'video')])
    assert told[0] == told[1]
    kinds = [event['type'] for event in told[0]]
    assert kinds == ['objects', 'history', 'prompt', 'frame', 'timeline', 'history']
    entry = told[0][3]['entries']['1']
    assert (mask_of(entry) == object_mask(0, 1)).all()
    numbers = [event['seq'] for event in told[0]]
    assert numbers == sorted(numbers)


def test_a_project_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_colors(monkeypatch)
    clip, project = write_frames(tmp_path / 'clip'), tmp_path / 'clip.mmvos'
    with open_studio(clip, project) as first:
        first.client.post('/api/objects', json={'name': 'one'})
        put(first, 0, 1, box=box_of(0, 1))
        shown = masks(first, 0)
        server = first.client.get('/api/project').json()['server']
    with open_studio(None, project) as second:
        again = second.client.get('/api/project').json()
        assert again['server'] != server
        assert again['objects'][0]['name'] == 'one'
        assert masks(second, 0) == shown
        assert second.token == first.token, 'a page that was left open works again'
        assert second.client.post('/api/undo').json() == {'label': 'draw a box'}
        assert masks(second, 0) == {}
