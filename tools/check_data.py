"""Says what is wrong in a data set, as ``mmvos check`` does; `--help` says what it takes."""

from mmvos.cli.check import EXPECTED_ERRORS, main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('check_data', main, *EXPECTED_ERRORS)
