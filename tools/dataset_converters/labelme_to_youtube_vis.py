"""Folders of labelme files to a YouTube-VIS annotation file; `--help` says what it takes."""

from mmvos.cli.convert.labelme_to_youtube_vis import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('labelme_to_youtube_vis', main)
