"""The systems of the toolbox by short names: which model each is, which prompts it accepts, and how
to get weights that are not shipped.

One row is all that a new system needs. Weights that are shipped stand as ``Weights:`` in the
``metafile.yml`` beside the config.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmvos.deprecation import accept_old_attributes, accept_old_names


@dataclass(frozen=True)
class WeightsRecipe:
    """A way to get weights.

    Attributes:
        name: what it is, in a word.
        commands: to be run one after the other at the top of the project.
        weights: the file that is then there.
    """

    name: str
    commands: tuple[str, ...]
    weights: str


@accept_old_attributes({'told': 'accepted_prompts', 'ways': 'recipes'})
@dataclass(frozen=True)
class System:
    """One row.

    Attributes:
        title: the system's name in prose.
        model: name of its config.
        accepted_prompts: the kinds of prompts, the usual one first; empty for a system that finds
            its objects by itself.
        recipes: how to get its weights, the shortest first.
        graphs: name of its shipped weights as ONNX graphs, which need no torch (`SHIPPED` of
            ``mmvos.onnx``); empty where there are none.
    """

    title: str
    model: str
    accepted_prompts: tuple[str, ...]
    recipes: tuple[WeightsRecipe, ...]
    graphs: str = ''

    @property
    def has_graphs(self) -> bool:
        """Whether its shipped weights are also there as ONNX graphs."""
        return bool(self.graphs)


_LITE = 'weights/masktrack_lite0.safetensors'
_RCNN_LITE = 'weights/masktrack-rcnn_lite0.safetensors'
_SIAM_LITE = 'weights/siammask_lite0.safetensors'


def _with_graphs(weights: str, graphs: str) -> WeightsRecipe:
    """The way to weights that are in the repository beside their graphs, to which a link leads."""
    command = f'git checkout -- weights mmvos/onnx/{graphs}'
    return WeightsRecipe('restore in a checkout', (command,), weights)


def _shipped(weights: str) -> WeightsRecipe:
    """The way to weights that are in the repository, and in no wheel."""
    return WeightsRecipe(
        'restore in a checkout (a wheel does not hold them)',
        (f'git checkout -- {weights}',),
        weights,
    )


SYSTEMS = {
    'masktrack-rcnn': System(
        'MaskTrack R-CNN',
        'masktrack-rcnn_lite0_fpn',
        (),
        (_shipped(_RCNN_LITE),),
    ),
    'masktrack': System(
        'MaskTrack',
        'masktrack_lite0',
        ('mask', 'box', 'points'),
        (_with_graphs(_LITE, 'masktrack'),),
        graphs='masktrack',
    ),
    'masktrack-box': System(
        'MaskTrack-Box',
        'masktrack-box_lite0',
        ('box', 'points', 'mask'),
        (_with_graphs(_LITE, 'masktrack'),),
        graphs='masktrack',
    ),
    'siammask': System(
        'SiamMask',
        'siammask-sharp_lite0',
        ('box', 'mask'),
        (_with_graphs(_SIAM_LITE, 'siammask'),),
        graphs='siammask',
    ),
    's2iammask': System(
        'S2iamMask',
        's2iammask_lite0',
        ('box', 'mask'),
        (_with_graphs(_SIAM_LITE, 'siammask'),),
        graphs='s2iammask',
    ),
    'parts': System(
        'Part tracking',
        'parts_lite0',
        ('mask', 'box', 'points'),
        (
            WeightsRecipe(
                'restore in a checkout (a wheel does not hold them)',
                ('git checkout -- weights',),
                'weights/parts_lite0.json',
            ),
        ),
    ),
}


def describe_recipes(model: str, config: str) -> str:
    """Say how to get the weights of a model: the recipes of its row, else its training.

    Args:
        model: name of its config.
        config: path of the config.

    Returns:
        A line for each recipe.
    """
    training = f'mmvos train {config}'
    recipes: tuple[WeightsRecipe, ...] = (
        WeightsRecipe('train', (training,), f'work_dirs/{model}/*.pth'),
    )
    for system in SYSTEMS.values():
        if system.model == model and system.recipes:
            recipes = system.recipes
            break
    lines = []
    for recipe in recipes:
        commands = ' && '.join(recipe.commands)
        lines.append(f'  {recipe.name}: {commands}  -> {recipe.weights}')
    return '\n'.join(lines)


__getattr__ = accept_old_names(__name__, {'Way': 'WeightsRecipe', 'how_to_get': 'describe_recipes'})
