"""Scores of sources that outgrow one machine, as an Apache Beam pipeline."""
