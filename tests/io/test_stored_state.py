"""States of models survive a file, which holds tensors and plain values only."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mmvos
from mmvos.io.stored_state import (
    CannotStoreError,
    digest_of,
    load_state,
    put_together,
    save_state,
    take_apart,
)
from mmvos.structures import Frame, FrameMeta, Prompts

META = FrameMeta(3, (4, 5), (6, 7), (1.5, 0.1))


def test_a_state_comes_back_as_it_was(tmp_path):
    weights = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state = (META, [weights, None, True, 1.5], {1: ('a', b'\0\xff'), 'k': np.arange(3)}, ())
    save_state(tmp_path / 's.pth', 7, state)
    index, found = load_state(tmp_path / 's.pth')
    assert index == 7 and found[0] == META and found[1][1:] == [None, True, 1.5]
    assert torch.equal(found[1][0], weights) and found[1][0].stride() == weights.stride()
    assert found[2][1] == ('a', b'\0\xff') and found[2]['k'].tolist() == [0, 1, 2]
    assert found[3] == () and type(found[1]) is list


def test_what_is_computed_again_is_not_stored(tmp_path):
    frame = Frame(torch.zeros(1, 3, 2, 2), META)
    frame.features(torch.nn.Identity(), lambda image: image)
    save_state(tmp_path / 's.pth', 0, frame)
    assert load_state(tmp_path / 's.pth')[1].meta == META
    assert load_state(tmp_path / 's.pth')[1]._features == {}


@pytest.mark.parametrize('value', [object(), {1, 2}, torch.nn.Identity(), lambda: 0])
def test_other_things_are_refused(value):
    with pytest.raises(CannotStoreError):
        take_apart((1, value))


def test_a_file_names_no_other_classes():
    with pytest.raises(CannotStoreError, match='builtins'):
        put_together(['object', 'builtins', 'list', {}])
    with pytest.raises(CannotStoreError, match='no dataclass'):
        put_together(['object', 'mmvos.io.stored_state', 'CannotStoreError', {}])


def test_a_damaged_file_is_none(tmp_path):
    assert load_state(tmp_path / 's.pth') is None
    save_state(tmp_path / 's.pth', 7, (1, torch.zeros(100)))
    content = (tmp_path / 's.pth').read_bytes()
    for damaged in (b'', content[:-200], pickle.dumps(dict(index=1, state=Prompts))):
        (tmp_path / 's.pth').write_bytes(damaged)
        assert load_state(tmp_path / 's.pth') is None


def test_the_digest_tells_prompts_apart():
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    same = [digest_of({0: Prompts((1,), (mask.copy(),), (None,))}) for _ in range(2)]
    mask[1] = True
    others = [
        digest_of({0: Prompts((1,), (mask,), (None,))}),
        digest_of({0: Prompts((1,), (None,), ((0.0, 0.0, 1.0, 2.0),))}),
        digest_of({1: Prompts((1,), (mask,), (None,))}),
    ]
    assert same[0] == same[1] and len({same[0], *others}) == 4


def test_one_bit_of_a_tensor_that_is_not_as_it_was_written_is_damage(tmp_path):
    path = tmp_path / 's.state'
    save_state(path, 3, {'memory': torch.full((50,), 1.5)})
    data = bytearray(path.read_bytes())
    place = data.index(np.full(50, 1.5, np.float32).tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert load_state(path) is None


def test_a_state_of_numpy_comes_back_and_imports_no_torch(tmp_path):
    state = (META, {'memory': (np.float32([[1.5, np.nan]]), None)}, np.arange(3))
    save_state(tmp_path / 's.state', 4, state)
    code = (
        'import sys; from mmvos.io.stored_state import load_state; '
        f'index, state = load_state({str(tmp_path / "s.state")!r}); '
        'memory = state[1]["memory"]; '
        'print(index, state[0].scale, memory[0].tolist(), memory[1], state[2].tolist(), '
        '"torch" in sys.modules)'
    )
    root = str(Path(mmvos.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': root},
        check=True,
    )
    assert done.stdout == '4 (1.5, 0.1) [[1.5, nan]] None [0, 1, 2] False\n'
    with pytest.raises(CannotStoreError):
        save_state(tmp_path / 's.state', 4, np.array([object()]))


def test_one_bit_of_an_array_that_is_not_as_it_was_written_is_damage(tmp_path):
    path = tmp_path / 's.state'
    save_state(path, 3, {'memory': np.full(50, 1.5, np.float32)})
    data = bytearray(path.read_bytes())
    data[data.index(np.full(50, 1.5, np.float32).tobytes())] ^= 1
    path.write_bytes(data)
    assert load_state(path) is None
