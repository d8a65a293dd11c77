import hashlib

import pytest
import torch
from command import run_mmvos
from safetensors import safe_open
from tiny_segmenter import tiny_segmenter

from mmvos.apis.checkpoint import load_weights, read_checkpoint


def publish(folder, *arguments):
    return run_mmvos('weights publish', *arguments, folder=folder)


def test_weights_come_back_as_they_were_up_to_half_precision(tmp_path):
    model = tiny_segmenter(seed=3)
    torch.save(
        {'state_dict': model.state_dict(), 'optimizer': {'lr': 1}, 'meta': {}}, tmp_path / 'a.pth'
    )
    done = publish(
        tmp_path,
        'a.pth',
        'out/a.safetensors',
        '--license',
        'Apache-2.0',
        '--note',
        'data=DAVIS and COCO',
        'J=0.7',
    )
    assert done.status == 0, done.output
    path = tmp_path / 'out/a.safetensors'
    assert hashlib.sha256(path.read_bytes()).hexdigest() in done.output
    with safe_open(path, 'pt') as file:
        assert file.metadata() == {
            'format': 'pt',
            'license': 'Apache-2.0',
            'data': 'DAVIS and COCO',
            'J': '0.7',
        }
    other = tiny_segmenter(seed=4)
    load_weights(other, read_checkpoint(path))
    for name, value in model.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            torch.testing.assert_close(other.state_dict()[name], value, atol=1e-7, rtol=1e-3)
    size = sum(value.numel() for value in model.state_dict().values())
    assert path.stat().st_size < 2.1 * size


@pytest.mark.parametrize(
    ('value', 'fault'), [(float('nan'), 'not finite'), (1e6, 'float16 does not hold')]
)
def test_what_half_precision_does_not_hold_is_refused(tmp_path, value, fault):
    torch.save({'state_dict': {'weight': torch.tensor([value])}}, tmp_path / 'a.pth')
    done = publish(tmp_path, 'a.pth', 'a.safetensors', '--license', 'MIT')
    assert done.status == 1 and 'weight' in done.output
    assert fault in done.output and not (tmp_path / 'a.safetensors').exists()


def test_a_missing_checkpoint_is_named(tmp_path):
    done = publish(tmp_path, 'b.pth', 'a.safetensors', '--license', 'MIT')
    assert done.status != 0 and 'b.pth' in done.output and 'Traceback' not in done.output


def test_a_part_is_left_out_if_there_is_one(tmp_path):
    weights = {'tracker.voting.a': torch.ones(2), 'tracker.b': torch.ones(3)}
    torch.save(dict(state_dict=weights), tmp_path / 'a.pth')
    words = ('a.pth', 'a.safetensors', '--license', 'MIT', '--without')
    done = publish(tmp_path, *words, 'tracker.voting')
    assert done.status == 0, done.output
    with safe_open(tmp_path / 'a.safetensors', 'pt') as file:
        assert set(file.keys()) == {'tracker.b'}
    done = publish(tmp_path, *words, 'tracker.vot')
    assert done.status == 1 and 'tracker.vot,' in done.output
