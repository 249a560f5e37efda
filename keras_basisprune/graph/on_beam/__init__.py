"""Layers that are fitted on a source which is on many machines, by Apache Beam."""
