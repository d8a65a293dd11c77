"""A YouTube-VIS annotation or results file to COCO with track ids; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('youtube_vis_to_coco')
