"""What a search has come to: the small network, its files and its report."""

import dataclasses
import json
import pathlib
import tempfile

import keras

from keras_basisprune.export import export_tflite
from keras_basisprune.files import save_model, write_text
from keras_basisprune.measure import Comparison, accuracy, compare, latency
from keras_basisprune.methods import convert
from keras_basisprune.plan import Plan
from keras_basisprune.report import write_report
from keras_basisprune.search.certificate import certificate
from keras_basisprune.search.document import document
from keras_basisprune.search.layer_rows import layer_rows, spectra
from keras_basisprune.search.trial import Trial
from keras_basisprune.surgery import fold

_SAMPLES = 64  # images on which forms of the network are compared


@dataclasses.dataclass(frozen=True)
class CompressionResult:
    """What `compress` made.

    Attributes:
        model: The small model; plain Keras layers only.
        plans: A `Plan` per round: the channels that were kept of the network of the
            round before, and the bases that were kept of what was left then.
        trials: A `Trial` per network that was tried.
        history: The logs of training, a list of values per name; empty without.
        report: A `Comparison` of original and small model, accuracy included.
        met_budget: Whether the score on the validation data fell by no more than
            `max_drop`. If not, `model` is the original, folded.
        details: Dict, the content of `report.json`.
    """

    model: keras.Model
    plans: tuple[Plan, ...]
    trials: tuple[Trial, ...]
    history: dict[str, list[float]]
    report: Comparison
    met_budget: bool
    details: dict


def outcome(task, rounds, score, test, arguments, output_dir) -> CompressionResult:
    """Folds, measures, and writes what was found.

    Args:
        task: The `Task`.
        rounds: Its `Rounds`, done.
        score: The `Scorer`.
        test: A pair `(x, y)` of arrays, or `None`.
        arguments: Dict of the arguments, for the report.
        output_dir: Folder for the files; `None` for none.

    Returns:
        A `CompressionResult`.
    """
    original, last = task.model, rounds.found[-1] if rounds.found else None
    network = last.network if last else original
    small = fold(network)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(output_dir or folder)
        samples = task.images[:_SAMPLES]
        files = [
            export_tflite(model, folder / f"{name}_float32.tflite", samples=samples)
            for name, model in (("original", original), ("small", small))
        ]
        figures = _figures(task, score, test, small, files)
    report = compare(original, small, **figures)
    converted = _converted(original, samples)
    rows = layer_rows(original, small)
    equality = certificate(original, converted, network, samples)
    equality.append(
        {
            "step": "LiteRT float32",
            "against": "folded",
            "difference": files[1].max_abs_difference,
            "tolerance": 1e-3,
        }
    )
    parts = {
        "model": {"name": original.name, "input_shape": original.input_shape[1:]},
        "met_budget": last is not None,
        "metric": score.metric,
        "baseline": score.baseline,
        "least": task.least,
        "before_after": _before_after(report),
        "chosen": last and last.trial,
        "layers": rows,
        "spectra": spectra(converted, rows),
        "equality": equality,
        "history": rounds.history,
    }
    details = document(parts, rounds.trials, arguments)
    plans = tuple(found.plan for found in rounds.found)
    if output_dir is not None:
        _write(pathlib.Path(output_dir), small, plans, details)
    return CompressionResult(
        small,
        plans,
        rounds.trials,
        rounds.history,
        report,
        last is not None,
        details,
    )


def _figures(task, score, test, small, files) -> dict[str, tuple]:
    """The rows of the comparison beside what is counted."""
    times = [latency(file.path, threads=(1,)).litert[1].median_ms for file in files]
    figures = {
        "LiteRT_float32_bytes": tuple(file.bytes for file in files),
        "milliseconds": tuple(round(time, 4) for time in times),
        f"{score.metric}_on_validation": (score.baseline, score(small)),
    }
    if test is not None:
        figures["accuracy_on_test"] = accuracy(task.model, test), accuracy(small, test)
    return figures


def _before_after(report) -> list[dict]:
    rows = {
        "parameters": (report.before.params, report.after.params),
        "FLOPs": (report.before.flops, report.after.flops),
        **report.extra,
    }
    return [
        {"label": label, "before": before, "after": after}
        for label, (before, after) in rows.items()
    ]


def _converted(model, samples):
    """The model at full rank, `None` if nothing in it can be decomposed."""
    try:
        return convert(model, data=samples, verbose=0)
    except ValueError:
        return None


def _write(folder, small, plans, details):
    save_model(small, folder / "small.keras")
    texts = [json.loads(plan.to_json()) for plan in plans]
    write_text(folder / "plans.json", json.dumps(texts, indent=1))
    write_text(folder / "report.json", json.dumps(details, indent=1, allow_nan=False))
    write_report(folder)
