"""What is said about each video of a run, found by the video's name in a folder:

    NAME/prompts.json, NAME.json    prompts, see ``prompt_files``
    NAME.png                        a label image of the first frame
    NAME/FRAME.png                  label images, each of the frame of its name
    NAME.json, NAME/FRAME.json      labelme files: of the first frame, or of the frame of their name

A frame of a video file is named by its number, 00000 or 0. In labelme files ``group_id`` is the
object; without any the shapes of a video's only file are objects 1, 2, ... in their order. A
rectangle is a box prompt, a shape with another area a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmvos.apis.object_prompt import ObjectPrompt, join_objects, split_objects
from mmvos.apis.prompt_files import read_mask_prompts, read_prompts
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.io.json_file import read_json
from mmvos.structures import Prompts

from .labelme_prompts import read_labelme_prompts
from .videos import Video

PROMPTS_JSON = 'prompts.json'


def find_prompts(folder: Path, video: Video) -> dict[int, Prompts]:
    """Read the prompts of a video; see the head of this file.

    Args:
        folder: of all prompts.
        video: its name is looked for, then its short name.

    Returns:
        The prompts by frame index, in the order of the frames.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    names = [video.name]
    if video.short_name and video.short_name != video.name:
        names.append(video.short_name)
    for name in names:
        inner = folder / name
        if (inner / PROMPTS_JSON).is_file():
            return read_prompts(inner / PROMPTS_JSON)
        if inner.is_dir() and (files := _files_of_frames(inner, video)):
            return _join_frames(files, video)
        file = folder / f'{name}.json'
        if file.is_file():
            content = read_json(file)
            # prompts.json is a list, a labelme file an object
            if isinstance(content, list):
                return read_prompts(file)
            objects = read_labelme_prompts(file, content, is_only=True)
            return _join_objects({0: objects}, str(file))
        file = folder / f'{name}.png'
        if file.is_file():
            return {0: read_mask_prompts(file)}
    looked = ', '.join(f'{name}.json, {name}.png, {name}/' for name in names)
    raise DataError(f'there are no prompts of {video.name} in {folder}: none of {looked}')


def _files_of_frames(folder: Path, video: Video) -> list[Path]:
    """The labelme files in a folder; without any its label images."""
    files = list_files(folder, ('.json',))
    is_video = video.path.is_dir() and folder.samefile(video.path)
    # images that are the frames themselves say nothing
    return files if files or is_video else list_files(folder, ('.png',))


def _join_frames(files: list[Path], video: Video) -> dict[int, Prompts]:
    """Read a file for each of several frames."""
    index_of = None
    if video.path.is_dir():
        index_of = {path.stem: index for index, path in enumerate(list_files(video.path))}
    objects_of: dict[int, dict[int, ObjectPrompt]] = {}
    for file in files:
        index = _frame_index(file, index_of)
        if index in objects_of:
            raise DataError(f'{file} is a second file for frame {index} of {video.name}; give one')
        if file.suffix.lower() == '.json':
            content = read_json(file)
            objects_of[index] = read_labelme_prompts(file, content, len(files) == 1)
        else:
            objects_of[index] = split_objects(read_mask_prompts(file))
    return _join_objects(objects_of, str(files[0].parent))


def _join_objects(
    objects_of: Mapping[int, Mapping[int, ObjectPrompt]], place: str
) -> dict[int, Prompts]:
    """Make the prompts of a video of the objects of each frame.

    Args:
        objects_of: by frame index, then by id.
        place: file or folder that they come from.

    Raises:
        DataError: there are none, or see `join_objects`.
    """
    by_frame = {}
    known: set[int] = set()
    for index, objects in sorted(objects_of.items()):
        if objects:
            by_frame[index] = join_objects(objects, known, f'{place}, frame {index}')
        known.update(objects)
    if not by_frame:
        raise DataError(f'{place} shows no object')
    return by_frame


def _frame_index(file: Path, index_of: Mapping[str, int] | None) -> int:
    """The frame that a file is named after.

    Args:
        file: its stem is the name.
        index_of: by the names of the frames; None of a video file, whose frames have numbers.
    """
    if index_of is not None and file.stem in index_of:
        return index_of[file.stem]
    if index_of is None and file.stem.isdecimal() and file.stem.isascii():
        return int(file.stem)
    raise DataError(f'{file} is named after no frame of the video; call it as the frame is called')
