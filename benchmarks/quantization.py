"""One network in all forms of a LiteRT file: how good, how large, how fast.

    python -m benchmarks.quantization --start=baseline.keras --data=eurosat.npz \\
        --output_dir=quantized
    python -m benchmarks.quantization --data=some.npz --range=-1,1 --alpha=0.25 \\
        --weights=mobilenet_0.25_224_imagenet.weights.h5 --output_dir=quantized

The network may be pruned first (`--keep`, `--method`). Forms, by `--forms`: *float32*,
*float16*, *dynamic*, *int8* (after training, calibrated), *qat* (`quantize_aware`
alone), *qat_nearest* (the same with `rounding="nearest"`), *int4_start* and
*int4_nearest* (both with 4-bit weights, learned ranges), *qat_moving* and *qat_learned*
(and trained towards the float network's outputs, without labels), *int4* (the same with
4-bit weights, learned ranges); by TFMOT, towards the float network's answers:
*tfmot_qat* (int8), *sparse* (half of the weights of 1x1 convolutions are 0; of all
layers if there are none; float32) and *clustered* (16 values per layer, float32).

Data without a test set are split: `--fit` images are fitted on, the network is judged
on the others. Printed are accuracy, agreement with the float network's answers, bytes,
gzip bytes, milliseconds on one thread and operations in float. Each row is kept in
`--output_dir`: the same call again goes on. In the end there is a table.
"""

import dataclasses
import gzip
import json
import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.data.readers.fit_image import fit_image
from keras_basisprune.export import tfmot
from keras_basisprune.methods import METHODS
from keras_basisprune.methods.apply_method import apply_method

FORMS = (
    "float32",
    "float16",
    "dynamic",
    "int8",
    "qat",
    "qat_nearest",
    "int4_start",
    "int4_nearest",
    "qat_moving",
    "qat_learned",
    "int4",
    "tfmot_qat",
    "sparse",
    "clustered",
)
_SPARSITY = 0.5

_DATA = flags.DEFINE_string("data", None, "An .npz of arrays.", required=True)
_START = flags.DEFINE_string("start", None, "A .keras file, instead of the next ones.")
_APPLICATION = flags.DEFINE_string("application", "MobileNet", "With its own head.")
_ALPHA = flags.DEFINE_float("alpha", None, "Width of the network.")
_WEIGHTS = flags.DEFINE_string("weights", None, "A file of weights, or random ones.")
_RANGE = flags.DEFINE_list("range", ["0", "255"], "What black and white become.")
_FORMS = flags.DEFINE_list("forms", list(FORMS), "See above.")
_KEEP = flags.DEFINE_float("keep", 1.0, "Share of FLOPs to prune to.")
_METHOD = flags.DEFINE_string("method", "double_pruning", "Of kbp.methods.METHODS.")
_FIT = flags.DEFINE_integer("fit", 300, "Images to fit on, if there is no test set.")
_TRAIN = flags.DEFINE_integer("train", 2000, "The most images to train on.")
_TEST = flags.DEFINE_integer("test", 2000, "The most images to judge on.")
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Of quantization-aware training.")
_RATE = flags.DEFINE_float("learning_rate", 1e-4, "Of the same.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Of the same.")
_CROPS = flags.DEFINE_bool("crops", False, "Whether training crops at random.")
_SEED = flags.DEFINE_integer("seed", 0, "Of drawing and training.")
_OUTPUT = flags.DEFINE_string("output_dir", "quantized", "Where rows are kept.")


@dataclasses.dataclass(frozen=True)
class Row:
    """One file.

    Attributes:
        form: One of `FORMS`.
        accuracy: In percent.
        agreement: Images on which its answer is the float network's, in percent.
        bytes: Of the file.
        gzip_bytes: Of the file, compressed.
        milliseconds: Of one image, on one thread.
        float_ops: Number of operations in float; `None` in float files.
        seconds: To make it.
    """

    form: str
    accuracy: float
    agreement: float
    bytes: int
    gzip_bytes: int
    milliseconds: float
    float_ops: int | None
    seconds: float


def row_of(form, model, train, test, path, config) -> Row:
    """Makes one file and measures it.

    Args:
        form: One of `FORMS`.
        model: The float `keras.Model`.
        train: Array of images.
        test: A pair of images and labels.
        path: Where to write the file.
        config: A `Recovery`.
    """
    start, options = time.time(), {"tolerance": None, "samples": test[0][:8]}
    if form == "tfmot_qat":
        trained = _as_tfmot_trains(config)
        record = tfmot.export_quantize_aware(model, path, train, **trained)
    else:
        network = model
        if form in FORMS[:4]:
            options["quantization"] = form
            if form == "int8":
                options["representative_data"] = train[:300]
        elif form in ("sparse", "clustered"):
            network = _by_tfmot(form, model, train, config)
        else:
            network = _trained(form, model, train, config)
        record = kbp.export_tflite(network, path, **options)
    seconds = round(time.time() - start, 1)
    found = kbp.export.predict_tflite(path, test[0], verbose=0).argmax(-1)
    own = model.predict(test[0], verbose=0).argmax(-1)
    quantized = form not in ("float32", "float16", "sparse", "clustered")
    return Row(
        form,
        round(100 * float(np.mean(found == test[1].ravel())), 2),
        round(100 * float(np.mean(found == own)), 2),
        record.bytes,
        len(gzip.compress(path.read_bytes())),
        round(kbp.measure.latency(path, threads=(1,)).litert[1].median_ms, 3),
        sum(record.float_ops.values()) if quantized else None,
        seconds,
    )


