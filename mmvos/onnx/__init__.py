"""MaskTrack without torch: its network as ONNX graphs, which onnxruntime or OpenVINO compute.

The way through a video is the torch models' own (``mmvos.models.prompted_tracking`` and
``mmvos.models.masktrack.propagation``), which takes arrays of numpy as well. docs/onnx.md describes
the graphs for programs of one's own. `export` needs torch; nothing else here does.
"""
