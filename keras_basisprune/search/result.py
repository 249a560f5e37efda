"""The result of a search: the small network, its files and its report."""

import dataclasses
import json
import pathlib
import warnings

import keras

from keras_basisprune.measure import Comparison, compare
from keras_basisprune.methods import convert
from keras_basisprune.plan import Plan
from keras_basisprune.report import write_report
from keras_basisprune.report.certificate import certificate
from keras_basisprune.report.channel_pictures import channel_pictures
from keras_basisprune.report.classes_with_low_recall import classes_with_low_recall
from keras_basisprune.report.document import document
from keras_basisprune.report.layer_rows import layer_rows, spectra
from keras_basisprune.report.loss_statement import loss_statement
from keras_basisprune.report.summary import summary, summary_html
from keras_basisprune.search.trial import Trial
from keras_basisprune.search.written_files import pairs_of, written_files
from keras_basisprune.utils.files import save_model, write_text
from keras_basisprune.utils.processes import from_first

_SAMPLES = 64  # images on which forms of the network are compared
FILES = (  # that are written, besides the state of the search
    "original_float32.tflite",
    "plans.json",
    "report.html",
    "report.json",
    "small.keras",
    "small_float32.tflite",
)
QUANTIZED = "small_quantized.keras"  # with quantization-aware training


@dataclasses.dataclass(frozen=True, repr=False)
class CompressionResult:
    """The result of `compress`; prints in ten lines, shows as a table in notebooks.

    Attributes:
        model: The small model; plain Keras layers only.
        plans: A `Plan` per round: the channels that were kept of the network of the
            round before, and then the bases that were kept of the result. To carry one
            out, pass `Plan(channels=plan.channels)` to `compensate` (or `prune`), then
            `Plan(bases=plan.bases)` to `convert`.
        trials: A `Trial` per network that was tried.
        history: The logs of training, a list of values per name; empty if nothing was
            trained.
        report: A `Comparison` of original and small model, accuracy included.
        recall: Dict by class of pairs: the recall of the original and of the small
            model on the validation images of that class (without labels: images for
            which the original predicts it). Classes without images are missing.
        met_budget: Whether the score on the validation data fell by no more than
            `max_drop`. If not, `model` is the original, folded.
        details: Dict, the content of `report.json`.
        metric: The name of the metric that decided.
        scores: Dict by metric of pairs: what the original and the small model reach on
            the validation data.
        quantized: With `Recovery(quantize=True)`, the quantization-aware form of the
            small model, of which the int8 file was written (`export_tflite` writes it
            again); else `None`. Networks that are good enough without training have
            none.
    """

    model: keras.Model
    plans: tuple[Plan, ...]
    trials: tuple[Trial, ...]
    history: dict[str, list[float]]
    report: Comparison
    recall: dict[int, tuple[float, float]]
    met_budget: bool
    details: dict
    metric: str = "accuracy"
    scores: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    quantized: keras.Model | None = None

    def __repr__(self):
        return f"{type(self).__name__}: {summary(self.details)}"

    def _repr_html_(self):
        return summary_html(self.details)


def make_result(
    task, rounds, score, on_test, arguments, output_dir, about
) -> CompressionResult:
    """Measures the network that was found, and writes files and report.

    Args:
        task: The `Task`.
        rounds: Its `Rounds`, done.
        score: The `Scorer`.
        on_test: A `Scorer` on the test data, or `None`.
        arguments: Dict of the arguments, for the report.
        output_dir: Folder for the files; `None` to write none.
        about: Dict of the `"name"` of the data and the `"class_names"`; `None` for
            unknown ones.

    Returns:
        A `CompressionResult`.
    """
    original = task.model
    found = _good_enough(rounds.results, task)
    last = found[-1] if found else None
    folded = last.folded if last else task.judge.folded(original)
    small = folded.small
    ship, labels = arguments.get("ship"), about["class_names"]
    files = []
    if rounds.stopped != "interrupt":  # who interrupts does not want to wait
        given = task, score, folded, output_dir, ship, labels
        # All processes have made the file that ships; other forms are for the report.
        if ship is None:
            files = from_first(lambda: written_files(*given))
        else:
            files = written_files(*given)
    scores = {score.metric: (score.baseline, _score_as_shipped(folded))}
    scores |= score.others(folded.as_it_ships)
    figures = _figures(scores, on_test, folded, files)
    report = compare(original, small, **figures)
    samples = first_samples(task.images, _SAMPLES)
    converted = _converted(original, samples)
    rows, recall = layer_rows(original, small), folded.recall()
    parts = {
        "model": {"name": original.name, "input_shape": _input_shape(original)},
        "data": {
            "name": about["name"],
            "train": len(task.train),
            "validation": score.images,
            "test": None if on_test is None else on_test.images,
        },
        **({} if labels is None else {"class_names": list(labels)}),
        "met_budget": last is not None,
        "stopped": rounds.stopped,
        "metric": score.metric,
        "metric_text": score.measure.text,
        "mode": "max" if score.sign > 0 else "min",
        "share": score.measure.share,
        "scores": scores,
        "baseline": score.baseline,
        "least": score.sign * task.min_score,
        "before_after": _before_after(report),
        "chosen": last and last.trial,
        "loss_statement": loss_statement(
            score.baseline,
            last and rounds.trials[last.trial],
            score.images,
            task.max_drop,
            score,
        ),
        "recall": recall,
        "class_warning": _class_warning(recall, task),
        "layers": rows,
        "spectra": spectra(converted, rows),
        "pictures": channel_pictures(small, samples),
        "equality": certificate(original, converted, folded.network, small, samples)
        + _litert_row(files),
        "history": rounds.history,
        "forms": files,
    }
    details = document(parts, rounds.trials, arguments)
    plans = tuple(one.plan for one in found)
    if output_dir is not None:
        folder = pathlib.Path(output_dir)
        from_first(lambda: _write(folder, folded, plans, details))
    trials, history = rounds.trials, rounds.history
    met = last is not None
    shares = {row["class"]: (row["before"], row["after"]) for row in recall}
    return CompressionResult(
        small,
        plans,
        trials,
        history,
        report,
        shares,
        met,
        details,
        score.metric,
        scores,
        folded.quantized,
    )


