"""Converters between annotation formats, and data sets made here; none of them needs torch.

A format is one module with `read` (a file or folder to videos with tracked objects) or `write`, or
both. The other side of each is `youtube_vis`; `annotation_model` is what they have in common.
"""
