"""``mmvos convert NAME ...``: the command lines of the converters, one small file each.

What a converter needs is imported when it runs, so that ``--help`` answers at once.
"""

# What each converts, by its name, which is that of its module.
CONVERTERS = {
    'coco_to_youtube_vis': 'COCO with track ids -> YouTube-VIS JSON',
    'cvat_to_youtube_vis': 'CVAT for video 1.1 (XML) -> YouTube-VIS JSON',
    'davis_to_youtube_vis': 'DAVIS label PNGs -> YouTube-VIS JSON',
    'labelme_to_youtube_vis': 'folders of labelme files -> YouTube-VIS JSON',
    'mots_to_youtube_vis': 'MOTS text files -> YouTube-VIS JSON',
    'split_youtube_vis': 'YouTube-VIS training file -> a part to train on and a part to test on',
    'video_to_animation': 'videos -> a small moving picture, WebP or GIF',
    'youtube_vis_to_coco': 'YouTube-VIS annotations or results -> COCO with track ids',
    'youtube_vis_to_cvat': 'YouTube-VIS annotations or results -> CVAT for video 1.1 (XML)',
    'youtube_vis_to_davis': 'YouTube-VIS annotations or results -> DAVIS label PNGs',
    'youtube_vis_to_labelme': 'YouTube-VIS annotations or results -> labelme files',
    'youtube_vis_to_mots': 'YouTube-VIS annotations or results -> MOTS text files',
    'youtube_vis_to_yolo': 'YouTube-VIS annotations or results -> YOLO-seg text files',
    'youtube_vos_to_youtube_vis': 'YouTube-VOS folder -> YouTube-VIS JSON',
}
