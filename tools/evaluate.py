"""Scores results without a server: python tools/evaluate.py PROTOCOL --gt GT --results RESULTS

PROTOCOL is youtube-vis (also OVIS and own classes), davis, youtube-vos or vot; docs/evaluation.md
says what each one measures and which files it expects. Prints a table; --out writes all numbers as
JSON, --csv one row per object. The command itself stands in mmvos.cli.evaluate.
"""

from mmvos.cli.evaluate import main
from mmvos.cli.guard import run_command

if __name__ == '__main__':
    run_command('evaluate', main)
