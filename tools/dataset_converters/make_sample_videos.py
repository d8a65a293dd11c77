"""Makes a small data set of sample videos; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.sample_videos import main

if __name__ == '__main__':
    run_command('make_sample_videos', main)
