"""The benchmark of memory over long videos runs to its end, and sees what grows."""

from __future__ import annotations

import mmap

import pytest
from command import run_mmvos

from mmvos.benchmarks import growth
from mmvos.benchmarks.masktrack_rcnn import short_training
from mmvos.structures import FrameResult

MIB = 2**20


class Leaky:
    """An inferencer that keeps some bytes of each frame."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.frames: list[mmap.mmap] = []
        self.seen: list[tuple[int, int]] = []

    def start(self, prompts) -> None:
        assert len(prompts) == 2

    def step(self, picture) -> FrameResult:
        self.seen.append(picture.shape[:2])
        # pages of its own: the heap may have room that was held before the first reading
        frame = mmap.mmap(-1, max(self.kept, 1))
        frame.write(b'1' * self.kept)
        self.frames.append(frame)
        return FrameResult(len(self.frames) - 1, picture.shape[:2], ())


@pytest.mark.parametrize('kept', [0, MIB])
def test_it_sees_what_grows(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    leaky = Leaky(kept)
    monkeypatch.setattr(growth, '_build', lambda task: leaky)
    task = growth.Task('masktrack', 'torch', 120, 20, 60, None, (64, 40), 1)
    found = growth.measure(task)
    assert (found.frames, found.objects, leaky.seen) == (120, 0, [(40, 64)] * 120)
    grown = found.last - found.settled
    assert found.highest >= found.last
    # 100 frames between the readings
    assert abs(grown - 100 * kept / MIB) < 8


@pytest.mark.slow
def test_it_follows_and_replaces_objects(tmp_path) -> None:
    words = ('--rows', 'memory', 'add-remove', '--frames', '30', '--settle', '10', '--size', '64')
    done = run_mmvos('benchmark', 'growth', *words, folder=tmp_path)
    assert done.status == 0, done.output
    rows = [line.split('|')[1:-1] for line in done.output.splitlines() if '| torch |' in line]
    assert [row[0].strip() for row in rows] == ['memory', 'add-remove']
    for row in rows:
        frames, objects = (int(cell) for cell in row[2:4])
        settled, highest, last = (float(cell) for cell in row[4:7])
        assert (frames, objects) == (30, 2)
        assert highest >= last and min(settled, last) > 100


@pytest.mark.slow
def test_a_training_is_read_as_it_goes_on(tmp_path) -> None:
    words = ('--rows', 'training', '--iterations', '30', '--settle', '10', '--curve')
    done = run_mmvos('benchmark', 'growth', *words, folder=tmp_path)
    assert done.status == 0, done.output
    [row] = [line.split('|')[1:-1] for line in done.output.splitlines() if '| torch |' in line]
    assert [cell.strip() for cell in row[:4]] == ['training', 'torch', '30', '2']
    settled, highest, last, grown = (float(cell) for cell in row[4:8])
    assert highest >= last > 100 and abs(grown - (last - settled)) < 0.2
    # The readings after 10, 20 and 30 iterations; no file is left.
    [curve] = [line for line in done.output.splitlines() if line.startswith('curve: ')]
    assert len(curve.split()) == 4
    assert [path.name for path in tmp_path.iterdir()] == ['benchmark.log']


@pytest.mark.parametrize('returns_memory', [True, False])
def test_a_training_has_the_shipped_hooks(tmp_path, returns_memory: bool) -> None:
    config = short_training.training_config(7, tmp_path, returns_memory)
    kinds = [
        hook['type'] for hook in [*config.default_hooks.values(), *config.custom_hooks] if hook
    ]
    assert ('mmvos.ReturnMemoryHook' in kinds) == returns_memory
    assert 'mmvos.NonFiniteLossHook' in kinds and config.optim_wrapper.dtype == 'auto'


def test_pairs_have_sizes_of_their_own_and_are_repeatable() -> None:
    pairs = short_training.MadeUpPairs(40, 6, ['ori_shape', 'img_shape'])
    sizes = {pairs[index]['inputs'].shape[2:] for index in range(40)}
    assert len(sizes) > 30
    for height, width in sizes:
        assert 36 <= height <= 90 and 64 <= width <= 160
    again = short_training.MadeUpPairs(40, 6, ['ori_shape', 'img_shape'])
    for index in (0, 39):
        assert pairs[index]['inputs'].equal(again[index]['inputs'])
    key, reference = pairs[3]['data_samples'].video_data_samples
    for instances in (key.gt_instances, reference.gt_instances):
        for mask, box in zip(instances.masks.masks, instances.bboxes.tolist(), strict=True):
            rows, columns = mask.nonzero()
            tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box == tight
    assert key.gt_instances.instances_ids.tolist() == reference.gt_instances.instances_ids.tolist()


def test_a_training_ends_when_nothing_more_is_wanted(tmp_path, monkeypatch) -> None:
    seen: list[int] = []

    class Runner:
        def __init__(self) -> None:
            self.hooks = []

        def register_hook(self, hook) -> None:
            self.hooks.append(hook)

        def train(self) -> None:
            for index in range(10):
                for hook in self.hooks:
                    hook.after_train_iter(self, index)

    monkeypatch.setattr(short_training.Runner, 'from_cfg', lambda config: Runner())
    config = short_training.training_config(10, tmp_path)
    short_training.train(config, lambda done: seen.append(done) or done < 4)
    assert seen == [1, 2, 3, 4]


def test_it_ends_with_the_process_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def is_alive(self) -> bool:
            return False

    leaky = Leaky(0)
    monkeypatch.setattr(growth, '_build', lambda task: leaky)
    monkeypatch.setattr(growth, 'parent_process', Gone)
    task = growth.Task('masktrack', 'torch', 120, 20, 60, None, (64, 40), 1)
    assert growth.measure(task).frames == 0
