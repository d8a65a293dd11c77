"""Makes a small data set of sample videos; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('make_sample_videos')
