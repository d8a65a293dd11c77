"""Annotations of some frames of a video become annotations of all its frames: files of labelme,
CVAT and COCO, and what plugs into the servers of CVAT and Label Studio.
"""
