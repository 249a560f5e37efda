"""Trials of a search in processes of their own."""
