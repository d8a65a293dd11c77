"""A YouTube-VOS folder to a YouTube-VIS annotation file; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('youtube_vos_to_youtube_vis')
