"""Lines that OpenMMLab's packages print at their import do not reach the user; others do."""

import subprocess
import sys

import pytest

from mmvos.quiet_import import import_without


def test_only_the_given_lines_are_left_out(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / 'talking_module.py').write_text("print('a note')\nprint('a note of worth')\n")
    monkeypatch.syspath_prepend(tmp_path)
    import_without('talking_module', ['a note'])
    assert capsys.readouterr().out == 'a note of worth\n'


def test_what_was_printed_before_an_error_is_shown(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / 'failing_module.py').write_text("print('a note of worth')\nraise ImportError\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError):
        import_without('failing_module', ['a note'])
    assert capsys.readouterr().out == 'a note of worth\n'


def test_mmdet_says_nothing_about_onedl() -> None:
    # This module imports mmdet's transforms itself, above mmvos.registry.
    code = 'import mmvos.datasets.transforms.scalar_resize'
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == ''
