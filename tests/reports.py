"""Contents of a `report.json`, small and large."""

import numpy as np

HOSTILE = "a\"b'<script>alert(1)</script>&amp;"


def sample_report(layers=6, trials=14, **changes):
    """A complete report of version 2 whose numbers are made up, but fit together.

    Args:
        layers: How many layers; the first has a hostile name, the last is left alone.
        trials: How many trials; every fifth has no score.
        **changes: Fields that take the place of those made here.
    """
    rng = np.random.default_rng(0)
    rows = [_layer(i, layers, rng) for i in range(layers)]
    tried = [_trial(i, trials, rng) for i in range(trials)]
    scored = [i for i, trial in enumerate(tried) if trial["good_enough"]]
    report = {
        "version": 2,
        "versions": {"keras_basisprune": "0.1.0", "keras": "3.15.1", "numpy": "2.3"},
        "seed": 7,
        "arguments": {
            "max_drop": 0.01,
            "cost": "flops",
            "methods": ["basis", "channels"],
            "recover": "all",
            "distill": True,
            "epochs": 5,
        },
        "model": {"name": "mobilenet_1.00_64", "input_shape": [64, 64, 3]},
        "met_budget": True,
        "metric": "accuracy",
        "baseline": 0.951,
        "least": 0.941,
        "before_after": [
            _row("parameters", 3239114, 220260),
            _row("FLOPs", 92528640, 9160335),
            _row("LiteRT float32 bytes", 12998012, 941208),
            _row("milliseconds", 4.21, 0.83),
            _row("accuracy on validation", 0.951, 0.943),
            _row("accuracy on test", 0.9445, 0.9387),
        ],
        "trials": tried,
        "chosen": min(scored, key=lambda i: tried[i]["kept"]) if scored else None,
        "layers": rows,
        "spectra": [_spectrum(row, rng) for row in rows if row["rank"]],
        "equality": [
            _equal("converted", "original", 1.2e-6, 1e-4),
            _equal("pruned", "masked", 8.4e-6, 1e-4),
            _equal("folded", "pruned", 2.1e-6, 1e-4),
            _equal("LiteRT float32", "folded", 3.3e-6, 1e-4),
        ],
        "seconds": {
            "in all": 120.3,
            "fitting": 80.1,
            "evaluation": 10.2,
            "training": 25.0,
        },
        "history": {
            "loss": [0.52, 0.31, 0.25, 0.21, 0.19],
            "accuracy": [0.84, 0.9, 0.92, 0.93, 0.935],
            "val_accuracy": [0.912, 0.925, 0.931, 0.94, 0.943],
            "learning_rate": [0.001, 0.001, 0.0005, 0.0002, 0.0001],
        },
    }
    return {**report, **changes}


def _row(label, before, after):
    return {"label": label, "before": before, "after": after}


def _equal(step, against, difference, tolerance):
    return {
        "step": step,
        "against": against,
        "difference": difference,
        "tolerance": tolerance,
    }


def _trial(i, count, rng):
    kept = 0.5 * 0.04 ** (i / max(count - 1, 1))
    trained = i % 3 == 2
    score = 0.955 - 0.0012 / kept - (0.0 if trained else 0.01) + rng.normal(0, 0.001)
    score = max(score, 0.1)
    score = None if i % 5 == 4 else float(score)
    return {
        "round": 1 + i // 5,
        "kept": kept,
        "params": kept * 0.8,
        "flops": kept,
        "score": score,
        "error": None if score is None else 0.0031,
        "trained": trained,
        "good_enough": score is not None and score >= 0.941,
        "to_channels": 0.33,
        "seconds": 11.2,
    }


def _layer(i, count, rng):
    inputs, outputs = 9 * 2 ** (3 + i % 5), 2 ** (4 + i % 6)
    total = min(inputs, outputs)
    alone = i == count - 1
    depthwise = i % 7 == 3
    rank = None if alone or depthwise else [int(rng.integers(1, total)), total]
    channels = [outputs if alone else int(rng.integers(1, outputs + 1)), outputs]
    left = 1.0 if alone else 0.2
    return {
        "name": HOSTILE if i == 0 else f"block_{i}_expand_convolution",
        "kind": "DepthwiseConv2D" if depthwise else "Conv2D",
        "channels": channels,
        "rank": rank,
        "params": [inputs * outputs, int(inputs * outputs * left)],
        "flops": [inputs * outputs * 64, int(inputs * outputs * 64 * left)],
        "reason": "its output is the output of the model" if alone else None,
    }


def _spectrum(row, rng):
    kept, total = row["rank"]
    values = np.exp(-np.arange(total) * 6 / total) * rng.uniform(0.9, 1, total)
    values = np.sort(values / values.max())[::-1]
    return {
        "name": row["name"],
        "singular_values": [float(value) for value in values[:256]],
        "rank": kept,
    }
