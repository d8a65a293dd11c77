"""COCO with track ids to a YouTube-VIS annotation file; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('coco_to_youtube_vis')
