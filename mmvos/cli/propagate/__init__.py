"""``mmvos propagate NAME ...``: annotations of some frames become annotations of all frames; one
small file for each tool.

What a command needs is imported when it runs, so that ``--help`` answers at once.
"""

# What each command reads and writes, by its name, which is that of its module.
TOOLS = {
    'labelme': 'a folder of frames, some with a labelme file -> one for each frame',
    'cvat': 'CVAT for video 1.1 (XML) with some key frames -> a mask in each frame',
    'coco': 'COCO with some annotated frames -> annotations of all frames',
}
