"""What arguments must be: one check a file, for every room above."""
