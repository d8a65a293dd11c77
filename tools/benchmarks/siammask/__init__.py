"""Parts of the benchmark ``tracking``: the rival, and the agreement of masks."""
