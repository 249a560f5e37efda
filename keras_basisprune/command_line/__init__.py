"""What the command line is made of: flags, what they must be, models from files."""
