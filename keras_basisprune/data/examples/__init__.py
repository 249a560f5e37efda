"""Samples with targets and weights, in memory or in a stream."""
