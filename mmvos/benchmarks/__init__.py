"""Measurements of speed and memory, beside baselines: ``mmvos benchmark NAME``."""
