"""GraphSet: the graphs of one exported model, with what stands beside them in its ``model.json``.

A folder holds ``model.json`` (`Settings`), three graphs, and their weights where they are not
inside them. K objects, M remembered frames, S x S a square, G guide channels, C_i x h_i x w_i level
i, A and V the lengths of keys and values, N = h x w of the coarsest level; all float32:

    encode    images (K,3,S,S), guides (K,G,S,S)               -> level0 .. level3 (K,C_i,h_i,w_i)
    segment   level0 .. level3, guides, keys (K,M,A,N),
              values (K,M,V+1,N), shares (K,M)                 -> probabilities (K,h_0,w_0)
    remember  top (K,C_3,h_3,w_3), masks (K,1,S,S)             -> keys (K,A,N), values (K,V+1,N)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json

from .engines import Engine, MissingEngineError, open_engine
from .half_weights import complete_folder

FORMAT = 1  # of the folder; another one is refused
SETTINGS_FILE = 'model.json'
GRAPHS = ('encode', 'segment', 'remember')
SHIPPED = Path(__file__).parent / 'masktrack'


class GraphError(DataError):
    """A folder of graphs that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What a program must know of a model beside its graphs.

    Attributes:
        format: `FORMAT`.
        model: name of the config.
        weights: SHA-256 of the checkpoint that it was made of.
        precision: of the stored weights, 'float32' or 'float16'; graphs take and give
            float32.
        version: of mmvos.
        size: S.
        short_side, long_side: a picture is resized, its sides in proportion, to the largest size of
            which the shorter side is at most the one and the longer at most the other.
        mean, std: of the colors in the order of the channels; a network takes (x - mean) / std.
        rgb: whether the channels are red, green, blue; else blue, green, red.
        levels: (C_i, h_i, w_i) of each level.
        key_channels: A.
        value_channels: V + 1.
        guide_channels: G; the second one holds clicks.
        context, box_change, box_prior, box_passes, min_area_ratio, search_growth: see
            ``MaskPropagator``.
        merge: see ``PromptedSegmenter``.
        files: SHA-256 of each file beside this one.
    """

    format: int
    model: str
    weights: str
    precision: str
    version: str
    size: int
    short_side: int
    long_side: int
    mean: list[float]
    std: list[float]
    rgb: bool
    levels: list[list[int]]
    key_channels: int
    value_channels: int
    guide_channels: int
    context: float
    box_change: float
    box_prior: float
    box_passes: int
    min_area_ratio: float
    search_growth: float
    merge: str
    files: dict[str, str]


class GraphSet:
    """The graphs of a folder, ready to compute.

    Args:
        folder: what ``mmvos export`` has written; by default the model that comes with mmvos.
        engine: 'onnxruntime' or 'openvino'.
        threads: of the engine; by default OMP_NUM_THREADS, else one per core.

    Attributes:
        settings: of the model.

    Raises:
        GraphError: the folder holds no such model, one of another version, or a damaged one.
        MissingEngineError: the engine is not installed.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        engine: str = 'onnxruntime',
        threads: int | None = None,
    ) -> None:
        self.folder = SHIPPED if folder is None else Path(folder)
        self.settings = read_settings(self.folder)
        self._engines: dict[str, Engine] = {}
        # Graphs of half precision are opened from a folder with whole weights.
        with complete_folder(self.folder, self.settings.precision) as complete:
            for name in GRAPHS:
                path = complete / f'{name}.onnx'
                self._engines[name] = self._open(path, engine, threads)

    def _open(self, path: Path, engine: str, threads: int | None) -> Engine:
        """Open one graph.

        Raises:
            GraphError: the engine cannot read it.
        """
        try:
            return open_engine(path, engine, threads)
        except MissingEngineError:
            raise
        except Exception as error:  # each engine raises kinds of its own
            reason = str(error).splitlines()[0]
            place = self.folder / path.name
            raise GraphError(f'{place} cannot be read by {engine}: {reason}') from error

    def run(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[Any]]:
        """Compute a graph.

        Args:
            name: of `GRAPHS`.
            inputs: by their names; see the head of this file.

        Returns:
            The outputs in their order.
        """
        return self._engines[name].run(inputs)


def read_settings(folder: Path) -> Settings:
    """Read a folder's ``model.json``.

    Raises:
        GraphError: there is none, or it is of another version; or a file is missing.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        raise GraphError(
            f'{folder} holds no exported model, there is no {SETTINGS_FILE}; make one with '
            f'mmvos export masktrack --out {folder}'
        )
    content = read_json(path)
    found = content.get('format') if isinstance(content, dict) else None
    if found != FORMAT:
        raise GraphError(
            f'{path} has format {found!r}, this version of mmvos takes {FORMAT}; export the model '
            f'again with mmvos export'
        )

    # Of this version, complete, and with all its files.
    names = {field.name for field in dataclasses.fields(Settings)}
    if set(content) != names:
        wrong = sorted(names ^ set(content))[0]
        raise GraphError(f'{path} is damaged: {wrong!r} is missing or does not belong there')
    settings = Settings(**content)
    for name in settings.files:
        if not (folder / name).is_file():
            raise GraphError(f'{folder / name} is missing; export the model again')
    return settings
