"""Takes part in a search: `python jobs_worker.py MODEL FOLDER [STORAGE]`."""

import sys

import digits_model
import keras

import keras_basisprune as kbp

ARGUMENTS = {
    "max_drop": 0.05,
    "config": kbp.SearchOptions(samples=64, trial_samples=None, rounds=1),
}


def take_part(path, folder, storage=None):
    data = digits_model.load()
    model = keras.models.load_model(path)
    return kbp.search.search_jobs(
        model,
        tuple(part[:100] for part in data.train),
        tuple(part[:150] for part in data.validation),
        choices={"methods": [["basis"]], "config.margin": [0.0, 1.0], "seed": [0, 1]},
        output_dir=folder,
        storage=storage,
        heartbeat=2,
        **ARGUMENTS,
    )


if __name__ == "__main__":
    print("begins", flush=True)
    print(take_part(*sys.argv[1:]), flush=True)
