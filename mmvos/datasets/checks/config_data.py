"""Finds the data sets that a config trains, validates and tests on, and checks all of them and that
they agree.

Wrappers (``ConcatDataset``, ``RepeatDataset``, the sources of pairs) are looked into. A data set is
checked once, however often the config names it. The classes of the data sets, the size of the heads
and the files of the evaluators are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .coco_data import check_coco
from .findings import Findings
from .mask_folder_data import check_mask_folder
from .youtube_vis_data import check_youtube_vis

if TYPE_CHECKING:
    from mmengine.config import Config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_VIDEOS = ('YouTubeVISDataset',)
# with the names of the version before, which a user's config may have
_FOLDERS = ('MaskVideoDataset', 'MaskClipDataset', 'MaskFolderPairs', 'FolderPairs')
_STILLS = ('ImageClipDataset', 'ImagePairs', 'StaticClipDataset', 'StillPairs')
_HEADS = ('bbox_head', 'mask_head')
Classes = dict[str, tuple[str, ...]]


def check_config(config: Config, images: bool) -> tuple[list[Findings], Classes]:
    """Check every data set of a config.

    Args:
        images: open every frame and label image.
    Returns:
        Findings per data set and of the config as a whole, and the classes by the name of the data
        set that has them.
    """
    whole = Findings(str(config.filename))
    found: list[Findings] = []
    classes: Classes = {}
    checked: dict[str, str] = {}
    for loader in LOADERS:
        if config.get(loader) is None:
            continue
        entries = list(_datasets(config[loader].get('dataset')))
        if not entries:
            whole.note('a loader has no data set that can be checked', loader)
        for entry in entries:
            key = repr(
                sorted((name, value) for name, value in _plain(entry).items() if name != 'pipeline')
            )
            title = f'{loader}, {_kind(entry)}'
            if key in checked:
                found[list(checked).index(key)].title = f'{checked[key]}, {loader}'
                continue
            checked[key] = title
            found.append(Findings(title))
            names = _check(entry, found[-1], images)
            if names is not None:
                classes[title] = names
    _compare(classes, config, whole)
    _check_evaluators(config, whole)
    return [*found, *([whole] if whole.kinds else [])], classes


def compare_classes(
    classes: Sequence[str], other: Sequence[str], findings: Findings, name: str, other_name: str
) -> None:
    """Report classes that are not the same or not in the same order.

    Args:
        classes, other: names in the order of their labels.
        findings: takes the report.
        name, other_name: what the two are called in it.
    """
    if tuple(classes) == tuple(other):
        return
    if set(classes) == set(other):
        place = next(place for place, (one, two) in enumerate(zip(classes, other)) if one != two)
        findings.error(
            'classes have another order',
            f'label {place} is {other[place]!r} in {other_name} and {classes[place]!r} in {name}; '
            'set metainfo.classes to one order',
        )
    else:
        findings.error(
            'classes differ', f'{other_name} has {_some(other)}; {name} has {_some(classes)}'
        )


def _some(names: Sequence[str]) -> str:
    return f'{len(names)} ({", ".join(names[:5])}{", ..." if len(names) > 5 else ""})'


def _datasets(entry: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the configs of the data sets inside of one, those of wrappers' parts included."""
    if isinstance(entry, Mapping):
        if _kind(entry) in (*_VIDEOS, *_FOLDERS, *_STILLS):
            yield entry
        elif _kind(entry) == 'YouTubeVISPairs':
            yield dict(entry['dataset'], type='mmvos.YouTubeVISDataset')
        else:
            for key in ('dataset', 'datasets', 'sources'):
                yield from _datasets(entry.get(key))
    elif isinstance(entry, (list, tuple)):
        for item in entry:
            yield from _datasets(item)


def _kind(entry: Mapping[str, Any]) -> str:
    kind = entry.get('type', '')
    return kind.rsplit('.', 1)[-1] if isinstance(kind, str) else kind.__name__


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    return entry.to_dict() if hasattr(entry, 'to_dict') else dict(entry)


def _check(entry: Mapping[str, Any], findings: Findings, images: bool) -> tuple[str, ...] | None:
    root = Path(entry.get('data_root') or '')
    if _kind(entry) in _FOLDERS:
        layout = (
            entry.get('layout', 'davis') if _kind(entry) == 'MaskVideoDataset' else 'youtube-vos'
        )
        check_mask_folder(root, findings, entry.get('split'), layout, images)
        return None
    path = root / entry['ann_file']
    frames = root / (entry.get('data_prefix') or {}).get('img_path', '')
    if _kind(entry) in _STILLS:
        check_coco(path, findings, frames, images)
        return None
    needs_truth = not entry.get('test_mode')
    classes = (entry.get('metainfo') or {}).get('classes')
    return check_youtube_vis(path, findings, frames, images, needs_truth, classes)


def _compare(classes: Classes, config: Config, findings: Findings) -> None:
    """Compare the classes of the data sets with the first one's, and with the model's heads."""
    if not classes:
        return
    first, *others = classes
    for title in others:
        compare_classes(classes[first], classes[title], findings, first, title)
    for place, number in _head_sizes(config.get('model')):
        if number != len(classes[first]):
            findings.error(
                'a head has another number of classes',
                f'{place}.num_classes is {number}, the data has {_some(classes[first])}',
            )


def _head_sizes(entry: Any, place: str = 'model') -> Iterator[tuple[str, int]]:
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            if (
                key in _HEADS
                and isinstance(value, Mapping)
                and isinstance(value.get('num_classes'), int)
            ):
                yield f'{place}.{key}', value['num_classes']
            else:
                yield from _head_sizes(value, f'{place}.{key}')


def _check_evaluators(config: Config, findings: Findings) -> None:
    for key in ('val_evaluator', 'test_evaluator'):
        entries = config.get(key) or []
        for entry in entries if isinstance(entries, (list, tuple)) else [entries]:
            for name in ('ann_file', 'ground_truth'):
                path = entry.get(name)
                if isinstance(path, str) and not Path(path).exists():
                    findings.error(
                        'the ground truth of an evaluator does not exist', f'{key}.{name}: {path}'
                    )
