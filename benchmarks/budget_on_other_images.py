"""Whether the budget of `compress` holds on images that the search did not see.

    python -m benchmarks.budget_on_other_images --task=digits --margins=0,1.5
    python -m benchmarks.budget_on_other_images --task=fashion --margins=0,1.5 \\
        --data=fashion.npz --validation=2000 --recover=all

For each seed, the images that the model was not trained on are split at random into
validation and test; a search with this seed uses the one, and its result is judged by
the other. *digits* trains a small network on 600 of scikit-learn's handwritten digits
(no download); *fashion* takes data with a test part, and a trained network (`--start`)
or one that it trains on 6,000 of the images at 14 pixels.

Each search is a row in `--output_dir`; the same call again goes on, and several calls
with parts of `--seeds` may run at the same time. In the end there is a table: the share
of searches whose loss on the test images is within the budget, the mean loss on both,
and the size that is left (geometric mean).
"""

import json
import pathlib
import time
import warnings

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

_TASK = flags.DEFINE_enum("task", "digits", ["digits", "fashion"], "See above.")
_DATA = flags.DEFINE_string("data", None, "As in load_data, for fashion.")
_START = flags.DEFINE_string("start", None, "A trained .keras, for fashion; or none.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "20"], "First seed, and one after the last.")
_MARGINS = flags.DEFINE_list("margins", ["0", "1.5"], "As in SearchOptions.")
_RECOVER = flags.DEFINE_enum("recover", "none", ["none", "all"], "As in compress.")
_EPOCHS = flags.DEFINE_integer("epochs", 5, "With --recover=all.")
_SAMPLES = flags.DEFINE_integer("samples", 500, "As in SearchOptions.")
_VALIDATION = flags.DEFINE_integer("validation", 400, "Validation images.")
_TEST = flags.DEFINE_integer("test", 3000, "Test images, at most.")
_DROP = flags.DEFINE_float("max_drop", 0.01, "The budget.")
_OUTPUT = flags.DEFINE_string("output_dir", "other_images", "Where rows are kept.")


def digits_network(train) -> keras.Model:
    """Returns a network that is too large for the digits, always the same."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for filters in (32, 64, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*train, epochs=12, verbose=0)
    return model


def fashion_network(train) -> keras.Model:
    """Returns a small network for Fashion-MNIST at 14 pixels, always the same."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((14, 14, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for filters, strides in ((32, 1), (64, 2), (64, 1)):
        convolution = keras.layers.Conv2D(
            filters, 3, strides=strides, padding="same", use_bias=False
        )
        x = keras.layers.BatchNormalization(momentum=0.9)(convolution(x))
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    epochs, images, labels = 12, train[0][:6000], train[1][:6000]
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(images) // 64))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def loaded():
    """Returns a model, its training data, and images that it has not seen."""
    if _TASK.value == "digits":
        data = kbp.load_data("digits", image_size=8, channels=1)
        parts = (data.train, data.validation, data.test)
        x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.random.default_rng(0).permutation(len(x))
        x, y = x[order], y[order]
        train = x[:600], y[:600]
        return digits_network(train), train, (x[600:], y[600:])
    model = _START.value and keras.models.load_model(_START.value)
    size, channels = model.input_shape[1::2] if model else (14, 1)
    data = kbp.load_data(_DATA.value, image_size=size, channels=channels)
    return model or fashion_network(data.train), data.train, data.test


def searched(model, train, others, seed, margin) -> dict:
    """Returns the row of one search."""
    x, y = others
    order = np.random.default_rng(seed).permutation(len(x))
    count, start = _VALIDATION.value, time.perf_counter()
    validation = x[order[:count]], y[order[:count]]
    rest = order[count : count + _TEST.value]
    test = x[rest], y[rest]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = kbp.compress(
            model,
            train,
            validation,
            max_drop=_DROP.value,
            recover=None if _RECOVER.value == "none" else _RECOVER.value,
            epochs=None if _RECOVER.value == "none" else _EPOCHS.value,
            seed=seed,
            config=kbp.SearchOptions(samples=_SAMPLES.value, margin=margin),
            verbose=0,
        )
    lost = [
        kbp.measure.accuracy(model, part) - kbp.measure.accuracy(result.model, part)
        for part in (validation, test)
    ]
    return {
        "seed": seed,
        "margin": margin,
        "met": result.met_budget,
        "validation": lost[0],
        "test": lost[1],
        "flops": result.report.flops_ratio,
        "params": result.report.params_ratio,
        "networks": len(result.trials),
        "seconds": time.perf_counter() - start,
    }


def table(rows):
    """Prints means, a row per margin."""
    print(
        "| margin | searches | within the budget on test images | lost on validation | "
        "lost on test | FLOPs kept | parameters kept | seconds |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for margin in sorted({row["margin"] for row in rows}):
        own = [row for row in rows if row["margin"] == margin]
        column = {key: np.array([row[key] for row in own], float) for key in own[0]}
        within = np.mean(column["test"] <= _DROP.value + 1e-9)
        sizes = [np.exp(np.log(column[key]).mean()) for key in ("flops", "params")]
        print(
            f"| {margin:g} | {len(own)} | {within:.0%} | "
            f"{100 * column['validation'].mean():.2f} | "
            f"{100 * column['test'].mean():.2f} | {sizes[0]:.1%} | {sizes[1]:.1%} | "
            f"{column['seconds'].mean():.0f} |"
        )


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    model, train, others = loaded()
    folder = pathlib.Path(_OUTPUT.value) / f"{_TASK.value}_{_RECOVER.value}"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(*map(int, _SEEDS.value)):
        for margin in map(float, _MARGINS.value):
            path = folder / f"{seed}_{margin:g}.json"
            if not path.exists():
                row = searched(model, train, others, seed, margin)
                path.write_text(json.dumps(row))
                print(row, flush=True)
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    print(f"\n{_TASK.value}, recover={_RECOVER.value}, {_VALIDATION.value} images\n")
    table(rows)


if __name__ == "__main__":
    app.run(main)
