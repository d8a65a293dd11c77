"""The models that come with the project, by name: their configs, and the weights that are shipped
with them.

A model's name is the stem of its config in ``configs/FOLDER/``; the part with the training's
settings (``_4xb8-12e``) may be left out. Which weights belong to a config stands in the
``metafile.yml`` beside it, as ``Weights:``, a path from the top of the project or a URL. Configs
are found in a checkout and in the ``.mim`` folder of an installed package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_TRAINING_SETTINGS = re.compile(r'_\d+xb\d+(-[0-9a-z]+)*')
_CLOSE = 4  # names in a message


@dataclass(frozen=True)
class ShippedModel:
    """A config of the project.

    Attributes:
        name: the config's stem.
        config: its path.
        weights: path or URL of the weights that its metafile names; None where none are shipped.
            The file may be missing.
    """

    name: str
    config: Path
    weights: str | None

    @property
    def short_name(self) -> str:
        """The name without the training's settings."""
        return _TRAINING_SETTINGS.sub('', self.name)

    @property
    def weights_are_here(self) -> bool:
        """Whether the weights can be read; a URL counts as readable."""
        return self.weights is not None and ('://' in self.weights or Path(self.weights).is_file())


def project_root(package: Path = _PACKAGE) -> Path:
    """Find the folder that holds ``configs``: that of the checkout, else ``.mim`` of the installed
    package.

    Args:
        package: folder of the package mmvos.

    Raises:
        FileNotFoundError: neither is there.
    """
    for root in (package.parent, package / '.mim'):
        if (root / 'configs').is_dir() and (root / 'model-index.yml').is_file():
            return root
    raise FileNotFoundError(
        f'the configs of mmvos are neither beside {package} nor in its folder .mim; install mmvos '
        f'from a checkout or from a wheel, or give the path of a config'
    )


def shipped_models(root: Path) -> dict[str, ShippedModel]:
    """Find all models by name.

    Args:
        root: the folder that holds ``configs``.
    """
    import yaml  # only where a name is looked up

    # libyaml reads them in a tenth of the time of PyYAML's own code, which is half a second.
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    weights: dict[str, str] = {}
    for metafile in sorted(root.glob('configs/*/metafile.yml')):
        text = metafile.read_text(encoding='utf-8')
        for model in yaml.load(text, Loader=loader)['Models']:
            given = model.get('Weights')
            if given:
                weights[model['Name']] = given if '://' in given else str(root / given)

    models = {}
    for path in sorted(root.glob('configs/*/*.py')):
        # _base_ holds parts of configs.
        if not path.parent.name.startswith('_'):
            models[path.stem] = ShippedModel(path.stem, path, weights.get(path.stem))
    return models


def find_model(name: str, models: Mapping[str, ShippedModel]) -> ShippedModel:
    """Find the model of a name, in full or without the training's settings.

    Raises:
        ValueError: no model, or more than one, has this name; the message lists close ones.
    """
    if name in models:
        return models[name]
    matches = [model for model in models.values() if model.short_name == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(
            f'the name {name!r} is that of several models: '
            f'{", ".join(model.name for model in matches)}; give one of these'
        )
    close = _close_names(name, models)
    listed = f'the models are {", ".join(models)}'
    if close:
        listed = f'close to it are {", ".join(close)}'
    raise ValueError(f'there is no model or config {name!r}; {listed}')


def _close_names(name: str, models: Mapping[str, ShippedModel]) -> list[str]:
    """Names of models that may have been meant, the most likely first."""
    # Both forms of a name are compared, so a model may be found twice.
    names: dict[str, str] = {}
    for model in models.values():
        names[model.short_name] = model.name
        names[model.name] = model.name
    aliases = get_close_matches(name, names, 2 * _CLOSE, 0.5)
    close = list(dict.fromkeys(names[alias] for alias in aliases))
    if not close and name:
        # The method, e.g. 'siammask' of 'siammask_r18'.
        method = name.split('_')[0].split('-')[0]
        close = [other for other in models if method in other]
    return close[:_CLOSE]


def model_of_config(path: str | Path, models: Mapping[str, ShippedModel]) -> ShippedModel | None:
    """Find the shipped model whose config this file is.

    Returns:
        The model; None for a config of one's own.
    """
    path = Path(path)
    model = models.get(path.stem)
    if model is None or not path.exists() or not path.samefile(model.config):
        return None
    return model
