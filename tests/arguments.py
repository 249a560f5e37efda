"""Every public function with fitting arguments, and values that can't be any."""

import dataclasses
import functools
import pathlib
import tempfile

import keras
import numpy as np

import keras_basisprune as kbp

IMAGES = np.random.default_rng(0).random((12, 8, 8, 1), dtype="float32")
LABELS = np.arange(12) % 3
_NAN = np.where(IMAGES == IMAGES.max(), np.nan, IMAGES)
_INFINITE = np.where(np.isnan(_NAN), np.inf, _NAN)
_HOLES = np.full_like(IMAGES[0], np.nan), np.where(IMAGES[0] > 0.5, np.inf, 0)


# The names of all functions below: pytest asks for them before there is a folder.
NAMES = (
    "BasisScalingConv",
    "ChannelGate",
    "ChannelScaling",
    "DiffOptions",
    "GateOptions",
    "Iterations",
    "Kept",
    "Limits",
    "L1Thresholding",
    "LatencyTable",
    "LatencyTable.record",
    "Plan",
    "Plan.from_json",
    "Plan.from_masks",
    "Recipe",
    "Recovery",
    "SearchOptions",
    "StructuralSearch",
    "accuracy",
    "application",
    "channel_gates",
    "channel_groups",
    "channel_scaling",
    "channel_scaling_method",
    "compare",
    "compensate",
    "compensation_aware",
    "compensation_aware, keep",
    "compare_reports",
    "compress",
    "convert",
    "convert, regression",
    "convert, keep",
    "cost",
    "deltas_by_share",
    "describe",
    "diff_pruning",
    "export_saved_model",
    "export_tflite",
    "export_tflite, int8",
    "flatten",
    "fold",
    "fresh",
    "latency",
    "load_data",
    "new_head",
    "on_first_process",
    "plot_bases",
    "plot_channels",
    "plot_comparison",
    "plot_sensitivity",
    "predict_tflite",
    "prune",
    "prune_iteratively",
    "quantize_aware",
    "select_weight_bits",
    "random_crops",
    "read_labels",
    "recalibrate",
    "recover",
    "select_bases",
    "select_bases, threshold",
    "select_bases, plain",
    "select_channels",
    "select_channels, threshold",
    "select_channels, scores",
    "select_channels, sensitivity",
    "select_in_steps",
    "select_relevant",
    "sensitivity",
    "Sensitivity.from_json",
    "slimming",
    "sparsify",
    "tfmot.cluster_weights",
    "tfmot.export_quantize_aware",
    "tfmot.from_tf_keras",
    "tfmot.prune_low_magnitude",
    "tfmot.to_tf_keras",
    "tolerated_drops",
    "train_gates",
    "write_report",
    "plans.per_cost",
    "scores.bases",
    "scores.energy",
    "scores.magnitude",
    "scores.summarize_outputs",
    "search.search_jobs",
    "scores.taylor",
    "channels.activation",
    "channels.compensated",
    "channels.random",
    "channels.taylor",
    "channels.bn_scale",
    "channels.fpgm",
    "channels.l1_norm",
    "channels.l2_norm",
)


@functools.cache
def model():
    """A small classifier of three classes."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="images")
    x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1")(inputs)
    x = keras.layers.BatchNormalization(name="norm1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Conv2D(5, 3, activation="relu", name="conv2")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(3, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="tiny")


@functools.cache
def converted():
    """The same in bases."""
    return kbp.convert(model(), l1=1e-4)


@functools.cache
def gated():
    """The same with gates."""
    return kbp.methods.channel_gates(model())


@functools.cache
def litert_file():
    """The path of a LiteRT file of it."""
    path = pathlib.Path(tempfile.mkdtemp()) / "tiny.tflite"
    kbp.export_tflite(model(), path)
    return path


class Subclassed(keras.Model):
    """What can't be read."""

    def call(self, inputs):
        return inputs


