"""Measures speed, as ``mmvos benchmark`` does; `--help` says what it takes."""

from mmvos.cli.benchmark import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('benchmark', main)
