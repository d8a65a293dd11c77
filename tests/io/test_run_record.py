"""Results say which run made them; those of another run are kept under another name."""

import pytest

from mmvos.io.errors import DataError
from mmvos.io.run_record import (
    RunRecord,
    check_finished,
    differences,
    read_record,
    record_of_results,
    record_path,
    set_aside,
    write_record,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = RunRecord('ab', False, {'config': 'c.py', 'weights': 'w.pth'}, {'7': 30}, 12, 'today')
    write_record(record_path(tmp_path / 'r'), record)
    assert names(tmp_path) == ['r.run.json']
    assert read_record(tmp_path / 'r.run.json') == record
    assert str(record) == 'config c.py, weights w.pth (started today)'


@pytest.mark.parametrize('content', ['', '{}', '[1]', '{"fingerprint": "a"', '\0'])
def test_a_damaged_record_is_none(tmp_path, content):
    (tmp_path / 'r.run.json').write_text(content)
    assert read_record(tmp_path / 'r.run.json') is None


@pytest.mark.parametrize('results', ['r', 'r.json', 'r.zip'])
def test_the_record_of_each_kind_of_results_is_found(tmp_path, results):
    record = RunRecord('ab', True)
    write_record(tmp_path / 'r.run.json', record)
    assert record_of_results(tmp_path / results) == record
    assert check_finished(tmp_path / results) == record
    assert record_of_results(tmp_path / 'other') is None


@pytest.mark.parametrize('results', ['d', 'd/results.json', 'd/masks'])
def test_an_unfinished_run_of_one_video_is_refused(tmp_path, results):
    write_record(tmp_path / 'd' / 'run.json', RunRecord('ab', False, frames=5))
    with pytest.raises(DataError, match=r'unfinished .*5 frames'):
        check_finished(tmp_path / results)


def test_earlier_results_keep_their_content_under_another_name(tmp_path):
    record = tmp_path / 'r.run.json'
    paths = [tmp_path / 'r', tmp_path / 'r.json', tmp_path / 'r.zip']
    for content in ('A', 'B'):
        (tmp_path / 'r').mkdir()
        (tmp_path / 'r' / 'x.png').write_text(content)
        (tmp_path / 'r.json').write_text(content)
        write_record(record, RunRecord(content, True))
        set_aside(paths, record)
    assert names(tmp_path) == [
        'r.earlier1',
        'r.earlier1.json',
        'r.earlier1.run.json',
        'r.earlier2',
        'r.earlier2.json',
        'r.earlier2.run.json',
    ]
    assert (tmp_path / 'r.earlier1' / 'x.png').read_text() == 'A'
    assert (tmp_path / 'r.earlier2.json').read_text() == 'B'
    assert read_record(tmp_path / 'r.earlier2.run.json').fingerprint == 'B'


def test_setting_aside_goes_on_after_an_interrupt_in_the_middle(tmp_path):
    """As a kill after the first rename leaves it: OUT.json is moved, zip and record are not."""
    (tmp_path / 'r.earlier1.json').write_text('A')
    (tmp_path / 'r.zip').write_text('A')
    write_record(tmp_path / 'r.run.json', RunRecord('A', True))
    set_aside([tmp_path / 'r.json', tmp_path / 'r.zip'], tmp_path / 'r.run.json')
    assert names(tmp_path) == ['r.earlier1.json', 'r.earlier1.run.json', 'r.earlier1.zip']


def test_results_without_a_record_never_overwrite_others(tmp_path):
    (tmp_path / 'r.earlier1.json').write_text('old')
    (tmp_path / 'r.zip').write_text('new')
    set_aside([tmp_path / 'r.zip'], tmp_path / 'r.run.json')
    assert names(tmp_path) == ['r.earlier1.json', 'r.earlier2.zip']


def test_what_differs_is_named():
    record = RunRecord('a', True, {'config': 'x', 'weights': '1'})
    assert differences(record, {'config': 'x', 'weights': 2, 'data': 'd'}) == ['weights']
