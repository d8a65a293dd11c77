"""Hand results to the VOT toolkit: a workspace that its `vot analysis` command can score.

The toolkit is a separate program under the GPL; it is neither imported nor needed here, only files
are exchanged.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from mmvos.io.atomic import make_folder, output_errors, write_text
from mmvos.io.errors import DataError

from .intervals import INTERVALS
from .scores import RESTART_AFTER

_CONFIG = 'registry:\n- ./trackers.ini\nsequences: sequences\nstack: stack.yaml\n'
_TRACKER = '[{name}]\nlabel = {name}\nprotocol = traxpython\ncommand = results_only\n'
_STACK = """title: VOT{year} baseline
experiments:
  baseline:
    type: supervised
    repetitions: 1
    skip_initialize: {restart}
    analyses:
      - type: supervised_average_ar
      - type: supervised_eao_score
        low: {low}
        high: {high}
"""


def export_workspace(
    results: Path, sequences: Path, workspace: Path, tracker: str, year: int = 2018
) -> None:
    """Write or extend a workspace.

    Args:
        results: folder with baseline/SEQUENCE/SEQUENCE_001.txt. sequences: the folder of sequences;
            linked into the workspace.
        tracker: its name in the toolkit: letters, digits, `_` and `-`. year: chooses the interval
            of EAO.
    Raises:
        DataError: no results, or a name that the toolkit would refuse.
    """
    if not re.fullmatch(r'[A-Za-z0-9_-]+', tracker):
        raise DataError(
            f'{tracker!r} is no name for a tracker in the toolkit; use letters, digits, _ and -.'
        )
    source = results / 'baseline'
    if not source.is_dir():
        raise DataError(f'{results} has no folder baseline; run the tracker first.')

    # The results under the tracker's name, and the sequences where the toolkit looks.
    make_folder(workspace)
    with output_errors(workspace):
        shutil.copytree(source, workspace / 'results' / tracker / 'baseline', dirs_exist_ok=True)
        link = workspace / 'sequences'
        if not link.exists():
            link.symlink_to(sequences.resolve(), target_is_directory=True)

    # What is measured, and with which interval of EAO.
    low, high = INTERVALS[year].toolkit
    write_text(workspace / 'config.yaml', _CONFIG)
    write_text(
        workspace / 'stack.yaml',
        _STACK.format(year=year, low=low, high=high, restart=RESTART_AFTER),
    )

    # The toolkit knows a tracker by its entry; the others stay.
    registry = workspace / 'trackers.ini'
    known = registry.read_text() if registry.is_file() else ''
    if f'[{tracker}]' not in known.splitlines():
        write_text(registry, known + _TRACKER.format(name=tracker))
