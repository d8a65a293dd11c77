"""Label images of a test run: OUT/VIDEO/FRAME.png, and OUT.zip in the layout of a server."""

from __future__ import annotations

import itertools
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvos.io.atomic import atomic_path, make_folder, remove_leftovers
from mmvos.io.errors import DataError
from mmvos.io.label_png import LabelImageError, as_labels, write_label_png
from mmvos.structures import FrameResult

from .resumable_results import Entry, ResumableFiles, beside

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: equal results give equal bytes


class LabelMapResults(ResumableFiles):
    """Label images ``out/VIDEO/FRAME.png`` in DAVIS's palette, whose pixel values are the objects'
    ids.

    Args:
        out, run, made_by, videos: see ``ResumableResults``.
        folder_in_zip: where the videos stand in the zip, e.g. 'Annotations/'; at the top by
            default.
    """

    def __init__(
        self,
        out: str | Path,
        run: str,
        made_by: Mapping[str, str] | None = None,
        videos: Mapping[str, int] | None = None,
        folder_in_zip: str = '',
    ) -> None:
        super().__init__(out, run, made_by, videos)
        self.folder_in_zip = folder_in_zip

    def keep(self, video: Any, results: Iterable[FrameResult]) -> None:
        """Write the label image of each result as it comes, and keep the video as finished.

        Raises:
            DataError: the folder is that of the ground truth, or an id does not fit into a label
                image.
        """
        check_is_not_ground_truth(self.out, video)
        folder = self.staged(video.name)
        make_folder(folder)
        remove_leftovers(folder)

        # Each frame is written at once, so memory does not grow with the video.
        names = []
        for result in results:
            try:
                labels = as_labels(result.label_map())
            except LabelImageError as error:
                raise LabelImageError(f'video {video.name}: {error}.') from None
            name = f'{video.name}/{video.frame_names[result.frame_index]}.png'
            write_label_png(self.staged(name), labels)
            names.append(name)

        # From here on the video counts as finished.
        self._warn_of_others(video.name, names)
        self.append(video.id, self.entries(names))

    def merge(self, video_ids: Sequence[int]) -> tuple[Path, ...]:
        """Pack the label images of all videos, see ``collect``; returns ``out`` and ``out.zip``."""
        archive = beside(self.out, '.zip')

        def finish(videos: Sequence[Sequence[Entry]]) -> None:
            self._pack(archive, itertools.chain.from_iterable(videos))
            self.place(videos)

        self.collect(video_ids, finish)
        return self.out, archive

    def _warn_of_others(self, video_name: str, names: Sequence[str]) -> None:
        """Name label images that stand where the results will stand, and are none of them."""
        final = self.out / video_name
        own = {Path(name).name for name in names}
        others = {path.name for path in final.glob('*.png')} - own
        if others:
            warnings.warn(
                f'{final} still holds {len(others)} label images that this run did not write, '
                f'e.g. {min(others)}; remove them before scoring',
                stacklevel=3,
            )

    def _pack(self, path: Path, files: Iterable[Entry]) -> None:
        """Write the zip; PNGs do not become smaller, so they are stored as they are."""
        with atomic_path(path) as partial, zipfile.ZipFile(partial, 'w') as archive:
            for name, digest in files:
                found = self.find(name, digest)
                if found is None:
                    raise DataError(f'{self.staged(name)} has gone; start the test again')
                member = zipfile.ZipInfo(self.folder_in_zip + name, _FIXED_TIME)
                member.create_system = 3  # also on other systems
                member.external_attr = 0o644 << 16
                archive.writestr(member, found.read_bytes())


def check_is_not_ground_truth(out: Path, video: Any) -> None:
    """Refuse to write results of a video over its given label images.

    Args:
        out: the folder of the results.
        video: has a ``name`` and ``files.masks``, the paths of its label images or None.

    Raises:
        DataError: the folder is that of the ground truth.
    """
    folder = out / video.name
    if not folder.exists():
        return
    for path in video.files.masks:
        if path is not None and path.parent.samefile(folder):
            raise DataError(
                f'{folder} holds the given label images, which the results would overwrite; give '
                'another place for the results'
            )
