"""Kills writers at their system calls, as kill -9, a power switch or the kernel's memory killer do.

A writer runs in a forked process with a profiler that sees every call of a built-in function (open,
write, flush, fsync, replace, close, unlink, mkdir); at the chosen one the process kills itself.
After that no final name may hold anything but a whole file, old or new; what was finished before
must still be there; and the writer, started again, must end with the files of a run that nobody
killed.

    python -m tests.robustness.kills --kills 400
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from .targets import (
    convert,
    labels,
    make_annotations,
    make_coco,
    make_cvat,
    make_davis,
    make_mots,
    quiet,
)

SYSTEM_CALLS = frozenset(
    (
        'open',
        'write',
        'writelines',
        'writestr',
        'flush',
        'close',
        'fsync',
        'replace',
        'rename',
        'link',
        'unlink',
        'remove',
        'rmdir',
        'mkdir',
        'truncate',
        'chmod',
        'symlink',
        'utime',
        'scandir',
    )
)
PARTIAL = '.partial'
_SECONDS = 60  # for one run of a writer


@dataclass(frozen=True)
class Writer:
    """What is killed.

    Attributes:
        write: writes files into a folder; the second argument, 0 or 1, chooses the content.
        prepare: makes inputs in another folder, the third argument of ``write``.
        sets_aside: finished files of the other content are renamed, not replaced.
    """

    write: Callable[[Path, int, Path], object]
    prepare: Callable[[Path], None] | None = None
    sets_aside: bool = False


# ---- the writers


def write_json(out: Path, which: int, source: Path) -> None:
    """A JSON file."""
    from mmvos.io import atomic

    atomic.write_json(out / 'a.json', [{'id': which}] * 3000)


def write_text(out: Path, which: int, source: Path) -> None:
    """A table and a page."""
    from mmvos.io import atomic

    atomic.write_text(out / 'a.csv', f'{which},2\n' * 5000)
    atomic.write_text(out / 'p.html', f'<p>{which}</p>\n' * 5000)


def write_checkpoint(out: Path, which: int, source: Path) -> None:
    """A checkpoint of mmengine, through its own functions."""
    import torch
    from mmengine.runner import save_checkpoint

    import mmvos.engine  # noqa: F401  replaces mmengine's backend
    from mmvos.io import atomic

    content = {'state_dict': {'a': torch.full((2000,), float(which))}, 'meta': {'epoch': which}}
    save_checkpoint(content, str(out / 'epoch_1.pth'))
    atomic.save_torch(out / 'published.pth', content)


def write_labels(out: Path, which: int, source: Path) -> None:
    """Label images and a picture."""
    from mmvos.io import atomic
    from mmvos.io.label_png import write_label_png

    for t in range(2):
        write_label_png(out / f'v/{t:05d}.png', labels(which + t))
    atomic.write_image(out / 'a.jpg', Image.fromarray(labels(which) * 80))


def write_results_json(out: Path, which: int, source: Path) -> None:
    """The results of one video, frame by frame."""
    from mmvos.apis.results_json import ResultsJson
    from mmvos.structures import FrameResult, TrackedObject, rle

    mask = rle.encode(labels(which) == 1)
    with ResultsJson(out / 'results.json', (1, 2)) as writer:
        for index in range(3):
            item = TrackedObject(1, which, 0.5, (0.0, 0.0, 5.0, 6.0), mask)
            picture = np.zeros((24, 32, 3), np.uint8)
            writer.write('', picture, FrameResult(index, (24, 32), (item,)))


def write_video_results(out: Path, which: int, source: Path) -> None:
    """The results of a test."""
    from mmvos.evaluation.youtube_vis.track_results import TrackResults

    with TrackResults(out / 'r', f'run {which}') as store:
        for video in (1, 2):
            if video not in store.finished:
                entry = dict(video_id=video, category_id=1, score=float(which), segmentations=[])
                store.append(video, [entry] * 20)
    with TrackResults(out / 'r', f'run {which}') as store:
        store.merge((1, 2))


def write_label_folders(out: Path, which: int, source: Path) -> None:
    """The label images of a test and their zip."""
    from mmvos.datasets import PromptedVideo
    from mmvos.datasets.mask_folders import MaskVideo
    from mmvos.evaluation.label_map_results import LabelMapResults
    from mmvos.structures import FrameResult, TrackedObject, rle

    with LabelMapResults(out / 'r', f'run {which}') as store:
        for number in (1, 2):
            frames = tuple(Path('frames', f'{t:05d}.jpg') for t in range(2))
            files = MaskVideo(f'v{number}', frames, (None, None))
            names = ('00000', '00001')
            video = PromptedVideo(number, f'v{number}', 2, names, files)
            results = []
            for t in range(2):
                mask = rle.encode(labels(which + t) == 1)
                item = TrackedObject(1, -1, 1.0, (0, 0, 1, 1), mask)
                results.append(FrameResult(t, (24, 32), (item,)))
            if number not in store.finished:
                store.keep(video, results)
        store.merge((1, 2))


def write_coco_to_vis(out: Path, which: int, source: Path) -> None:
    """A converted COCO file."""
    convert('coco_to_youtube_vis', source / f'{which}/c.json', out / 'o.json', checks=False)


def write_cvat_to_vis(out: Path, which: int, source: Path) -> None:
    """A converted CVAT file."""
    convert('cvat_to_youtube_vis', source / f'{which}/yard.xml', out / 'o.json', checks=False)


def write_mots_to_vis(out: Path, which: int, source: Path) -> None:
    """A converted MOTS file."""
    convert('mots_to_youtube_vis', source / f'{which}/v0/gt/gt.txt', out / 'o.json', checks=False)


def write_davis_to_vis(out: Path, which: int, source: Path) -> None:
    """A converted DAVIS folder."""
    convert('davis_to_youtube_vis', source / f'{which}', out / 'o.json', checks=False)


def write_vis_to_others(out: Path, which: int, source: Path) -> None:
    """A YouTube-VIS file as COCO, label images, MOTS, and split in two."""
    from mmvos.cli.convert import split_youtube_vis

    annotations = source / f'{which}/a.json'
    convert('youtube_vis_to_coco', annotations, out / 'c.json', checks=False)
    overlaps = ('--overlaps', 'smaller')
    convert('youtube_vis_to_davis', annotations, out / 'davis', *overlaps, checks=False)
    convert('youtube_vis_to_mots', annotations, out / 'mots', *overlaps, checks=False)
    split_youtube_vis.main([str(annotations), '--out', str(out / 'split'), '--fraction', '0.5'])


def two_of(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """An input and another one that differs in a word or in a pixel."""

    def prepare(folder: Path) -> None:
        for which in range(2):
            place = folder / str(which)
            place.mkdir(parents=True)
            make(place)
        other = folder / '1'
        for path in [*other.rglob('*.json'), *other.rglob('*.xml')]:
            text = path.read_text()
            for word in ('"cat"', '"car"'):
                text = text.replace(word, '"owl"')
            text = text.replace('>car<', '>owl<')
            path.write_text(text)
        for path in other.rglob('gt.txt'):
            path.write_text(''.join(path.read_text().splitlines(keepends=True)[:-1]))
        for path in sorted(other.rglob('*.png'))[:1]:
            image = Image.open(path)
            image.putpixel((0, 0), 1)
            image.save(path)

    return prepare


WRITERS: dict[str, Writer] = {
    'JSON': Writer(write_json),
    'texts': Writer(write_text),
    'checkpoints': Writer(write_checkpoint),
    'label images': Writer(write_labels),
    'results of a video': Writer(write_results_json),
    'results of a test': Writer(write_video_results, sets_aside=True),
    'label folders of a test': Writer(write_label_folders, sets_aside=True),
    'coco_to_youtube_vis': Writer(write_coco_to_vis, two_of(make_coco)),
    'cvat_to_youtube_vis': Writer(write_cvat_to_vis, two_of(make_cvat)),
    'mots_to_youtube_vis': Writer(write_mots_to_vis, two_of(make_mots)),
    'davis_to_youtube_vis': Writer(write_davis_to_vis, two_of(make_davis)),
    'out of YouTube-VIS': Writer(write_vis_to_others, two_of(make_annotations)),
}


# ---- the kills


class _KillAtCall:
    """A profiler that counts system calls and kills the process at one of them."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ('c_call', 'c_return') or argument.__name__ not in SYSTEM_CALLS:
            return
        self.calls += 1
        if self.calls == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def _run(writer: Writer, out: Path, which: int, source: Path, last: int, pipe: Any) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    warnings.simplefilter('ignore')
    # The one of tqdm is shared by processes, so whoever is killed inside would hold it for ever.
    tqdm.set_lock(threading.RLock())
    profiler = _KillAtCall(last)
    sys.setprofile(profiler)
    try:
        writer.write(out, which, source)
        sys.setprofile(None)
        pipe.send(profiler.calls)
    except BaseException as error:
        sys.setprofile(None)
        pipe.send(f'{type(error).__name__}: {error}')
    finally:
        os._exit(0)


