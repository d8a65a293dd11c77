"""Registers the metrics of all benchmarks; mmengine imports this file when a config names one.

The metric of a benchmark stands in the module ``metric`` of its folder.
"""

from importlib import import_module

from .benchmarks import BENCHMARKS

for _benchmark in BENCHMARKS.values():
    _folder = type(_benchmark).__module__.rpartition('.')[0]
    import_module(f'{_folder}.metric')
