"""Compensation fitted on a source that is on many machines, by Apache Beam."""
