"""The LiteRT files of a result: written, run on the data and timed."""

import pathlib
import warnings

from keras_basisprune.search.shipped import FORMS, Shipped, check_no_loop
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged


def written_files(
    task, score, folded, output_dir, ship=None, labels=None
) -> list[dict]:
    """Writes the files of the original and of the small network.

    The original is written in the form that ships (float32 without one), the small
    network in float32 and in that form. If a file can't be written in that form, there
    is a warning: a failed export does not fail the search.

    Time: the small network runs on the validation data once per form; all forms are
    made if something is written or a form was chosen, else float32 alone.

    Args:
        task: A `Task`.
        score: The `Scorer`.
        folded: The `Folded` result.
        output_dir: Folder for the files; `None` to write none.
        ship: The form that ships, `None` for none.
        labels: Names of the classes, which the files hold; `None` for none.

    Returns:
        A list of dicts, one per file: `"model"` (`"original"` or `"small"`), `"form"`,
        `"bytes"`, `"milliseconds"` (one thread), `"score"` on the validation data,
        `"difference"` from Keras, `"in_float"` (operations that stayed in float, with
        their number), `"float_share"` (of the FLOPs), `"rounding"` (of int8, see
        `export_int8`) and `"reason"` (why there is no such file). What was not measured
        is `None`. Empty if the form that ships could not be written.
    """
    main, every = ship or "float32", ship is not None or output_dir is not None
    wanted = [("original", main)]
    wanted += [("small", form) for form in FORMS if every or form == main]
    rows, before = [], None
    for name, form in wanted:
        run = name == "small" and every or ship is not None
        try:
            if form == "int8" and ship != "int8":
                check_no_loop(before)
            if name == "small" and form == ship:
                made = folded.file  # by which it was judged
            else:
                network = task.model if name == "original" else folded.small
                shipped = Shipped(form, task.images, None, task.verbose, labels)
                made = shipped(network)
            rows.append(_row(name, made, _score(score, made) if run else None))
        except Exception as error:  # converters raise errors of many kinds
            if form == main:
                _warn(error)
                return []
            rows.append(_failed(name, form, error))
            continue
        before = made.record
        if output_dir is not None and form in ("float32", main):
            _write(pathlib.Path(output_dir) / f"{name}_{form}.tflite", made.content)
    return rows


def _score(score, file) -> float:
    with file.shown(score.images):
        return score(file)


def _write(path, content):
    with staged(check_path("output_dir", path, "file")) as stage:
        stage.write_bytes(content)


def _row(name, made, score):
    record = made.record
    return {
        "model": name,
        "form": record.quantization,
        "bytes": record.bytes,
        "milliseconds": round(made.milliseconds(), 4),
        "score": score,
        "difference": record.max_abs_difference,
        "in_float": record.float_ops,
        "float_share": record.float_share,
        "rounding": record.rounding,
        "reason": None,
    }


def _failed(name, form, error):
    keys = ("bytes", "milliseconds", "score", "difference", "float_share", "rounding")
    reason = f"{type(error).__name__}: {str(error)[:300]}"
    row = {"model": name, "form": form, **dict.fromkeys(keys)}
    return {**row, "in_float": {}, "reason": reason}


def _warn(error):
    warnings.warn(
        "Expected networks that can be exported to LiteRT. Received: "
        f"{type(error).__name__}: {str(error)[:200]}. The result is complete "
        "but for the .tflite files and their figures.",
        stacklevel=6,
    )


def pairs_of(rows) -> dict[str, tuple]:
    """Returns the rows of the comparison before and after.

    Args:
        rows: What `written_files` returned.
    """
    if not rows:
        return {}
    before = rows[0]
    after = next(r for r in rows[1:] if r["form"] == before["form"])
    return {
        f"LiteRT_{before['form']}_bytes": (before["bytes"], after["bytes"]),
        "milliseconds": (before["milliseconds"], after["milliseconds"]),
    }
