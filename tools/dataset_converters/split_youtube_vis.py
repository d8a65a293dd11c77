"""Holds out a part of a YouTube-VIS training file; `--help` says what it takes."""

from mmvos.cli.convert.split_youtube_vis import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('split_youtube_vis', main)
