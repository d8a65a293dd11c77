"""mmvos curves: what is read from logs, and how they follow one another."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from mmvos.cli import curves
from mmvos.io.errors import DataError


def write(path: Path, *records: dict[str, float]) -> str:
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return str(path)


def test_a_second_log_begins_where_the_first_ends(tmp_path):
    first = write(tmp_path / '1.json', dict(step=20, loss=4.0), dict(step=40, loss=3.0, lr=1e-3))
    second = write(tmp_path / '2.json', dict(step=10, loss=2.0), dict(step=30, J_mean=0.5))
    logs = [curves.read_log(Path(path)) for path in (first, second)]
    assert curves.join_logs(logs, ['loss', 'J_mean']) == {
        'loss': [(20, 4.0), (40, 3.0), (50, 2.0)],
        'J_mean': [(70, 0.5)],
    }


def test_each_key_gets_a_diagram(tmp_path):
    log = write(tmp_path / 'a.json', *(dict(step=t, loss=1 / t, box=2.0) for t in (1, 2, 3)))
    scores = write(tmp_path / 's.json', dict(step=2, J=0.5), dict(step=3, J=0.6))
    sizes = []
    for keys in (['loss'], ['loss', 'box', 'J']):
        out = tmp_path / f'{len(keys)}.png'
        curves.main([log, '--scores', scores, '--keys', *keys, '--out', str(out)])
        image = cv2.imread(str(out))
        assert image is not None and image.min() < 128
        sizes.append(image.shape[1])
    assert sizes[1] == 3 * sizes[0]


@pytest.mark.parametrize('content', ['no json', '[1]', '{"loss": 1}', '{"step": "a"}'])
def test_what_is_no_log_is_named(tmp_path, content):
    (tmp_path / 'a.json').write_text('{"step": 1, "loss": 2}\n' + content)
    with pytest.raises(DataError, match=r'a\.json, line 2'):
        curves.main([str(tmp_path / 'a.json'), '--out', str(tmp_path / 'o.png')])
    assert not (tmp_path / 'o.png').exists()


def test_missing_logs_and_keys_are_named(tmp_path):
    log = write(tmp_path / 'a.json', dict(step=1, loss=2.0))
    for words, named in (([str(tmp_path / 'b.json')], r'b\.json'), ([log, '--keys', 'J'], 'J')):
        with pytest.raises(DataError, match=named):
            curves.main([*words, '--out', str(tmp_path / 'o.png')])
