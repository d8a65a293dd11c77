"""Holds out a part of a YouTube-VIS training file; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('split_youtube_vis')
