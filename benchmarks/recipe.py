"""Compares learning rates of the scales, with and without BatchNormalization.

The networks and data are those of `examples.digits_demo`. Prints a Markdown table.

    python -m benchmarks.recipe
"""

import keras
from absl import app, flags

import keras_basisprune as kbp
from examples.digits_demo import transferred

_RATES = flags.DEFINE_list("rates", ["1e-3", "3e-3", "1e-2", "3e-2"], "What to try.")
_TARGET = flags.DEFINE_float("final_threshold", 5e-3, "Final threshold.")

COLUMNS = "BatchNormalization | rate | test accuracy | parameters kept | FLOPs kept"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    rows = [COLUMNS, "--- | ---: | ---: | ---: | ---:"]
    for batch_norm in (True, False):
        keras.utils.set_random_seed(0)
        model, (train, validation, test) = transferred(batch_norm)
        kind = "with" if batch_norm else "without"
        rows.append(
            f"{kind} | original | {kbp.measure.accuracy(model, test):.4f} | "
            "100 % | 100 %"
        )
        for rate in _RATES.value:
            keras.utils.set_random_seed(0)
            recipe = kbp.Recipe(
                threshold=_TARGET.value, epochs=15, learning_rate=float(rate)
            )
            converted = kbp.convert(model, l1=1e-3)
            kbp.sparsify(converted, train, validation, config=recipe, verbose=0)
            small = kbp.fold(kbp.prune(converted))
            report = kbp.compare(model, small)
            rows.append(
                f"{kind} | {rate} | {kbp.measure.accuracy(small, test):.4f} | "
                f"{report.params_ratio:.1%} | {report.flops_ratio:.1%}"
            )
            print(rows[-1], flush=True)
    print("\n".join(f"| {row} |" for row in rows))


if __name__ == "__main__":
    app.run(main)