def first_samples(images, count):
    """Returns the first samples, of an array or a list of one per input."""
    if isinstance(images, list):
        return [array[:count] for array in images]
    return images[:count]


def _input_shape(model):
    """Returns the shape of an image; of several inputs, that of the first."""
    return tuple(model.inputs[0].shape[1:])


def _good_enough(found, task) -> list:
    """Returns the rounds up to the last one whose network is still good enough.

    A network that was made again after it was judged may score differently, if the
    machine or a layer is not deterministic.
    """
    found = list(found)
    while found:
        folded, judge = found[-1].folded, task.judge.in_round(len(found))
        if all(
            judge.is_good(now())  # by Keras, and in the form that ships
            for now in (folded.compared, folded.compared_in_file)
        ):
            break
        found.pop()
    return found


def _class_warning(recall, task) -> str:
    """Returns the remarks on single classes; warns if some are lost."""
    if not recall:
        return ""
    classes = max(task.outputs[0].shape[-1], 2)
    fallen = classes_with_low_recall(recall, task.max_drop)
    unseen = classes - len(recall)
    if fallen:
        warnings.warn(f"{fallen} The score counts all images.", stacklevel=5)
    if not unseen:
        return fallen
    them = "it" if unseen == 1 else "them"
    without = (
        f"Nothing is known of {unseen} of the {classes} classes: there is no "
        f"validation image of {them}."
    )
    return f"{fallen} {without}".strip()


def _figures(scores, on_test, folded, files) -> dict[str, tuple]:
    """Returns the rows of the comparison besides parameters and FLOPs."""
    figures = pairs_of(files)
    figures |= {f"{name}_on_validation": pair for name, pair in scores.items()}
    if on_test is not None:
        ships = folded.as_it_ships
        found = {on_test.metric: (on_test.baseline, on_test(ships))}
        found |= on_test.others(ships)
        figures |= {f"{name}_on_test": pair for name, pair in found.items()}
    return figures


def _score_as_shipped(folded) -> float:
    """Returns the score of the file that ships; by Keras if there is none."""
    try:
        return folded.compared_in_file()["score"]
    except (RuntimeError, ValueError):  # the original, in a form that it can't have
        return folded.compared()["score"]


def _litert_row(files) -> list[dict]:
    """Returns the row of the certificate for the exported file, if it can be run."""
    found = [r for r in files if (r["model"], r["form"]) == ("small", "float32")]
    difference = found[0]["difference"] if found else None
    if difference is None:
        return []
    return [
        {
            "step": "LiteRT float32",
            "against": "folded",
            "difference": difference,
            "tolerance": 1e-3,
        }
    ]


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
    """Returns the model at full rank; `None` if nothing in it can be decomposed."""
    try:
        return convert(model, data=samples, verbose=0)
    except ValueError:  # a report without spectra must not lose the result
        return None


def _write(folder, folded, plans, details):
    save_model(folded.small, folder / "small.keras")
    if folded.quantized is not None:
        save_model(folded.quantized, folder / QUANTIZED)
    texts = [json.loads(plan.to_json()) for plan in plans]
    write_text(folder / "plans.json", json.dumps(texts, indent=1))
    write_text(folder / "report.json", json.dumps(details, indent=1, allow_nan=False))
    write_report(folder)
