"""The local web page on which a video is segmented, looked at, corrected and taken home:
``mmvos studio``. docs/studio.md says how page and server speak.
"""
