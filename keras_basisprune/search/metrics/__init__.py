"""The scores by which networks are judged."""
