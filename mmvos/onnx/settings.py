"""What stands beside the graphs of an exported model, in its ``model.json``."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.models.siammask.vote import MaskVote

FORMAT = 2  # of the folder; another one is refused
SETTINGS_FILE = 'model.json'


class GraphError(DataError):
    """A folder of graphs that cannot be used."""


@dataclass(frozen=True)
class MaskTrackSettings:
    """Sizes and constants of MaskTrack.

    Attributes:
        size: S.
        calm_size, idle_change, computed_objects: S of objects that move little, or None, when they
            are computed, and how many in a frame; see ``MaskPropagator``. Older exports lack the
            last two.
        levels: (C_i, h_i, w_i) of each level of a square of ``size``.
        key_channels: A.
        value_channels: V + 1.
        guide_channels: G; the second one holds clicks.
        context, box_change, box_prior, box_passes, min_area_ratio, search_growth: see
            ``MaskPropagator``.
    """

    size: int
    calm_size: int | None
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
    idle_change: float | None = None
    computed_objects: int | None = None


@dataclass(frozen=True)
class VoteSettings(MaskVote):
    """How several candidates give the mask (S2iamMask); see ``MaskVote``."""

    top_k: int
    iou_weight: float
    enlarge: float
    mask_threshold: float
    min_votes: int
    min_area: float


@dataclass(frozen=True)
class SiamMaskSettings:
    """Sizes and constants of SiamMask, and of S2iamMask on the same network.

    Attributes:
        channels: C.
        levels: (C_i, h_i, w_i) of what masks are refined from in a search window.
        search_size, mask_threshold, penalty, window_influence, size_rate, motion, lost_score,
            follow_mask, computed_objects: see ``SiameseTracker``. Older exports lack the last.
        vote: how candidates vote; None where the best one gives the mask.
    """

    channels: int
    levels: list[list[int]]
    search_size: int
    mask_threshold: float
    penalty: float
    window_influence: float
    size_rate: float
    motion: float
    lost_score: float
    follow_mask: bool | None
    vote: VoteSettings | None
    computed_objects: int | None = None


# Of each kind of tracker its settings.
TRACKERS: dict[str, type[MaskTrackSettings] | type[SiamMaskSettings]] = {
    'masktrack': MaskTrackSettings,
    'siammask': SiamMaskSettings,
}


@dataclass(frozen=True)
class Settings:
    """What a program must know of a model beside its graphs.

    Attributes:
        format: `FORMAT`.
        system: kind of the tracker, a key of `TRACKERS`.
        model: name of the config.
        weights: SHA-256 of the checkpoint that it was made of.
        precision: of the stored weights, 'float32' or 'float16'; graphs take and give
            float32.
        version: of mmvos.
        short_side, long_side: a picture is resized, its sides in proportion, to the largest size of
            which the shorter side is at most the one and the longer at most the other; None where
            it keeps its own size.
        mean, std: of the colors in the order of the channels; a network takes (x - mean) / std.
        rgb: whether the channels are red, green, blue; else blue, green, red.
        merge: see ``PromptedSegmenter``.
        tracker: sizes and constants of the system.
        files: SHA-256 of each file beside this one.
    """

    format: int
    system: str
    model: str
    weights: str
    precision: str
    version: str
    short_side: int | None
    long_side: int | None
    mean: list[float]
    std: list[float]
    rgb: bool
    merge: str
    tracker: Any
    files: dict[str, str]


def read_settings(path: Path) -> Settings:
    """Read the settings of an exported model.

    Args:
        path: the folder, or a file of settings in it.

    Raises:
        GraphError: there is none, or it is of another version; or a file is missing.
    """
    file = path if path.suffix == '.json' else path / SETTINGS_FILE
    if not file.is_file():
        raise GraphError(
            f'{file.parent} holds no exported model, there is no {file.name}; mmvos export makes '
            f'one: mmvos export masktrack (or siammask) --out {file.parent}'
        )
    content = read_json(file)
    found = content.get('format') if isinstance(content, dict) else None
    if found != FORMAT:
        remedy = 'export the model again with mmvos export'
        if isinstance(found, int) and found > FORMAT:
            remedy = 'it is of a newer mmvos: take that one, or export the model again with this'
        raise GraphError(
            f'{file} has format {found!r}, this version of mmvos takes {FORMAT}; {remedy}'
        )

    # Of this version, complete, of a system that is known.
    _check_names(Settings, content, file)
    system = content['system']
    if system not in TRACKERS:
        raise GraphError(
            f'{file} is of the system {system!r}; this version of mmvos takes '
            f'{" and ".join(TRACKERS)}'
        )
    kind = TRACKERS[system]
    tracker = dict(content['tracker'])
    _check_names(kind, tracker, file)
    vote = tracker.get('vote')
    if vote is not None:
        _check_names(VoteSettings, vote, file)
        tracker['vote'] = VoteSettings(**vote)
    settings = Settings(**{**content, 'tracker': kind(**tracker)})

    # With all its files; the graphs are those that it describes.
    for name, digest in settings.files.items():
        other = file.parent / name
        if not other.is_file():
            raise GraphError(f'{other} is missing; export the model again')
        if other.suffix == '.onnx' and hash_file(other) != digest:
            raise GraphError(f'{other} is not what {file.name} describes; export the model again')
    return settings


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as ``Settings.files`` has it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_names(kind: Any, content: Mapping[str, Any], file: Path) -> None:
    """Check that a part of the settings holds what it should.

    Raises:
        GraphError: it does not.
    """
    names = set()
    optional = set()
    for field in dataclasses.fields(kind):
        names.add(field.name)
        if field.default is not dataclasses.MISSING:
            optional.add(field.name)
    wrong_names = names ^ set(content)
    wrong_names -= optional - set(content)
    if wrong_names:
        wrong = sorted(wrong_names)[0]
        raise GraphError(f'{file} is damaged: {wrong!r} is missing or does not belong there')
