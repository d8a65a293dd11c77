"""GraphSet: the graphs of one exported model, with what stands beside them in its ``model.json``.

A folder holds ``model.json`` (`Settings`), three graphs, and their weights where they are not
inside them. K objects, all arrays are float32 where nothing else is said.

MaskTrack: M remembered frames, S x S a square, G guide channels, C_i x h_i x w_i level i, A and V
the lengths of keys and values, N = h x w of the coarsest level of a remembered frame. K, M, N and
S, a multiple of the coarsest stride, are free:

    encode    images (K,3,S,S), guides (K,G,S,S)               -> level0 .. level3 (K,C_i,h_i,w_i)
    segment   level0 .. level3, guides, keys (K,M,A,N),
              values (K,M,V+1,N), shares (K,M)                 -> probabilities (K,h_0,w_0)
    remember  top (K,C_3,h_3,w_3), masks (K,1,S,S)             -> keys (K,A,N), values (K,V+1,N)

SiamMask: S x S a search window, C channels, m x m cells of it, C_i x h_i x w_i the levels (stem,
stage1, stage2) from which masks are refined, N anchors, P cells (window, row, column), int64:

    template  windows (K,3,127,127)                            -> kernels (K,3,C,5,5)
    search    windows (K,3,S,S), kernels (K,3,C,5,5)           -> scores (K,N), deltas (K,4,N),
                                                                  search (K,C,m,m), the levels
    refine    search, the levels, kernels, cells (P,3)         -> probabilities (P,127,127)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .engines import Engine, MissingEngineError, open_engine
from .half_weights import complete_folder
from .settings import GraphError, read_settings

GRAPHS = {
    'masktrack': ('encode', 'segment', 'remember'),
    'siammask': ('template', 'search', 'refine'),
}
# The models that come with mmvos; S2iamMask is other settings of SiamMask's graphs.
SHIPPED = {
    'masktrack': Path(__file__).parent / 'masktrack',
    'siammask': Path(__file__).parent / 'siammask',
    's2iammask': Path(__file__).parent / 'siammask' / 's2iammask.json',
}


class GraphSet:
    """The graphs of a folder, ready to compute.

    Args:
        path: the folder that ``mmvos export`` has written, or a file of settings in it; by default
            MaskTrack as it comes with mmvos.
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
        path: str | Path = SHIPPED['masktrack'],
        engine: str = 'onnxruntime',
        threads: int | None = None,
    ) -> None:
        path = Path(path)
        self.folder = path.parent if path.suffix == '.json' else path
        self.settings = read_settings(path)
        self._engines: dict[str, Engine] = {}
        # Graphs of half precision are opened from a folder with whole weights.
        with complete_folder(self.folder, self.settings.precision) as complete:
            for name in GRAPHS[self.settings.system]:
                file = complete / f'{name}.onnx'
                self._engines[name] = self._open(file, engine, threads)

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

    def run(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute a graph.

        Args:
            name: of `GRAPHS`.
            inputs: by their names; see the head of this file.

        Returns:
            The outputs in their order.
        """
        return self._engines[name].run(inputs)
