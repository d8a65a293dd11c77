"""A YouTube-VIS annotation or results file to MOTS text files; `--help` says what it takes."""

from mmvos.cli.convert.youtube_vis_to_mots import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('youtube_vis_to_mots', main)