def run(writer: Writer, out: Path, which: int, source: Path, last: int = 0) -> int | str | None:
    """Run a writer in a process of its own.

    Args:
        writer: what runs.
        out: where it writes.
        which: 0 or 1, the content.
        source: its inputs.
        last: the call, counted from 1, at which it is killed; 0 for none.

    Returns:
        The number of calls, what it raised, or None where it was killed.
    """
    context = get_context('fork')
    ours, theirs = context.Pipe(duplex=False)
    arguments = (writer, out, which, source, last, theirs)
    process = context.Process(target=_run, args=arguments)
    process.start()
    theirs.close()
    answer = None
    with suppress(EOFError):  # it was killed
        answer = ours.recv() if ours.poll(_SECONDS) else f'hangs for {_SECONDS} seconds'
    process.kill()
    process.join()
    return answer


def files_of(folder: Path) -> dict[str, bytes]:
    """The contents of all files with a final name, by path."""
    found = {}
    for path in sorted(folder.rglob('*')):
        name = path.relative_to(folder).as_posix()
        is_partial = PARTIAL in name or '.mmvos' in name or name.endswith('.run.json')
        if path.is_file() and not is_partial:
            found[name] = path.read_bytes()
    return found


def faults_after_kill(
    before: dict[str, bytes], whole: dict[str, bytes], found: dict[str, bytes], aside: bool
) -> list[str]:
    """What is wrong with the final names after a kill.

    Args:
        before: files that were there.
        whole: files of a run that was not killed.
        found: files after the kill.
        aside: files that were there may have other names.
    """
    faults = []
    known = set(before.values())
    for name, content in found.items():
        is_set_aside = aside and '.earlier' in name and content in known
        is_whole = content in (before.get(name), whole.get(name))
        if not is_set_aside and not is_whole:
            faults.append(f'{name} is neither the old nor the new file ({len(content)} bytes)')
    for name, content in before.items():
        kept = set(found.values()) if aside else {found.get(name)}
        if content not in kept and found.get(name) != whole.get(name):
            faults.append(f'{name}, which was there, is lost')
    return faults


