"""Tests a model on a data set: ``python tools/test_video.py CONFIG CHECKPOINT --out OUT [--eval
segm|davis|youtube-vos|vot]``; in several processes ``tools/dist_test.sh``.

What it writes and how it goes on after a stop is said in mmvos.cli.test, where the command stands.
"""

from mmvos.cli.guard import run_command
from mmvos.cli.test import EXPECTED_ERRORS, KEPT_WHEN_STOPPED, main

if __name__ == '__main__':
    run_command('test_video', main, *EXPECTED_ERRORS, kept=KEPT_WHEN_STOPPED)
