"""Readers and writers of file formats, one for each, and what they share.

Everything that touches a file which a user gave or gets goes through this layer: names become paths
here, damaged input becomes a `DataError`, and results are written beside their final name first.
"""
