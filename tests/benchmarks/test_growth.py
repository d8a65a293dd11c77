"""The benchmark of memory over long videos runs to its end, and sees what grows."""

from __future__ import annotations

import mmap

import pytest
from command import run_mmvos

from mmvos.benchmarks import growth
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


def test_it_ends_with_the_process_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def is_alive(self) -> bool:
            return False

    leaky = Leaky(0)
    monkeypatch.setattr(growth, '_build', lambda task: leaky)
    monkeypatch.setattr(growth, 'parent_process', Gone)
    task = growth.Task('masktrack', 'torch', 120, 20, 60, None, (64, 40), 1)
    assert growth.measure(task).frames == 0
