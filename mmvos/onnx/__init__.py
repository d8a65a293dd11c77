"""MaskTrack and SiamMask without torch: their networks as ONNX graphs, which onnxruntime or
OpenVINO compute.

The way through a video is the torch models' own (``mmvos.models.prompted_tracking``,
``mmvos.models.masktrack.propagation``, ``mmvos.models.siammask.tracking``), which takes arrays of
numpy as well. docs/onnx.md describes the graphs for programs of one's own. `export`, with `tracing`
and the two `traced_` modules, needs torch; nothing else here does.
"""
