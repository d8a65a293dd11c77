"""Makes videos out of objects of a DAVIS-layout folder; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('compose_videos')
