"""Lists the systems: what each is given, and which of them have weights here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmvos.apis.systems import SYSTEMS


def list_systems() -> str:
    """Write a paragraph for each system: config, accepted prompts, weights or how to get them."""
    from mmvos.apis.model_loading import load_config, shipped_weights

    lines = []
    for name, system in SYSTEMS.items():
        prompts = ' or '.join(system.accepted_prompts)
        prompts = prompts or 'nothing, it finds the objects of its classes'
        lines.append(f'{name} ({system.title}): {system.model}; is told {prompts}')
        # Some weights come with the project; of others a message says how to get them.
        try:
            weights = shipped_weights(load_config(name))
        except (FileNotFoundError, ValueError) as error:
            lines.append(f'  {error}')
        else:
            lines.append(f'  weights: {Path(weights).name}, comes with the project')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the list."""
    parser = argparse.ArgumentParser(
        description='Lists the systems, what each is given, and how to get its weights.'
    )
    parser.parse_args(argv)
    print(list_systems())
