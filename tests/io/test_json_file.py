"""JSON that Python's parser takes and that nothing behind it can use, refused with its place."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from mmvos.io.errors import DataError
from mmvos.io.json_file import MAX_DEPTH, parse_json, read_json


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_bytes(codecs.BOM_UTF8 + b'{"a": [1, 2.5, null, true, "x"]}')
    assert read_json(path) == {'a': [1, 2.5, None, True, 'x']}
    path.write_bytes(codecs.BOM_UTF16_LE + '[1e308, -1e-320]'.encode('utf-16-le'))
    assert read_json(path) == [1e308, -1e-320]


def test_numbers_of_64_bits_are_taken() -> None:
    assert parse_json('[9223372036854775807, -9223372036854775807, 1e30]', 'a.json') == [
        2**63 - 1,
        1 - 2**63,
        1e30,
    ]


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('', 'line 1, column 1'),
        ('{"videos": [1,\n 2,,]}', 'line 2, column 4'),
        ('{"videos": [', 'line 1, column 13'),
        ('[NaN]', 'NaN'),
        ('{"a": -Infinity}', '-Infinity'),
        ('[1e999]', '1e308'),
        ('{"a": -1e999}', '1e308'),
        ('[[0.5, 1e999]]', '1e308'),
        ('9223372036854775808', '9223372036854775808 does not fit'),
        ('{"a": [1, 2], "b": [9, -9223372036854775808]}', '-9223372036854775808 does not fit'),
        ('[0.5, ' + '7' * 400 + ']', r'7\.\.\. does not fit'),
        ('[' + '7' * 5000 + ']', 'thousands of digits'),
        ('{"a": {"id": 1, "name": 2, "id": 3}}', '"id" stands twice'),
        ('[' * (MAX_DEPTH + 2) + ']' * (MAX_DEPTH + 2), f'more than {MAX_DEPTH} deep'),
        ('[' * 100_000, f'more than {MAX_DEPTH} deep'),
        ('{"a":' * 100_000, f'more than {MAX_DEPTH} deep'),
    ],
)
def test_what_is_no_usable_json_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(DataError, match=f'^a.json is not .*{fault}') as refused:
        parse_json(text, 'a.json')
    assert '\n' not in str(refused.value) and len(str(refused.value)) < 200


def test_nesting_up_to_the_limit_is_read() -> None:
    value = parse_json('[' * MAX_DEPTH + '1' + ']' * MAX_DEPTH, 'a.json')
    for _ in range(MAX_DEPTH):
        (value,) = value
    assert value == 1


def test_the_size_is_limited(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text('[1, 2, 3]')
    assert read_json(path, max_bytes=9) == [1, 2, 3]
    with pytest.raises(DataError, match=r'a\.json is larger than 8 bytes'):
        read_json(path, max_bytes=8)