def kill_writer(name: str, kills: int, scratch: Path) -> tuple[int, list[str]]:
    """Kill a writer at calls that lie evenly over its run, in an empty folder and in one that holds
    files of another content.

    Returns:
        Number of kills, and the faults found.
    """
    writer = WRITERS[name]
    source = scratch / 'source'
    source.mkdir(parents=True)
    (scratch / 'imports').mkdir()
    if writer.prepare is not None:
        writer.prepare(source)
    # Once in this process, so that no fork has to import what the writer imports.
    tqdm.monitor_interval = 0  # no thread: its lock would be held for ever in a fork
    with quiet():
        writer.write(scratch / 'imports', 0, source)
    done, faults = 0, []
    for is_empty in (True, False):
        old = scratch / f'old {is_empty}'
        old.mkdir()
        if not is_empty:
            run(writer, old, 0, source)
        reference = scratch / f'whole {is_empty}'
        shutil.copytree(old, reference)
        calls = run(writer, reference, 1, source)
        if not isinstance(calls, int) or not files_of(reference):
            return done, [f'{name} does not run: {calls}']
        before, whole = files_of(old), files_of(reference)
        chosen = np.unique(np.linspace(1, calls, max(1, kills // 2)).astype(int))
        for last in chosen:
            out = scratch / 'out'
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(old, out)
            if run(writer, out, 1, source, int(last)) is not None:
                continue  # the run differs by a call or two
            done += 1
            where = f'{name}, killed at call {last} of {calls}, folder empty: {is_empty}'
            found = files_of(out)
            for fault in faults_after_kill(before, whole, found, writer.sets_aside):
                faults.append(f'{where}: {fault}')
            again = run(writer, out, 1, source)
            if isinstance(again, str):
                faults.append(f'{where}: started again it ends in {again}')
            elif files_of(out) != whole:
                faults.append(f'{where}: started again it makes other files')
    return done, faults


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill all writers and print a table; exit status 1 with faults."""
    from .fuzz import warm_up

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=400, help='over all writers')
    parser.add_argument('--writer', action='append', choices=sorted(WRITERS))
    args = parser.parse_args(arguments)
    warm_up()
    names = args.writer or list(WRITERS)
    total, every = 0, []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            done, faults = kill_writer(name, args.kills // len(names), Path(folder))
        total += done
        every += faults
        print(f'{name:28} {done:4} kills, {len(faults):3} faults', flush=True)
        for fault in faults[:5]:
            print(f'    {fault}', flush=True)
    print(json.dumps({'kills': total, 'faults': len(every)}))
    sys.exit(bool(every))


if __name__ == '__main__':
    main()
