"""Runs one search in a process of its own: `python compress_worker.py MODEL FOLDER`."""

import json
import sys

import digits_model
import keras

import keras_basisprune as kbp

ARGUMENTS = {
    "max_drop": 0.03,
    "recover": "all",
    "epochs": 2,
    "config": kbp.SearchOptions(samples=300, trial_samples=100, rounds=2),
    "verbose": 0,
}


def main(path, folder, ship=None):
    data = digits_model.load()
    model = keras.models.load_model(path)
    print("begins", flush=True)
    result = kbp.compress(
        model, data.train, data.validation, output_dir=folder, ship=ship, **ARGUMENTS
    )
    plans = [json.loads(plan.to_json()) for plan in result.plans]
    score = kbp.measure.accuracy(result.model, data.validation)
    print(json.dumps({"plans": plans, "score": score}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
