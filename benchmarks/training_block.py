"""Runs the example of docs/training.md that trains scales under L1.

The code is read from the page. The networks are small and are trained on the
handwritten digits of scikit-learn (8 x 8, no download). Prints a Markdown table.

    python -m benchmarks.training_block
"""

import pathlib
import re

import keras
from absl import app

import keras_basisprune as kbp

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "training.md"
COLUMNS = "network | parameters | removed | validation | test | test points lost"


def code() -> str:
    """Returns the block of docs/training.md in which `L1Thresholding` is used."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if "L1Thresholding" in block)


def run(model, data) -> keras.Model:
    """Runs the block with a model; returns its `plain`."""
    names = {"keras": keras, "kbp": kbp, "model": model, "data": data}
    exec(code(), names)
    return names["plain"]


def plain_network(width=32) -> keras.Model:
    """Builds two convolutions, with and without BatchNormalization."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(width, 3, activation="relu")(x)
    x = keras.layers.Conv2D(2 * width, 3, use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def separable_network(width=16) -> keras.Model:
    """Builds alternating depthwise and pointwise convolutions, as in MobileNet."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    x = _normalized(x)
    for filters, strides in ((2 * width, 2), (4 * width, 1), (4 * width, 1)):
        x = keras.layers.DepthwiseConv2D(3, strides, "same", use_bias=False)(x)
        x = keras.layers.Conv2D(filters, 1, use_bias=False)(_normalized(x))
        x = _normalized(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def _normalized(x):
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)


NETWORKS = {
    "two convolutions, 32 and 64 filters": (plain_network, 32),
    "MobileNet-like, 16 to 64 filters": (separable_network, 16),
    "MobileNet-like, 32 to 128 filters": (separable_network, 32),
}


def trained(build, width, data, epochs=25) -> keras.Model:
    """Returns a network of this kind, trained on the digits; always the same."""
    keras.utils.set_random_seed(0)
    model = build(width)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*data.train, epochs=epochs, verbose=0)
    return model


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    data = kbp.load_data("digits", image_size=8, channels=1)
    rows = [COLUMNS, "--- | ---: | ---: | ---: | ---: | ---:"]
    for name, (build, width) in NETWORKS.items():
        model = trained(build, width, data)
        keras.utils.set_random_seed(0)
        small = run(model, data)
        report = kbp.compare(model, small)
        before, after = (
            [kbp.measure.accuracy(m, part) for part in (data.validation, data.test)]
            for m in (model, small)
        )
        rows.append(
            f"{name} | {report.before.params:,} | {1 - report.params_ratio:.1%} | "
            f"{before[0]:.4f} → {after[0]:.4f} | {before[1]:.4f} → {after[1]:.4f} | "
            f"{100 * (before[1] - after[1]):+.1f}"
        )
    print("\n".join(f"| {row} |" for row in rows))


if __name__ == "__main__":
    app.run(main)
