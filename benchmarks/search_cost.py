"""Measures the time of a search, in units of fine-tuning the original once.

    python -m benchmarks.search_cost --start=vgg_cifar.keras --data=cifar10.npz \\
        --finetune_epochs=8 --epochs=6 --flip=horizontal --shift=0.1 \\
        --cost=params --output_dir=cifar_0

Fine-tunes all weights of a trained classifier on the data, with labels; then `compress`
makes that network small. Both are done in one run, on the same threads. `output_dir`
then holds the files that `benchmarks.search_table` reads.
"""

import dataclasses
import pathlib
import time

import keras
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.augment_flags import augment

_START = flags.DEFINE_string("start", None, "A .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_OUTPUT = flags.DEFINE_string("output_dir", None, "For the search.", required=True)
_FINETUNE = flags.DEFINE_integer("finetune_epochs", 8, "Epochs of fine-tuning.")
_EPOCHS = flags.DEFINE_integer("epochs", 6, "Epochs of each training in the search.")
_COST = flags.DEFINE_string("cost", "params", "As in compress.")
_SAMPLES = flags.DEFINE_integer("samples", 1000, "As in compress.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "As in compress.")
_DISTILL = flags.DEFINE_bool("distill", True, "As in compress.")
_BATCH = flags.DEFINE_integer("batch_size", 64, "Images per step, in both.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    model = keras.models.load_model(_START.value)
    data = kbp.load_data(
        _DATA.value, image_size=model.input_shape[1:3], channels=model.input_shape[3]
    )
    print(data, flush=True)
    config = kbp.Recovery(
        epochs=_FINETUNE.value,
        batch_size=_BATCH.value,
        augment=augment(),
        seed=_SEED.value,
    )
    folder = pathlib.Path(_OUTPUT.value)
    kept, note = folder / "original.keras", folder / "seconds_of_finetuning.txt"
    if note.exists():  # the search was interrupted
        model, finetuned = keras.models.load_model(kept), float(note.read_text())
    else:
        start = time.time()
        kbp.recover(model, data.train, config=config, verbose=2)
        finetuned = time.time() - start
        folder.mkdir(parents=True, exist_ok=True)
        model.save(kept)
        note.write_text(f"{finetuned}")
    print(f"fine-tuning: {finetuned:.0f} s", flush=True)
    start = time.time()
    result = kbp.compress(
        model,
        data.train,
        data.validation,
        cost=_COST.value,
        recover=dataclasses.replace(config, epochs=_EPOCHS.value),
        output_dir=folder,
        seed=_SEED.value,
        test=data.test,
        config=kbp.SearchOptions(
            samples=_SAMPLES.value, rounds=_ROUNDS.value, distill=_DISTILL.value
        ),
    )
    searched = time.time() - start
    print(result.report)
    print(f"search: {searched:.0f} s, {searched / finetuned:.2f} x fine-tuning")


if __name__ == "__main__":
    app.run(main)
