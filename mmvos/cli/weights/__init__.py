"""``mmvos weights ...``: which weights there are, and weights made fit for this project."""