def _as_tfmot_trains(config) -> dict:
    names = ("epochs", "learning_rate", "batch_size", "seed")
    return {**{name: getattr(config, name) for name in names}, "verbose": 2}


def _by_tfmot(form, model, train, config):
    given = _as_tfmot_trains(config)
    if form == "clustered":
        return tfmot.cluster_weights(model, train, **given)
    sizes = [getattr(layer, "kernel_size", None) for layer in model.layers]
    given["layers"] = "pointwise" if (1, 1) in sizes else "all"
    return tfmot.prune_low_magnitude(model, train, sparsity=_SPARSITY, **given)


def _trained(form, model, train, config):
    learned = form.startswith("int4") or form == "qat_learned"
    options = {"weight_bits": 4} if form.startswith("int4") else {}
    if form.endswith("nearest"):
        options["rounding"] = "nearest"
    network = kbp.quantize_aware(
        model,
        train,
        ranges="learned" if learned else "moving",
        verbose=0,
        **options,
    )
    if form not in ("qat", "qat_nearest", "int4_start", "int4_nearest"):
        kbp.recover(network, train, teacher=model, config=config, verbose=2)
    return network


def experiment(model, train, test, forms, config, folder) -> list[Row]:
    """All rows; those that are in the folder already are taken from there."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for form in forms:
        kept = folder / f"{form}.json"
        if not kept.exists():
            keras.utils.set_random_seed(config.seed)
            path = folder / f"{form}.tflite"
            row = row_of(form, model, train, test, path, config)
            kept.write_text(json.dumps(dataclasses.asdict(row)))
            print(row, flush=True)
        rows.append(Row(**json.loads(kept.read_text())))
    return rows


def table(rows) -> str:
    """A table in Markdown."""
    lines = [
        "| form | accuracy | agreement | bytes | gzip | ms | in float | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        in_float = "" if row.float_ops is None else row.float_ops
        lines.append(
            f"| {row.form} | {row.accuracy:.2f} | {row.agreement:.2f} | {row.bytes:,} "
            f"| {row.gzip_bytes:,} | {row.milliseconds:.2f} | {in_float} | "
            f"{row.seconds:.0f} |"
        )
    return "\n".join(lines)


def read(path, low, high, fit, seed, shape):
    """Returns images and labels to train and to judge on, for inputs of a shape."""
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays if name[:2] in ("x_", "y_")}
    rng = np.random.RandomState(seed)
    train = found["x_train"], found["y_train"]
    order = rng.permutation(len(train[0]))
    if "x_test" in found:
        test = found["x_test"], found["y_test"]
    else:
        test = tuple(array[order[fit:]] for array in train)
        order = order[:fit]
    train = tuple(array[order] for array in train)
    return [
        (fitted(images, shape) * ((high - low) / 255) + low, labels)
        for images, labels in (train, test)
    ]


def fitted(images, shape) -> np.ndarray:
    """Returns images as float32, in the size and with the channels of a shape."""
    if images.shape[1:] == shape[1:]:
        return images.astype("float32")
    return np.stack([fit_image(image, shape[1:3], shape[3]) for image in images])


def _crops(images):
    return kbp.data.random_crops(images, seed=None)


def _model():
    if _START.value:
        return keras.models.load_model(_START.value, compile=False)
    given = {"weights": _WEIGHTS.value or None}
    given |= {"alpha": _ALPHA.value} if _ALPHA.value else {}
    return getattr(keras.applications, _APPLICATION.value)(**given)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    low, high = map(float, _RANGE.value)
    model = _model()
    drawn = _FIT.value, _SEED.value, model.input_shape
    train, test = read(_DATA.value, low, high, *drawn)
    images = train[0][: _TRAIN.value]
    test = [array[: _TEST.value] for array in test]
    if _KEEP.value < 1:
        pruned = pathlib.Path(_OUTPUT.value) / "pruned.keras"
        if not pruned.exists():
            pruned.parent.mkdir(parents=True, exist_ok=True)
            row = METHODS[_METHOD.value]
            _, small = apply_method(row, model, keep=_KEEP.value, data=images)
            kbp.recover(small, images, teacher=model, verbose=2)
            kbp.fold(small).save(pruned)
        model = keras.models.load_model(pruned, compile=False)
    config = kbp.Recovery(
        epochs=_EPOCHS.value,
        learning_rate=_RATE.value,
        batch_size=_BATCH.value,
        seed=_SEED.value,
        augment=_crops if _CROPS.value else None,
    )
    rows = experiment(model, images, test, _FORMS.value, config, _OUTPUT.value)
    print(table(rows))


if __name__ == "__main__":
    app.run(main)
