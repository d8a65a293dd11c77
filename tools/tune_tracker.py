"""Searches a tracker's settings, as ``mmvos tune`` does; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.tune import EXPECTED_ERRORS, KEPT_WHEN_STOPPED, main

if __name__ == '__main__':
    run_command('tune_tracker', main, *EXPECTED_ERRORS, kept=KEPT_WHEN_STOPPED)
