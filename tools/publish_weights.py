"""Makes a checkpoint fit to be given away, as ``mmvos weights publish`` does; `--help` says what
it takes.
"""

from mmvos.cli.guard import run_command
from mmvos.cli.weights.publish import EXPECTED_ERRORS, main

if __name__ == '__main__':
    run_command('publish_weights', main, *EXPECTED_ERRORS)
