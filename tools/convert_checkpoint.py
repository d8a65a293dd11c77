"""Converts published weights, as ``mmvos weights convert`` does; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.weights.convert import EXPECTED_ERRORS, main

if __name__ == '__main__':
    run_command('convert_checkpoint', main, *EXPECTED_ERRORS)
