"""COCO with track ids to a YouTube-VIS annotation file; `--help` says what it takes."""

from mmvos.cli.convert.coco_to_youtube_vis import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('coco_to_youtube_vis', main)
