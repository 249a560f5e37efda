"""Statistics of a source that is on many machines, by Apache Beam."""
