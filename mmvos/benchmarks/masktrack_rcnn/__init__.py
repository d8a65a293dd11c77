"""Parts of the benchmark ``vis``: MaskTrack R-CNN of this project beside mmdet's, with the same
weights and the same frames.
"""