_ODD = [None, "a", {}, [], float("nan"), 1j, object(), np.array([1.0, 2.0])]
_NO_NUMBER = [*_ODD, np.array(["a"]), "0.5", True, 10**400]
_NO_NAME = ["a", "", {}, [], float("nan"), 3, True, b"flops", np.array(["flops", "a"])]
_NO_IMAGES = [
    IMAGES.astype(object),
    IMAGES.astype(complex),
    IMAGES.astype(str),
    IMAGES.astype("int64").astype("datetime64[s]"),
    IMAGES[0, 0],
    np.concatenate([IMAGES, IMAGES], -1),
    IMAGES[:0],
    np.float32(1),
    _NAN,
    _INFINITE,
    [[1], [1, 2]],
]
_NO_LABELS = [
    LABELS[:5],
    LABELS + 0.5,
    LABELS + 7,
    LABELS - 1,
    np.eye(4)[LABELS],
    np.eye(3)[LABELS] + 0.5,
    LABELS.astype(str),
    LABELS.astype(object),
    LABELS * 1j,
    "a",
]
_NO_SAMPLES = [
    *_ODD,
    3,
    (None, None),
    *((images, LABELS) for images in _NO_IMAGES),
    *((IMAGES, labels) for labels in _NO_LABELS),
]
_NO_PAIR = [*_NO_SAMPLES, (IMAGES, LABELS, LABELS, LABELS)]

# By the kind of an argument: what it can't be. A kind with `?` may be None.
BAD = {
    "any model": [*_ODD, 3, keras.Model, Subclassed(), keras.Sequential(), "a.keras"],
    "callbacks": ["a", 3, [None], [object()], keras.callbacks.Callback, {"a": 1}],
    "choice": [None, *_NO_NAME],
    "data": [*_ODD, 3, *_NO_IMAGES, (), (None,), (1, 2, 3, 4)],
    "fit": [*_ODD, 3, (IMAGES, LABELS, LABELS, LABELS), (IMAGES[:0], LABELS[:0])],
    "flag": [*_ODD, 2, -1, "False"],
    "images": _NO_PAIR,
    "labelled": [*_NO_PAIR, (IMAGES,), IMAGES, (IMAGES, None)],
    "loss": ["a", 3, object()],
    "model": [
        *_ODD,
        3,
        model,
        keras.Model,
        Subclassed(),
        keras.Sequential(),
        "a.keras",
    ],
    "names": [*_ODD, 3, "abc", (), [""], ["a", "b"], ["a", "b", "c\n"], [1, 2, 3]],
    "class_weight": [[], {}, "a", 3, {0.5: 1.0}, {0: -1.0}, {0: "a"}],
    "drop": [*_ODD, -0.5, "1", "a%", "-1%", "100%", float("nan")],
    "metric": [None, 3, [], {}, "no_metric", object(), np.zeros(2)],
    "number": [*_NO_NUMBER, float("inf")],
    "number>=0": [*_NO_NUMBER, -1],
    "number>0": [*_NO_NUMBER, -1, 0, float("inf")],
    "path": [*[x for x in _ODD if not isinstance(x, str)], 3, "", b"a", "a\0b"],
    "patterns": [3, 1j, object(), [None], "(", "nowhere", np.array(["a", "b"])],
    "plan": [*_ODD, 3, kbp.Plan, {"conv1": [0]}],
    "record": [*_ODD, 3, kbp.Plan(), kbp.Plan],
    "scores": [*_ODD, 3, np.zeros(2), np.full(99, np.nan), np.array(["a"])],
    "samples": _NO_SAMPLES,
    "seconds": [
        *(x for x in _NO_NUMBER if not isinstance(x, str)),
        0,
        -1,
        float("inf"),
        "0m",
        "soon",
    ],
    "seed": [*_NO_NUMBER, -1, 2**40, 0.5],
    "shape": [*_ODD, 3, (), (8, -1, 1), (8, 8, "a"), (8.0, 8, 1), (2**40, 8, 1)],
    "share": [*_NO_NUMBER, -0.5, 0, 1.5, float("inf")],
    "shares": [None, "a", {}, [], [1.0], (0.5, 2), [None], 0.5, 3, object()],
    "share<1": [*_NO_NUMBER, -0.5, 1, 1.5, float("inf")],
    "size": [*_ODD, (), (8, -1), (8, "a"), (8.0, 8), (8, 8, 8), 0, -3, 2.5],
    "source": [*_ODD, 3, IMAGES[:0], IMAGES.astype(complex), IMAGES.astype(str)],
    "table": [*_ODD, 3, kbp.LatencyTable],
    "text": [*(x for x in _ODD if not isinstance(x, str)), 3, b"a"],
    "verbose": [*_ODD, -1, 3, 0.5],
    "whole": [*_NO_NUMBER, 0, -1, 1.5, 2**40],
    "whole>=0": [*_NO_NUMBER, -1, 1.5, 2**40],
}


