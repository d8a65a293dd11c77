"""The benchmark of speed beside other work runs to its end."""

from __future__ import annotations

import pytest
from command import run_mmvos


@pytest.mark.slow
def test_it_prints_a_row_for_each_way(tmp_path):
    """Three ways to wait, with one thread each, which need not wait: all keep most of their speed
    where a core is free.
    """
    words = ('--threads', '1', '--seconds', '0.3')
    done = run_mmvos('benchmark', 'busy', *words, folder=tmp_path)
    assert done.status == 0, done.output
    rows = [line.split('|')[1:-1] for line in done.output.splitlines() if '| 1 |' in line]
    assert len(rows) == 3
    for row in rows:
        alone, beside = (float(cell) for cell in row[2:4])
        assert alone > 0 and beside > 0
