"""The benchmark of the studio: a user who knows the truth, on a model that follows colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('starlette', reason='mmvos[studio] is not installed')

from mmvos.benchmarks.studio import annotate, jaccard, most_wrong, serving
from tests.studio.stand_ins import FRAMES, follow_colors, object_mask, write_frames


def test_a_user_who_knows_the_truth_needs_few_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The truth is both rectangles from frame 1 on: the box of frame 0 finds one, a click adds the
    other, and the run carries it to all frames that come."""
    follow_colors(monkeypatch)
    frames = write_frames(tmp_path / 'clip')
    truth = [object_mask(t, 1) | object_mask(t, 2) for t in range(FRAMES)]
    truth[0] = object_mask(0, 1)
    with serving(frames, 'masktrack', None) as page:
        alone, outcome = annotate(page, truth, 0.9, 3, 5)
    assert alone.scores[0] == 1
    assert max(alone.scores[1:]) < 0.9
    assert min(outcome.scores) >= 0.9
    assert outcome.actions['box'] == 1
    assert outcome.actions == {'box': 1, 'run': 2, 'frame looked up': 1, 'click': 1}
    assert outcome.user_seconds == 5 + 2 * 2 + 5 + 3


def test_where_a_mask_is_most_wrong() -> None:
    truth = np.zeros((20, 30), bool)
    truth[5:15, 5:15] = True
    found = np.zeros((20, 30), bool)
    x, y, is_missing = most_wrong(found, truth)
    assert is_missing == 1 and 8 <= x <= 12 and 8 <= y <= 12
    found = truth.copy()
    found[0:4, 20:28] = True
    x, y, is_missing = most_wrong(found, truth)
    assert is_missing == 0 and 20 <= x <= 28 and 0 <= y <= 4
    assert jaccard(found, truth) == pytest.approx(100 / 132)