def bad(kind):
    """What an argument of a kind can't be."""
    values = BAD[kind.removesuffix("?")]
    return [x for x in values if x is not None] if kind.endswith("?") else values


def _record(kind, **kinds):
    assert kinds.keys() == {field.name for field in dataclasses.fields(kind)}
    return kind, {}, kinds


def calls(folder):
    """By name: a function, arguments that it takes, and the kinds of arguments.

    Args:
        folder: A `pathlib.Path` for files, of which none shall be written.
    """
    small, pieces, gates, table = model(), converted(), gated(), kbp.LatencyTable()
    channels = kbp.scores.channels
    scores = channels.l2_norm(small)
    plan = kbp.select_channels(small, keep=0.6)
    data, pair = {"data": IMAGES}, (IMAGES, LABELS)
    loss = "sparse_categorical_crossentropy"
    quiet = {"verbose": 0}
    shaped = {"input_shape": "shape?"}
    of_layer = {
        "data_format": "choice?",
        "scale_regularizer": "choice?",
        "l1": "number>=0?",
    }
    of_weights = {"model": "model", "aggregate": "choice", "normalize": "choice?"}
    of_fine_tuning = {
        "model": "model",
        "train": "images",
        "epochs": "whole",
        "learning_rate": "number>0",
        "batch_size": "whole",
        "seed": "seed",
        "verbose": "verbose",
    }
    of_data = {"model": "model", "data": "data", "batch_size": "whole"}
    gradients = {"model": "model", "data": "fit", "loss": "loss", "batch_size": "whole"}
    comparison = kbp.compare(small, small)
    found = {
        "BasisScalingConv": (
            kbp.BasisScalingConv,
            {"filters": 4},
            {
                "filters": "whole",
                "activation": "choice?",
                "use_bias": "flag",
                "energy": "share",
                "centered": "flag",
                **of_layer,
            },
        ),
        "ChannelGate": (
            kbp.layers.ChannelGate,
            {},
            {"low": "number>0", "high": "number>0", **of_layer},
        ),
        "ChannelScaling": (kbp.layers.ChannelScaling, {}, of_layer),
        "DiffOptions": _record(
            kbp.methods.DiffOptions,
            selection="choice",
            structured="choice?",
            batch_norm="choice",
            epochs="whole",
            learning_rate="number>0",
            gate_rate="number>0",
            start="number",
            l0="number>=0",
            clip="number>0",
            fixed_epochs="whole",
            fixed_rate="number>0",
            momentum="number>=0",
            batch_size="whole",
            augment="scores?",
            seed="seed",
        ),
        "GateOptions": _record(
            kbp.training.GateOptions,
            weights="flag",
            epochs="whole",
            batch_size="whole",
            learning_rate="number>0",
            travel="number>0",
            pressure="number>0",
            noise="number>=0",
            ramp="share",
            settled="share",
            momentum="number>=0",
        ),
        "Iterations": _record(
            kbp.methods.Iterations,
            keep="share<1?",
            least_removed="share<1",
            cost="choice",
            most="whole",
            epochs="whole?",
            l1="number>=0?",
            max_drop="number>=0?",
            baseline="number>=0?",
            seed="seed",
        ),
        "Kept": (
            kbp.plans.Kept,
            {"indices": (0, 1), "total": 3},
            {"indices": "indices", "total": "total"},
        ),
        "Limits": _record(
            kbp.Limits,
            min_kept="whole",
            round_to="whole",
            max_removed="share",
            exclude="patterns of any model",
        ),
        "L1Thresholding": (
            kbp.L1Thresholding,
            {},
            {
                "threshold": "number>=0",
                "score": "choice",
                "scope": "choice",
                "cost": "choice?",
                "frequency": "whole",
                "unit": "choice",
                "start": "whole>=0",
                "min_kept": "whole",
                "round_to": "whole",
                "monitor": "monitor",
                "max_drop": "number>=0",
                "baseline": "number?",
                "mode": "choice",
                "patience": "whole>=0",
                "data": "pair or none",
            },
        ),
        "LatencyTable": (
            kbp.LatencyTable,
            {},
            {"path": "path?", "threads": "whole", "runs": "whole"},
        ),
        "LatencyTable.record": (
            table.record,
            {
                "layer": keras.layers.Dense(2),
                "input_shape": (3,),
                "milliseconds": 1.0,
            },
            {"layer": "plan", "input_shape": "shape", "milliseconds": "number>0"},
        ),
        "Plan": _record(kbp.Plan, bases="parts", channels="parts"),
        "Plan.from_json": (kbp.Plan.from_json, {}, {"text": "plan"}),
        "Plan.from_masks": (
            kbp.Plan.from_masks,
            {"model": pieces},
            {"model": "plan", "round_to": "whole"},
        ),
        "Recipe": _record(
            kbp.Recipe,
            threshold="share<1",
            score="choice",
            scope="choice",
            cost="choice?",
            epochs="whole",
            ramp="number>=0",
            learning_rate="number>0",
            batch_size="whole",
            momentum="number>=0",
            round_to="whole",
            max_drop="number>=0?",
            baseline="number?",
            patience="whole>=0",
        ),
        "Recovery": _record(
            kbp.Recovery,
            weights="choice",
            epochs="whole",
            learning_rate="number>=0",
            warmup="number>=0?",
            batch_size="whole",
            augment="scores?",
            momentum="number>=0",
            temperature="number>0",
            seed="seed",
            initial_epoch="whole>=0",
            keep_best="flag?",
            validation_split="share<1",
            from_logits="flag?",
            class_weight="class_weight?",
            quantize="flag",
        ),
        "SearchOptions": _record(
            kbp.SearchOptions,
            samples="whole",
            trial_samples="whole?",
            rounds="whole",
            distill="flag",
            compensation="flag",
            round_to="whole",
            augment="flag",
            margin="number>=0",
            from_logits="flag?",
        ),
        "StructuralSearch": _record(
            kbp.methods.StructuralSearch,
            max_drop="number>=0",
            drops="drops",
            steps="whole",
            ridge="number>0",
            held_out="share<1?",
        ),
        "accuracy": (
            kbp.measure.accuracy,
            {"model": small, "data": pair},
            {"model": "plan", "data": "labelled", "batch_size": "whole"},
        ),
        "application": (
            kbp.data.application,
            {
                "name": "MobileNet",
                "weights": None,
                "input_shape": (32, 32, 3),
                "classes": 3,
            },
            {
                "name": "choice",
                "weights": "choice?",
                "input_shape": "shape",
                "classes": "whole",
                "dropout": "share<1",
            },
        ),
        "channel_gates": (
            kbp.methods.channel_gates,
            {"model": small},
            {"model": "model", "low": "number>0", "high": "number>0"},
        ),
        "channel_groups": (kbp.graph.channel_groups, {}, {"model": "model"}),
        "channel_scaling": (
            kbp.methods.channel_scaling,
            {"model": small},
            {"model": "model", "l1": "number>=0?"},
        ),
        "channel_scaling_method": (
            kbp.methods.channel_scaling_method,
            {},
            {"scales": "choice", "threshold": "share<1", "learning_rate": "number>0"},
        ),
        "compare": (
            kbp.compare,
            {"before": small, "after": small},
            {"before": "model", "after": "model", "accuracy": "row", **shaped},
        ),
        "compensate": (
            kbp.compensate,
            {"model": small, "plan": plan, **data, **quiet},
            {
                "model": "model",
                "plan": "plan",
                "data": "data",
                "ridge": "number>0?",
                "verbose": "verbose",
            },
        ),
        "compensation_aware": (
            kbp.methods.compensation_aware,
            {"model": small, "data": pair, **quiet},
            {
                "model": "model",
                "data": "samples",
                "cost": "cost",
                "scores": "scores?",
                "limits": "record?",
                "config": "record?",
                "verbose": "verbose",
            },
        ),
        "compensation_aware, keep": (
            kbp.methods.compensation_aware,
            {"model": small, "keep": 0.6, "scores": scores, **quiet},
            {
                "model": "model",
                "keep": "share?",
                "cost": "cost",
                "scores": "scores?",
                "limits": "record?",
                "config": "record?",
                "verbose": "verbose",
            },
        ),
        "compare_reports": (
            kbp.report.compare_reports,
            {"first": "a", "second": "b"},
            {"first": "path", "second": "path"},
        ),
        "compress": (
            kbp.compress,
            {"model": small, "train": pair, "validation": pair, **quiet},
            {
                "model": "model",
                "train": "images",
                "validation": "images",
                "metric": "metric",
                "mode": "choice",
                "max_drop": "drop?",
                "cost": "choice",
                "methods": "choice",
                "recover": "choice?",
                "ship": "choice?",
                "epochs": "whole?",
                "output_dir": "path?",
                "seed": "seed",
                "test": "labelled?",
                "time_limit": "seconds?",
                "config": "record?",
                "callbacks": "callbacks",
                "class_names": "names?",
                "data_name": "text?",
                "verbose": "verbose",
                "workers": "whole",
            },
        ),
        "convert": (
            kbp.convert,
            {"model": small, **quiet},
            {
                "model": "model",
                "rank": "rank",
                "basis": "choice?",
                "l1": "number>=0",
                "include": "patterns",
                "exclude": "patterns",
                "data": "data?",
                "verbose": "verbose",
            },
        ),
        "convert, regression": (
            kbp.convert,
            {"model": small, "basis": "regression", **quiet},
            {"data": "data"},
        ),
        "convert, keep": (
            kbp.convert,
            {"model": small, "keep": 0.5, **quiet},
            {"keep": "share?", "cost": "cost", "data": "data?", "limits": "record?"},
        ),
        "cost": (kbp.measure.cost, {"model": small}, {"model": "model", **shaped}),
        "deltas_by_share": (
            kbp.methods.deltas_by_share,
            {"model": small, "train": pair, "shares": [0.1], "verbose": 0},
            {"model": "any model", "train": "labelled", "shares": "plan"},
        ),
        "describe": (kbp.describe, {"model": small}, {"model": "model", **shaped}),
        "diff_pruning": (
            kbp.methods.diff_pruning,
            {"model": small, "train": pair, "verbose": 0},
            {
                "model": "any model",
                "train": "labelled",
                "validation": "labelled?",
                "share": "number>=0",
                "head": "patterns?",
                "config": "record?",
                "verbose": "verbose",
            },
        ),
        "export_saved_model": (
            kbp.export_saved_model,
            {"model": small, "path": folder / "saved_model"},
            {
                "model": "model",
                "path": "path",
                "overwrite": "flag",
                "samples": "data?",
                "tolerance": "tolerance",
            },
        ),
        "export_tflite": (
            kbp.export_tflite,
            {"model": small, "path": folder / "small.tflite"},
            {
                "model": "model",
                "path": "path",
                "quantization": "choice?",
                "samples": "data?",
                "tolerance": "tolerance",
                "batch_size": "whole?",
                "input_shape": "shapes",
                "integer_io": "flag",
                "labels": "names?",
                "reference": "model?",
            },
        ),
        "export_tflite, int8": (
            kbp.export_tflite,
            {"model": small, "path": folder / "s.tflite", "quantization": "int8"},
            {"representative_data": "data"},
        ),
        "flatten": (kbp.graph.flatten, {}, {"model": "model"}),
        "fold": (
            kbp.fold,
            {"model": pieces},
            {"model": "model", "batch_norm": "flag"},
        ),
        "fresh": (
            kbp.fresh,
            {"model": small, "plan": plan},
            {"model": "model", "plan": "plan", "seed": "seed"},
        ),
        "latency": (
            kbp.measure.latency,
            {"model_or_path": small, "runs": 1, "warmup": 0},
            {
                "model_or_path": "plan",
                "threads": "whole",
                "runs": "whole",
                "warmup": "whole>=0",
                "input_shape": "shapes",
            },
        ),
        "load_data": (
            kbp.load_data,
            {"spec": "digits"},
            {
                "spec": "path",
                "image_size": "whole?",
                "channels": "whole",
                "seed": "seed",
                "validation_split": "share<1",
                "test_split": "share<1",
                "max_images": "whole?",
            },
        ),
        "new_head": (
            kbp.methods.new_head,
            {"model": small, "classes": 2},
            {"model": "model", "classes": "whole"},
        ),
        "on_first_process": (
            kbp.training.on_first_process,
            {"callbacks": ()},
            {"callbacks": "callbacks"},
        ),
        "plot_bases": (
            kbp.measure.plot_bases,
            {"model": pieces, "path": folder / "bases.png"},
            {"model": "model", "path": "picture", "plan": "plan?"},
        ),
        "plot_channels": (
            kbp.measure.plot_channels,
            {
                "model": small,
                "image": IMAGES[0],
                "layer": "conv2",
                "path": folder / "channels.png",
            },
            {
                "model": "model",
                "image": "image",
                "layer": "choice",
                "path": "picture",
                "most": "whole",
            },
        ),
        "plot_comparison": (
            kbp.measure.plot_comparison,
            {"comparison": comparison, "path": folder / "comparison.png"},
            {"comparison": "plan", "path": "picture", "title": "title"},
        ),
        "plot_sensitivity": (
            kbp.plans.plot_sensitivity,
            {"sensitivity": kbp.Sensitivity(()), "path": folder / "losses.png"},
            {"sensitivity": "table", "path": "picture"},
        ),
        "predict_tflite": (
            kbp.export.predict_tflite,
            {"path": litert_file(), "data": IMAGES, **quiet},
            {
                "path": "path",
                "data": "data",
                "workers": "whole?",
                "verbose": "verbose",
            },
        ),
        "prune": (
            kbp.prune,
            {"model": pieces},
            {"model": "model", "plan": "plan?", "round_to": "whole"},
        ),
        "prune_iteratively": (
            kbp.methods.prune_iteratively,
            {
                "model": small,
                "method": kbp.methods.METHODS["channel_scaling"],
                "train": pair,
            },
            {
                "model": "model",
                "method": "plan",
                "train": "labelled",
                "validation": "labelled?",
                "config": "record?",
                "verbose": "verbose",
            },
        ),
        "quantize_aware": (
            kbp.quantize_aware,
            {"model": small, "data": IMAGES, **quiet},
            {
                "model": "model",
                "data": "data",
                "ranges": "choice",
                "weight_bits": "bits",
                "activation_bits": "whole",
                "exclude": "patterns",
                "rounding": "choice",
                "samples": "whole",
                "verbose": "verbose",
            },
        ),
        "select_weight_bits": (
            kbp.training.select_weight_bits,
            {"model": small, "data": IMAGES, "max_bytes": 100_000, **quiet},
            {
                "model": "model",
                "data": "data",
                "max_bytes": "whole",
                "activation_bits": "whole",
                "exclude": "patterns",
                "verbose": "verbose",
            },
        ),
        "random_crops": (
            kbp.data.random_crops,
            {"images": IMAGES},
            {"copies": "whole", "least": "share", "flip": "flag", "seed": "seed?"},
        ),
        "read_labels": (kbp.export.read_labels, {}, {"path": "path"}),
        "recalibrate": (
            kbp.surgery.recalibrate,
            {"model": small, **data, **quiet},
            {"model": "model", "data": "data", "verbose": "verbose"},
        ),
        "recover": (
            kbp.recover,
            {"model": small, "train": pair},
            {
                "model": "model",
                "train": "labelled",
                "validation": "labelled?",
                "teacher": "model?",
                "config": "record?",
                "callbacks": "callbacks",
                "verbose": "verbose",
            },
        ),
        "select_bases": (
            kbp.select_bases,
            {"model": pieces, "keep": 0.5},
            {
                "model": "model",
                "keep": "share",
                "scores": "parts?",
                "cost": "cost",
                "scope": "choice",
                "limits": "record?",
            },
        ),
        "select_bases, threshold": (
            kbp.select_bases,
            {"model": pieces},
            {"threshold": "number>=0"},
        ),
        "select_bases, plain": (
            kbp.select_bases,
            {"model": small, "keep": 0.5},
            {"model": "model", "scores": "parts?", "data": "data?"},
        ),
        "select_channels": (
            kbp.select_channels,
            {"model": small, "keep": 0.6},
            {
                "model": "model",
                "keep": "share",
                "data": "data?",
                "cost": "cost",
                "scope": "choice",
                "limits": "record?",
            },
        ),
        "select_channels, threshold": (
            kbp.select_channels,
            {"model": small},
            {"threshold": "number>=0"},
        ),
        "select_channels, scores": (
            kbp.select_channels,
            {"model": small, "keep": 0.6},
            {"scores": "scores?"},
        ),
        "select_channels, sensitivity": (
            kbp.select_channels,
            {"model": small, "keep": 0.6},
            {"sensitivity": "table?"},
        ),
        "select_in_steps": (
            kbp.plans.select_in_steps,
            {"model": small, **data, "keep": 0.6, **quiet},
            {
                "model": "model",
                "data": "data",
                "keep": "share",
                "step": "share",
                "cost": "cost",
                "limits": "record?",
                "verbose": "verbose",
            },
        ),
        "select_relevant": (
            kbp.data.select_relevant,
            {
                "source": IMAGES,
                "target": IMAGES,
                "encoder": small,
                "keep": 0.5,
                **quiet,
            },
            {
                "source": "source",
                "target": "source",
                "encoder": "plan",
                "keep": "share",
                "method": "choice",
                "clusters": "whole?",
                "image_size": "size?",
                "seed": "seed",
                "batch_size": "whole?",
                "cache_dir": "path?",
                "verbose": "verbose",
            },
        ),
        "sensitivity": (
            kbp.sensitivity,
            {"model": small, **data, **quiet},
            {
                "model": "model",
                "data": "data",
                "what": "choice",
                "shares": "shares",
                "scores": "scores?",
                "original": "model?",
                "fitted": "share<1",
                "ridge": "number>0",
                "verbose": "verbose",
            },
        ),
        "Sensitivity.from_json": (kbp.Sensitivity.from_json, {}, {"text": "plan"}),
        "slimming": (
            kbp.methods.slimming,
            {"model": small, "l1": 1e-4},
            {"model": "model", "l1": "number>0"},
        ),
        "sparsify": (
            kbp.sparsify,
            {"model": pieces, "train": pair},
            {
                "model": "model",
                "train": "labelled",
                "validation": "labelled?",
                "config": "record?",
                "callbacks": "callbacks",
                "verbose": "verbose",
            },
        ),
        "tfmot.cluster_weights": (
            kbp.export.tfmot.cluster_weights,
            {"model": small, "train": pair},
            {"clusters": "whole", **of_fine_tuning},
        ),
        "tfmot.export_quantize_aware": (
            kbp.export.tfmot.export_quantize_aware,
            {"model": small, "path": folder / "small.tflite", "train": pair},
            {"path": "path", "integer_io": "flag", **of_fine_tuning},
        ),
        "tfmot.from_tf_keras": (
            kbp.export.tfmot.from_tf_keras,
            {},
            {"model": "model"},
        ),
        "tfmot.prune_low_magnitude": (
            kbp.export.tfmot.prune_low_magnitude,
            {"model": small, "train": pair},
            {"sparsity": "share<1", "layers": "choice", **of_fine_tuning},
        ),
        "tfmot.to_tf_keras": (kbp.export.tfmot.to_tf_keras, {}, {"model": "model"}),
        "tolerated_drops": (
            kbp.methods.tolerated_drops,
            {"model": small, "data": pair, **quiet},
            {
                "model": "model",
                "data": "samples",
                "drops": "drops?",
                "limits": "record?",
                "config": "record?",
                "enough": "function?",
                "verbose": "verbose",
            },
        ),
        "train_gates": (
            kbp.training.train_gates,
            {"model": gates, "train": pair, "keep": 0.5},
            {
                "model": "model",
                "train": "labelled",
                "validation": "labelled?",
                "keep": "share",
                "cost": "choice",
                "config": "record?",
                "seed": "seed",
                "verbose": "verbose",
            },
        ),
        "write_report": (kbp.report.write_report, {}, {"folder": "path"}),
        "plans.per_cost": (
            kbp.plans.per_cost,
            {"model": small, "scores": scores},
            {"model": "model", "scores": "scores", "cost": "choice"},
        ),
        "scores.bases": (
            kbp.scores.bases,
            {"model": small, **quiet},
            {
                "model": "model",
                "data": "data?",
                "include": "patterns?",
                "exclude": "patterns?",
                "verbose": "verbose",
            },
        ),
        "scores.energy": (kbp.scores.energy, {}, {"model": "model"}),
        "scores.magnitude": (kbp.scores.magnitude, {}, {"model": "model"}),
        "scores.summarize_outputs": (
            kbp.scores.summarize_outputs,
            {"model": small, **data, **quiet},
            {
                "model": "model",
                "data": "data",
                "include": "patterns?",
                "exclude": "patterns?",
                "verbose": "verbose",
            },
        ),
        "search.search_jobs": (
            kbp.search.search_jobs,
            {
                "model": small,
                "train": pair,
                "validation": pair,
                "choices": {"seed": [0, 1]},
                "output_dir": folder / "jobs",
            },
            {
                "model": "model",
                "train": "images",
                "validation": "images",
                "choices": "parts",
                "output_dir": "path",
                "objective": "choice",
                "jobs": "whole?",
                "storage": "storage",
                "name": "title",
                "sampler": "record?",
                "sampler_seed": "seed",
                "retries": "whole>=0",
                "heartbeat": "whole",
                "patience": "seconds",
                "test": "labelled?",
                "verbose": "verbose",
            },
        ),
        "scores.taylor": (
            kbp.scores.taylor,
            {"model": pieces, "data": pair, "loss": loss},
            gradients,
        ),
        "channels.activation": (
            channels.activation,
            {"model": small, **data},
            {**of_data, **of_weights},
        ),
        "channels.compensated": (
            channels.compensated,
            {"model": small, **data},
            {**of_data, "ridge": "number>0"},
        ),
        "channels.random": (
            channels.random,
            {"model": small},
            {"model": "model", "seed": "seed"},
        ),
        "channels.taylor": (
            channels.taylor,
            {"model": small, "data": pair, "loss": loss},
            {**gradients, **of_weights},
        ),
    }
    for name in ("bn_scale", "fpgm", "l1_norm", "l2_norm"):
        function = getattr(channels, name)
        found[f"channels.{name}"] = function, {"model": small}, of_weights
    return found


