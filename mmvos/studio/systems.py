"""The systems that a page can choose from, and whether their weights are here."""

from __future__ import annotations

from typing import Any

from mmvos.apis.model_index import find_model, project_root, shipped_models
from mmvos.apis.systems import SYSTEMS, describe_recipes


def list_systems() -> list[dict[str, Any]]:
    """The ``systems`` of docs/studio.md; needs no torch."""
    found = []
    try:
        models = shipped_models(project_root())
    except OSError as error:
        models, missing = {}, str(error)
    else:
        missing = ''
    for name, system in SYSTEMS.items():
        remedy = ''
        try:
            model = find_model(system.model, models)
            is_file = model.weights is not None and '://' not in model.weights
            is_here = is_file and model.weights_are_here
            if not is_here:
                recipes = describe_recipes(system.model, f'{system.model}.py')
                remedy = f'{system.title} has no weights here; ways to get them:\n{recipes}'
        except ValueError as error:
            is_here = False
            remedy = missing or str(error)
        except ModuleNotFoundError as error:
            # an installation without torch: what comes as ONNX graphs works
            is_here = system.has_graphs
            if not is_here:
                remedy = f'{system.title} needs {error.name}, which is in the full set-up only'
        found.append(
            {
                'name': name,
                'title': system.title,
                'prompts': list(system.accepted_prompts),
                'available': is_here,
                'remedy': remedy,
            }
        )
    return found
