"""A YouTube-VIS annotation or results file to DAVIS label PNGs; `--help` says what it takes."""

from mmvos.cli.convert.youtube_vis_to_davis import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('youtube_vis_to_davis', main)
