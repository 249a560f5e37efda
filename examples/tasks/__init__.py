"""One example for each kind of task, on data that a few lines make."""
