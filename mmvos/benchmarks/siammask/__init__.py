"""Parts of the benchmark ``tracking``: the baseline, and the agreement of masks."""
