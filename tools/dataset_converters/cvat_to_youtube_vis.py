"""Videos annotated in CVAT to a YouTube-VIS annotation file; `--help` says what it takes."""

from mmvos.cli.convert.cvat_to_youtube_vis import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('cvat_to_youtube_vis', main)