# A dict of bits by the names of layers may be empty.
BAD["bits"] = [x for x in BAD["whole"] if not isinstance(x, dict)]
BAD["bits"] += [{"no layer": 4}, {"conv1": 3}, {3: 4}]
BAD |= {
    "cost": [None, *_NO_NAME, {"conv1": 1, "conv2": 1}, kbp.LatencyTable],
    "drops": [*_ODD, 3, (), (0.1, 0.1), (0.5, 0.1), (-0.1,), (0.5, 2), (True,), ("a",)],
    "function": [*BAD["number"], -1],
    "image": [*_ODD, 3, IMAGES, IMAGES[0, 0], IMAGES[0, :4], _NO_IMAGES[0][0], *_HOLES],
    "indices": [None, "a", 3, [None], [1, 0], (-1, 0), (0.5, 1), ("a", "b")],
    "monitor": ["", 3, ["a"], {}, b"loss", np.array(["a", "b"])],
    "pair or none": ["a", 3, {}, [], IMAGES, (IMAGES,)],
    "parts": [None, "a", 3, [1], {"conv1": None}, {"conv1": "a"}, {"conv1": {}}],
    "patterns of any model": [3, {}, 1j, object(), [None], np.array(["a", "b"])],
    "storage": [3, 1j, object(), "", b"a", "a\0b", "/no/such/folder/jobs.db", "a://b"],
    "picture": [*BAD["path"], "picture", "picture.docx", "/dev/null/picture.png"],
    "rank": ["a", {}, [], float("nan"), 1j, np.array([1.0, 2.0]), True, 0, -0.5, 1.5],
    "row": [None, "a", 3, [None], (1, 2, 3), ("a", "b"), (1, None)],
    "shapes": ["a", [], float("nan"), 1j, object(), 3, (), (8, -1, 1), (8.0, 8, 1)],
    "tolerance": ["a", {}, [], float("nan"), 1j, object(), True, -1],
    "title": [3, {}, ["a"], np.array(["a", "b"])],
    "total": [*_ODD, 1, -1, 1.5],
}
