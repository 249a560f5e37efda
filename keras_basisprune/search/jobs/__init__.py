"""Many searches as jobs, on many machines with one storage, by Optuna."""
