"""Checkpoints: reading without running code, writing, resuming."""
