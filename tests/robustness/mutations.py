"""Damages a file as disks, downloads, hands and attackers do: bytes, values of JSON, attributes of
XML, lines of text, chunks of PNG. The same generator always makes the same damage.
"""

from __future__ import annotations

import copy
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LONE_SURROGATE = '\ud800'
NAMES = [
    '',
    '.',
    '..',
    '../../victim',
    '/victim',
    'C:\\victim',
    'a\\b',
    'a\0b',
    'x' * 300,
    'a\nb',
    LONE_SURROGATE,
    'é',
    '²',
    '04',
]
HUGE_NUMBERS = [2**31, 2**32, 2**63, 2**64, 10**30, 10**400, 6_000_000_000]
NUMBERS = [
    0,
    1,
    -1,
    2,
    255,
    256,
    65536,
    0.5,
    -0.0,
    1e-320,
    1e308,
    -1e308,
    float('nan'),
    float('inf'),
    float('-inf'),
    *HUGE_NUMBERS,
    *(-number for number in HUGE_NUMBERS),
]
OTHER_VALUES: list[Any] = [
    None,
    True,
    False,
    [],
    [0],
    [[]],
    [None],
    {},
    {'id': 1},
    {'size': [24, 32], 'counts': [768]},
    {'size': [24, 32], 'counts': [0, -5, 773]},
    {'size': [24, 32], 'counts': [2**31, 2**31, 2**32]},
    {'size': [10**6, 10**6], 'counts': [10**12]},
    {'size': [24, 32], 'counts': 'ooooooooooo'},
    {'size': None, 'counts': None},
    [[1, 2, 3, 4, 5, 6]],
    [[1, 2, 3, 4]],
    [[1e9] * 6],
    [[-1e9, 1e9] * 3],
    [[float('nan')] * 6],
]
TEXT_NUMBERS = [
    '',
    '-1',
    '0',
    '²',
    '٣',
    '1_000',
    '1e400',
    'nan',
    'inf',
    '-inf',
    '99999999999999999999',
    '9' * 5000,
    '0x10',
    '1.5',
    ' 1 ',
    '+1',
    'x',
]
_PNG_MARK = b'\x89PNG\r\n\x1a\n'
_NUMBER_IN_TEXT = re.compile(rb'-?[0-9][0-9.]*')


