"""Says what is wrong in a data set before a training does; `--help` says what it takes."""

from mmvos.cli.check import run_check

if __name__ == '__main__':
    run_check()
