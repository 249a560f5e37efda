"""Converts every model of `keras.applications`, and writes a table of the costs.

    python -m benchmarks.applications
    python -m benchmarks.applications --models=VGG16 --models=MobileNetV2 --output=

Each model has random weights, random BatchNormalization statistics, no top, and the
smallest input that it allows. It runs in a separate process, so that peak memory is
that of one model: the growth of the process from before the model was built until it
was converted, the original model included.
"""

import dataclasses
import functools
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

from benchmarks.peak_memory import PeakMemory, resident

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The smallest input size of each; 32 where there is no entry.
_SIZES = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
FAMILIES = {
    "Xception": ["Xception"],
    "VGG": ["VGG16", "VGG19"],
    "ResNet": ["ResNet50", "ResNet101", "ResNet152"],
    "ResNetV2": ["ResNet50V2", "ResNet101V2", "ResNet152V2"],
    "Inception": ["InceptionV3", "InceptionResNetV2"],
    "MobileNet": ["MobileNet"],
    "MobileNetV2": ["MobileNetV2"],
    "MobileNetV3": ["MobileNetV3Small", "MobileNetV3Large"],
    "DenseNet": ["DenseNet121", "DenseNet169", "DenseNet201"],
    "NASNet": ["NASNetMobile", "NASNetLarge"],
    "EfficientNet": [f"EfficientNetB{i}" for i in range(8)],
    "EfficientNetV2": [f"EfficientNetV2{i}" for i in ("B0", "B1", "B2", "B3", *"SML")],
    "ConvNeXt": [f"ConvNeXt{i}" for i in ("Tiny", "Small", "Base", "Large", "XLarge")],
}
MODELS = [name for family in FAMILIES.values() for name in family]

_NAMES = flags.DEFINE_multi_enum("models", MODELS, MODELS, "Which models to convert.")
_OUTPUT = flags.DEFINE_string(
    "output", "docs/applications.md", "File to write the table to; empty for none."
)
_ONE = flags.DEFINE_enum("one", None, MODELS, "Measure this model and print JSON.")


@dataclasses.dataclass(frozen=True)
class Row:
    """The cost of converting one model, and how exact the result is.

    Attributes:
        name: The model.
        params: Number of weights.
        seconds: Wall time of `convert`.
        peak: Largest growth of the process in bytes, the original model included.
        model: Growth of the process in bytes when the original model was built.
        weights: Bytes of the original model's weights.
        converted: Largest difference of the converted model's outputs to the
            original's, relative to the largest output.
        pruned: The same for the pruned model, to the masked one (half of all bases).
        folded: The same for the folded model.
        saved: Whether the outputs of the converted model are bitwise the same after it
            was saved as `.keras` and loaded.
        decomposed: Number of layers that were decomposed.
        left: Number of layers with a kernel that were left alone.
        reasons: The reasons for these, each once.
    """

    name: str
    params: int
    seconds: float
    peak: int
    model: int
    weights: int
    converted: float
    pruned: float
    folded: float
    saved: bool
    decomposed: int
    left: int
    reasons: list[str]


def build(name):
    """Builds a Keras Application: random weights, no top, the smallest input."""
    import keras

    size = _SIZES.get(name, 32)
    make = getattr(keras.applications, name)
    return make(include_top=False, weights=None, input_shape=(size, size, 3))


def includes(name):
    """Returns the `include` for `convert`: ConvNeXt's pointwise layers are Dense."""
    import keras

    if name.startswith("ConvNeXt"):
        return lambda layer: isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    return None