def damage(data: bytes, suffix: str, rng: random.Random) -> bytes:
    """Damage the content of a file.

    Args:
        data: the whole file.
        suffix: of its name, in lower case, which says what it holds.
        rng: all choices.
    """
    by_form = _BY_FORM.get(suffix)
    if by_form is not None and rng.random() < 0.75:
        return by_form(data, rng)
    return damage_bytes(data, rng)


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change, cut, insert or repeat bytes."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        place = rng.randrange(len(damaged) + 1)
        kind = rng.choice(['change', 'flip', 'cut', 'remove', 'insert', 'repeat', 'zero'])
        if kind == 'change':
            damaged[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 'flip' and place < len(damaged):
            damaged[place] ^= 1 << rng.randrange(8)
        elif kind == 'cut':
            del damaged[place:]
        elif kind == 'remove':
            del damaged[place : place + rng.choice([1, 4, 64])]
        elif kind == 'insert':
            damaged[place:place] = rng.randbytes(rng.choice([1, 4, 64]))
        elif kind == 'repeat':
            damaged[place:place] = damaged[: min(place, 4096)]
        elif kind == 'zero':
            count = min(rng.choice([4, 64, 512]), len(damaged) - place)
            damaged[place : place + count] = bytes(count)
    return bytes(damaged)


def damage_json(data: bytes, rng: random.Random) -> bytes:
    """Change values of a JSON file, or the way it is written."""
    content = json.loads(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        content = _change_value(content, rng)
    # json.dumps writes NaN, Infinity and lone surrogates (\\ud800) as many programs do
    text = json.dumps(content, ensure_ascii=rng.random() < 0.8)
    written = text.encode('utf-8', 'surrogatepass')
    if rng.random() < 0.05:
        way = rng.choice(['byte order mark', 'utf-16', 'deep', 'repeated', 'latin'])
        if way == 'byte order mark':
            written = b'\xef\xbb\xbf' + written
        elif way == 'utf-16':
            written = text.encode('utf-16', 'surrogatepass')
        elif way == 'deep':
            written = written.replace(b'1', b'[' * 5000 + b']' * 5000, 1)
        elif way == 'repeated':
            written = written.replace(b'{', b'{"id": 3, "id": 4, ', 1)
        elif way == 'latin':
            written = written.replace(b'a', b'\xe9', 3)
    return written


def _change_value(content: Any, rng: random.Random) -> Any:
    content = copy.deepcopy(content)
    every_place = list(_places(content))
    if not every_place or rng.random() < 0.02:
        return _new_value(content, rng)
    path = rng.choice(every_place)
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    kind = rng.random()
    if kind < 0.12:
        del holder[key]
    elif kind < 0.2 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind < 0.25:
        other = content
        for step in rng.choice(every_place):
            other = other[step]
        holder[key] = copy.deepcopy(other)
    else:
        holder[key] = _new_value(holder[key], rng)
    return content


def _new_value(value: Any, rng: random.Random) -> Any:
    """A value that is more often of the same kind than not: it gets further into a reader."""
    kind = rng.random()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and kind < 0.3:
        step = rng.choice([-1, 1, -0.5, 0.5, 100])
        return value + step if abs(value) < 1e9 else step
    if is_number and kind < 0.75:
        return rng.choice(NUMBERS)
    if isinstance(value, str) and kind < 0.35:
        place = rng.randrange(len(value) + 1)
        return value[:place] + chr(rng.randrange(1, 400)) + value[place + rng.randrange(2) :]
    if isinstance(value, str) and kind < 0.75:
        return rng.choice(NAMES + TEXT_NUMBERS)
    return copy.deepcopy(rng.choice([*NUMBERS, *NAMES, *OTHER_VALUES]))


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested lists and dicts."""
    entries: Any = ()
    if isinstance(content, dict):
        entries = content.items()
    elif isinstance(content, list):
        entries = enumerate(content)
    for key, value in entries:
        yield (*path, key)
        yield from _places(value, (*path, key))


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """Change numbers and lines of a text file."""
    kind = rng.random()
    numbers = list(_NUMBER_IN_TEXT.finditer(data))
    if numbers and kind < 0.6:
        found = rng.choice(numbers)
        new = rng.choice([*TEXT_NUMBERS, *map(str, NUMBERS[:15]), str(2**31), str(2**64)])
        return data[: found.start()] + new.encode() + data[found.end() :]
    lines = data.split(b'\n')
    place = rng.randrange(len(lines))
    if kind < 0.7:
        del lines[place]
    elif kind < 0.8:
        lines.insert(place, lines[place])
    elif kind < 0.9:
        name = rng.choice(NAMES).encode('utf-8', 'surrogatepass')
        lines[place] = name
    else:
        words = lines[place].split(b' ')
        words[rng.randrange(len(words))] = rng.choice(TEXT_NUMBERS).encode()
        lines[place] = b' '.join(words)
    return b'\n'.join(lines)


def damage_xml(data: bytes, rng: random.Random) -> bytes:
    """Change attributes, contents and elements of an XML file."""
    kind = rng.random()
    attributes = list(re.finditer(rb'(\w+)="([^"]*)"', data))
    texts = list(re.finditer(rb'>([^<>\n]+)<', data))
    if attributes and kind < 0.55:
        found = rng.choice(attributes)
        new = rng.choice([*TEXT_NUMBERS, '1e308', '-5', '1,2', '1,2;3', '1,2;3,4;nan,5', 'é'])
        return data[: found.start(2)] + new.encode() + data[found.end(2) :]
    if attributes and kind < 0.65:
        found = rng.choice(attributes)
        return data[: found.start()] + data[found.end() :]
    if texts and kind < 0.85:
        found = rng.choice(texts)
        new = rng.choice(TEXT_NUMBERS + ['..', '../victim', 'a/b'])
        return data[: found.start(1)] + new.encode() + data[found.end(1) :]
    elements = list(re.finditer(rb'<(\w+)[^>]*/>|<(\w+)[^>]*>[^<]*</\w+>', data))
    if elements:
        found = rng.choice(elements)
        if rng.random() < 0.5:
            return data[: found.start()] + data[found.end() :]
        return data[: found.end()] + found.group() + data[found.end() :]
    return damage_bytes(data, rng)


def damage_png(data: bytes, rng: random.Random) -> bytes:
    """Change chunks of a PNG: content, length, kind, order; their check sums are made right again,
    so that a reader does not stop there.
    """
    if not data.startswith(_PNG_MARK):
        return damage_bytes(data, rng)
    chunks = list(_png_chunks(data))
    place = rng.randrange(len(chunks))
    name, content = chunks[place]
    kind = rng.choice(['content', 'content', 'header', 'cut', 'drop', 'double', 'new', 'name'])
    if kind == 'content':
        chunks[place] = (name, damage_bytes(content, rng))
    elif kind == 'header':
        header = bytearray(chunks[0][1])
        if rng.random() < 0.5:
            header[rng.choice([0, 4]) : 8] = rng.choice([0, 1, 2**16, 2**31 - 1]).to_bytes(4, 'big')
        else:
            field = rng.randrange(8, 13)
            header[field] = rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
        chunks[0] = (chunks[0][0], bytes(header[:13]))
    elif kind == 'cut':
        chunks[place] = (name, content[: rng.randrange(len(content) + 1)])
    elif kind == 'drop':
        del chunks[place]
    elif kind == 'double':
        chunks.insert(place, chunks[rng.randrange(len(chunks))])
    elif kind == 'new':
        kinds = [b'acTL', b'fcTL', b'fdAT', b'tRNS', b'PLTE', b'gAMA', b'cHRM', b'pHYs', b'sRGB']
        kinds += [b'iCCP', b'zTXt', b'iTXt', b'tEXt', b'eXIf', b'IHDR', b'IDAT', b'IEND']
        new_content = rng.randbytes(rng.choice([0, 1, 3, 8, 26, 64]))
        if rng.random() < 0.1:
            new_content = b'k\0\0' + zlib.compress(bytes(2_000_000))
        chunks.insert(place, (rng.choice(kinds), new_content))
    else:
        chunks[place] = (rng.randbytes(4), content)
    return _PNG_MARK + b''.join(_png_chunk(*chunk) for chunk in chunks)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG_MARK)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], 'big')
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _png_chunk(name: bytes, content: bytes) -> bytes:
    check_sum = zlib.crc32(name + content)
    return len(content).to_bytes(4, 'big') + name + content + check_sum.to_bytes(4, 'big')


_BY_FORM: dict[str, Callable[[bytes, random.Random], bytes]] = {
    '.json': damage_json,
    '.txt': damage_text,
    '.ini': damage_text,
    '.xml': damage_xml,
    '.png': damage_png,
}


def damage_folder(folder: Path, names: list[str], rng: random.Random) -> list[str]:
    """Damage one or two files of an input in place; rarely remove, empty or rename one.

    Args:
        folder: the input.
        names: its files that may be damaged, relative to the folder.
        rng: all choices.

    Returns:
        What was done, for the report.
    """
    done = []
    for name in rng.sample(names, k=min(len(names), rng.choice([1, 1, 1, 2]))):
        path = folder / name
        kind = rng.random()
        if kind < 0.01:
            path.unlink()
            done.append(f'{name} removed')
        elif kind < 0.02:
            path.write_bytes(b'')
            done.append(f'{name} emptied')
        elif kind < 0.03:
            path.unlink()
            path.mkdir()
            done.append(f'{name} is a folder')
        elif kind < 0.05 and path.stem.isdecimal():
            path.rename(path.with_stem(rng.choice(['²', '._1', '00', '1' * 30, 'x y', '-1'])))
            done.append(f'{name} renamed')
        else:
            path.write_bytes(damage(path.read_bytes(), path.suffix.lower(), rng))
            done.append(f'{name} damaged')
    return done
