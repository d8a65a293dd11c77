"""The picture of the worst frames: which frame, which order, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from colored_videos import write_split, write_videos

from mmvos.benchmarks.worst_frames import find_worst_frames
from mmvos.cli.benchmark import main
from mmvos.io.errors import DataError
from mmvos.io.label_png import read_label_png, write_label_png

FRAMES = 6


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    root = tmp_path / 'davis'
    write_videos(root, {'a': (FRAMES, {1: 0}), 'b': (FRAMES, {1: 0})}, folder='480p')
    write_split(root, '2016/val', ['a', 'b'])
    return root


def write_results(davis: Path, out: Path, faults: dict[tuple[str, int], float]) -> Path:
    """The truth as results, of which in some frames the lower share of the object is missing."""
    for name in ('a', 'b'):
        masks = sorted((davis / 'Annotations' / '480p' / name).iterdir())
        for index, path in enumerate(masks):
            labels = read_label_png(path)
            missing = faults.get((name, index), 0.0)
            rows = np.flatnonzero((labels > 0).any(axis=1))
            cut = rows[round(len(rows) * (1 - missing)) :]
            labels[cut] = 0
            (out / name).mkdir(parents=True, exist_ok=True)
            write_label_png(out / name / path.name, labels)
    return out


def test_worst_frames_of_the_first_results_come_first(davis: Path, tmp_path: Path) -> None:
    before = write_results(davis, tmp_path / 'before', {('a', 2): 0.25, ('b', 3): 0.5})
    after = write_results(davis, tmp_path / 'after', {('a', 1): 0.5, ('b', 3): 0.25})
    found = find_worst_frames(davis, [before, after], 2016, 'val')
    assert [(frame.sequence, frame.position) for frame in found] == [('b', 3), ('a', 2)]
    b, a = found
    assert b.j[0] == pytest.approx(0.5, abs=0.05)
    assert b.j[1] == pytest.approx(0.75, abs=0.05)
    assert a.j[0] == pytest.approx(0.75, abs=0.05)
    assert a.j[1] == 1


def test_picture_has_a_row_per_sequence_and_a_column_per_results(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = write_results(davis, tmp_path / 'before', {('b', 3): 1.0})
    after = write_results(davis, tmp_path / 'after', {})
    out = tmp_path / 'worst.png'
    main(['worst_frames', str(davis), str(before), str(after), '--out', str(out), '--width', '64'])
    assert 'b, frame 3: J 0.000, 1.000' in capsys.readouterr().out

    picture = cv2.imread(str(out))
    image = cv2.imread(str(davis / 'JPEGImages' / '480p' / 'b' / '00003.png'))
    height = round(image.shape[0] * 64 / image.shape[1])
    assert picture.shape == (2 * (22 + height), 2 * 64, 3)
    # the object is tinted in the second picture of the first row alone
    first = picture[22 : 22 + height, :64].astype(int)
    second = picture[22 : 22 + height, 64:].astype(int)
    assert np.abs(first - second).max() > 30


def test_faulty_options_and_results_end_in_a_sentence(davis: Path, tmp_path: Path) -> None:
    results = write_results(davis, tmp_path / 'results', {})
    words = ['worst_frames', str(davis), str(results)]
    with pytest.raises(DataError, match=r'must end in \.png or \.jpg'):
        main([*words, '--out', str(tmp_path / 'worst.gif')])
    with pytest.raises(DataError, match='at least 32'):
        main([*words, '--out', str(tmp_path / 'worst.png'), '--width', '0'])
    (davis / 'JPEGImages' / '480p' / 'a' / '00001.png').unlink()
    with pytest.raises(DataError, match='no image of frame 00001'):
        main([*words, '--out', str(tmp_path / 'worst.png')])
