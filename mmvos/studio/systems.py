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
        models = {}
        missing = str(error)
    except ModuleNotFoundError as error:
        # an installation without torch, in which what comes as ONNX graphs works
        return _without_torch(error.name or 'torch')
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
        found.append(_row(name, is_here, remedy))
    return found


def _without_torch(missing: str) -> list[dict[str, Any]]:
    """The systems where only the engines of ONNX graphs are installed."""
    rows = []
    for name, system in SYSTEMS.items():
        remedy = ''
        if not system.has_graphs:
            remedy = f'{system.title} needs {missing}, which only the full set-up installs'
        rows.append(_row(name, system.has_graphs, remedy))
    return rows


def _row(name: str, is_here: bool, remedy: str) -> dict[str, Any]:
    system = SYSTEMS[name]
    return {
        'name': name,
        'title': system.title,
        'prompts': list(system.accepted_prompts),
        'available': is_here,
        'remedy': remedy,
    }
