"""MOTS text files to a YouTube-VIS annotation file; `--help` says what it takes."""

from mmvos.cli.convert import run_converter

if __name__ == '__main__':
    run_converter('mots_to_youtube_vis')
