"""Batches of the size that a model was built for."""