def randomize_norms(model):
    """Sets random weights and statistics of BatchNormalization.

    Factors are small enough that differences decrease from layer to layer. With factors
    around 1, deep EfficientNets with random weights are chaotic: a change of the input
    by 1e-7, or any rounding, changes the output completely.
    """
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name.endswith("gamma"):
            weight.assign(rng.uniform(0.25, 0.75, weight.shape))
        elif weight.name.endswith("variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name.endswith(("beta", "mean")):
            weight.assign(rng.normal(0.0, 0.1, weight.shape))


def random_images(model):
    """Returns two images of random pixels in the range that the model expects."""
    rng = np.random.default_rng(0)
    own = any(layer.__class__.__name__ == "Rescaling" for layer in model.layers)
    own |= any("normalization" in layer.name for layer in model.layers[:3])
    low, high = (0.0, 255.0) if own else (-1.0, 1.0)
    return rng.uniform(low, high, (2, *model.input_shape[1:])).astype("float32")


def measure(name) -> Row:
    """Builds and converts one model in this process."""
    import keras

    import keras_basisprune as kbp

    warm = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    kbp.convert(warm)  # so that loading TensorFlow's libraries is not counted
    keras.utils.set_random_seed(0)
    before = resident()
    model = build(name)
    randomize_norms(model)
    built = resident() - before
    with PeakMemory() as peak:
        start = time.perf_counter()
        converted = kbp.convert(model, include=includes(name))
        seconds = time.perf_counter() - start
    described = kbp.describe(converted)
    rng = np.random.default_rng(0)
    output = functools.partial(_output, image=random_images(model))
    original, equal = output(model), output(converted)
    saved = np.array_equal(equal, output(_saved_and_loaded(converted)))
    _mask_half(converted, rng)
    masked, pruned = output(converted), kbp.prune(converted)
    return Row(
        name,
        model.count_params(),
        seconds,
        peak.bytes - before,
        built,
        sum(math.prod(w.shape) * 4 for w in model.weights),
        _difference(original, equal),
        _difference(masked, output(pruned)),
        _difference(masked, output(kbp.fold(pruned))),
        saved,
        len(described.decomposed),
        len(described.left_alone),
        sorted({layer.reason for layer in described.left_alone}),
    )


def _saved_and_loaded(model):
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        return keras.models.load_model(path)


def measure_apart(name) -> Row:
    """Measures one model in a separate process."""
    command = [sys.executable, "-m", "benchmarks.applications", f"--one={name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def _mask_half(model, rng):
    import keras_basisprune as kbp

    for layer in model.layers:
        if isinstance(layer, kbp.BasisScalingConv):
            rank = layer.mask.shape[0]
            layer.mask.assign(rng.permutation(rank) >= rank // 2)


def _output(model, image):
    import keras

    return keras.ops.convert_to_numpy(model(image, training=False))


def _difference(a, b):
    return float(np.max(np.abs(a - b)) / np.max(np.abs(a)))


def table(rows) -> str:
    """Returns a Markdown table."""
    columns = (
        "model | parameters | seconds | peak MB | x weights | added x | converted "
        "| pruned | folded | saved | decomposed | left"
    )
    lines = [f"| {columns} |", "|---|" + "---:|" * 11]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.params:,} | {row.seconds:.1f} "
            f"| {row.peak / 1e6:,.0f} | {row.peak / row.weights:.1f} "
            f"| {(row.peak - row.model) / row.weights:.1f} "
            f"| {row.converted:.0e} | {row.pruned:.0e} | {row.folded:.0e} "
            f"| {'equal' if row.saved else 'differs'} | {row.decomposed} | {row.left} |"
        )
    return "\n".join(lines)


_HEAD = """# All models of Keras Applications

Written by `make test-large`, which also checks the numbers: random weights, random
BatchNormalization (factors 0.25 to 0.75, variances 0.5 to 1.5), no top, the smallest
input that each model allows. In ConvNeXt, Dense layers are decomposed too.

- *seconds*: time of `convert`.
- *peak MB*: the largest growth of the process while the model was built and converted,
  including the original model; *x weights*: the same relative to the bytes of the
  original's weights; *added x*: the most that `convert` added to the built model,
  relative to the weights. Keras' own objects take some 50 kB per layer, which is more
  than the weights in the smallest models.
- *converted*: largest difference of the outputs from those of the original, relative to
  the largest output; *pruned*, *folded*: from those of the converted model with a
  random half of its bases masked.
- *saved*: outputs of the converted model after it was saved as `.keras` and loaded.
- *decomposed*, *left*: number of layers with a kernel that were decomposed, or left as
  they were (all of these are depthwise or grouped convolutions).

"""


def main(_):
    if _ONE.value:
        print(json.dumps(dataclasses.asdict(measure(_ONE.value))))
        return
    rows = []
    for name in _NAMES.value:
        rows.append(measure_apart(name))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(rows)}")
    if _OUTPUT.value:
        write(rows, _OUTPUT.value)


def write(rows, path):
    """Writes the page with the table, whole or not at all."""
    draft = pathlib.Path(f"{path}.part")
    draft.write_text(f"{_HEAD}{table(rows)}\n", encoding="utf-8")
    os.replace(draft, path)


if __name__ == "__main__":
    app.run(main)
