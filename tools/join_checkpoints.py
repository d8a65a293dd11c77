"""Joins checkpoints, as ``mmvos weights join`` does; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.weights.join import EXPECTED_ERRORS, main

if __name__ == '__main__':
    run_command('join_checkpoints', main, *EXPECTED_ERRORS)
