"""A package, so that its tests can share a model and its videos."""
