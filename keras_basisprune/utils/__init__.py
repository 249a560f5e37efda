"""Checks of arguments, one per file, for all other rooms; and files."""
