"""Trains a model, as ``mmvos train`` does; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.train import EXPECTED_ERRORS, KEPT_WHEN_STOPPED, main

if __name__ == '__main__':
    run_command('train', main, *EXPECTED_ERRORS, kept=KEPT_WHEN_STOPPED)
