"""Segments one video, as ``mmvos segment`` does; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.segment import EXPECTED_ERRORS, main

if __name__ == '__main__':
    run_command('segment_video', main, *EXPECTED_ERRORS)
