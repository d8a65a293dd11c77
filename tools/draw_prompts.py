"""Makes a page on which boxes are drawn, as ``mmvos prompts`` does; `--help` says what it takes."""

from mmvos.cli.guard import run_command
from mmvos.cli.prompts import EXPECTED_ERRORS, main

if __name__ == '__main__':
    run_command('draw_prompts', main, *EXPECTED_ERRORS)
