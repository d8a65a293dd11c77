"""Makes videos out of objects of a DAVIS-layout folder; `--help` says what it takes."""

from mmvos.cli.compose import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('compose_videos', main)
