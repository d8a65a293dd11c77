"""Says whether this machine can run mmvos, as ``python -m mmvos.check_env`` does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Print the report; exit with 1 where something needs a remedy."""
    parser = argparse.ArgumentParser(
        description='Says what this machine has, and how to mend what is missing or wrong.'
    )
    parser.parse_args(argv)

    from mmvos import check_env

    sys.exit(check_env.main())
