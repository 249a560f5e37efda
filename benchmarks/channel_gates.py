"""Do architectures transfer? Channel gates against other criteria, and against chance.

    python -m benchmarks.pack_to_npz --pack=cifar10_jpeg.npz.xz --per_class=200 \\
        --output=cifar.npz  # and so on
    python -m benchmarks.channel_gates --source=cifar.npz \\
        --targets=fashion.npz,eurosat.npz --keep=0.5,0.25,0.1

A small network (six 3x3 convolutions of `--width`, twice and four times as many
filters) is trained on the source. At each share of its FLOPs, widths are chosen there:
by gates (a training of their own for each seed), by L1 norm, by `compensated`, by
`bn_scale` (all layers ranked together), the same share of each layer (uniform), and at
random: of each layer a share that is drawn log-normally, with a standard deviation of
0.5. Each architecture is then drawn
afresh and trained from scratch on each target. All tasks have ten classes.

Prints each result when it is there, and Markdown tables in the end: mean test accuracy
in percent, and its standard deviation over seeds.
"""

import logging
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.methods.channel_gates import channel_gates
from keras_basisprune.surgery import fresh
from keras_basisprune.training import GateOptions, train_gates

_SOURCE = flags.DEFINE_string("source", None, "As in load_data.", required=True)
_TARGETS = flags.DEFINE_list("targets", None, "The same.", required=True)
_KEEP = flags.DEFINE_list("keep", ["0.5", "0.25", "0.1"], "Shares of the FLOPs.")
_SEEDS = flags.DEFINE_integer("seeds", 2, "Seeds for each way to choose.")
_RANDOM = flags.DEFINE_integer("random", 5, "Random architectures per share.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs on the source, and from scratch.")
_GATE_EPOCHS = flags.DEFINE_integer("gate_epochs", 8, "Epochs that gates train.")
_WAYS = flags.DEFINE_list(
    "ways",
    ["gates", "L1 norm", "compensated", "BatchNorm scale", "uniform", "random"],
    "Ways to choose.",
)
_WIDTH = flags.DEFINE_integer("width", 16, "Filters of the first two convolutions.")
_TEST = flags.DEFINE_integer("test", 2000, "Test images, at most.")


def network(width):
    """Six convolutions with BatchNormalization, at half the input's size and less."""
    x = inputs = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for number, (factor, strides) in enumerate(
        ((1, 2), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1))
    ):
        conv = keras.layers.Conv2D(
            *(factor * width, 3, strides),
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )
        norm = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{number}")
        x = keras.layers.ReLU(name=f"relu{number}")(norm(conv(x)))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10, "softmax", name="head")(x))


def trained(model, train, seed):
    """Trained by Adam, from 3e-3 on, in batches of 64."""
    keras.utils.set_random_seed(seed)
    steps = _EPOCHS.value * -(-len(train[0]) // 64)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(*train, epochs=_EPOCHS.value, batch_size=64, verbose=0)
    return model


def gated(model, train, keep, seed):
    """The widths that gates choose."""
    prepared = channel_gates(model)
    config = GateOptions(epochs=_GATE_EPOCHS.value, learning_rate=3e-3)
    train_gates(prepared, train, keep=keep, config=config, seed=seed)
    return kbp.Plan.from_masks(prepared)


def at_random(model, keep, seed):
    """Widths by chance."""
    rng = np.random.default_rng(seed)
    traced = trace(model)
    groups = groups_of(traced, channel_map(traced))
    scores = rng.random(len(groups))
    for name, of in groups.layers.items():
        if name.startswith("conv"):
            scores[of] *= np.exp(0.5 * rng.standard_normal())
    return chosen(model, scores, keep)


def chosen(model, scores, keep, scope="global"):
    """The plan of some scores."""
    return kbp.select_channels(model, keep=keep, scores=scores, scope=scope)


def plans(model, train, keep):
    """Yields names of ways to choose, seeds, and plans."""
    criteria = kbp.scores.channels
    scores = {
        "L1 norm": criteria.l1_norm(model, aggregate="mean", normalize="mean"),
        "compensated": criteria.compensated(model, train[0][:500]),
        "BatchNorm scale": criteria.bn_scale(model),
    }
    makers = {
        "gates": lambda seed: gated(model, train, keep, seed),
        "uniform": lambda seed: chosen(model, scores["L1 norm"], keep, "local"),
        "random": lambda seed: at_random(model, keep, seed),
    }
    for name, found in scores.items():
        makers[name] = lambda seed, found=found: chosen(model, found, keep)
    for seed in range(max(_SEEDS.value, _RANDOM.value)):
        for name in _WAYS.value:
            if seed < (_RANDOM if name == "random" else _SEEDS).value:
                yield name, seed, makers[name](seed)


def widths(model, plan):
    """Kept filters of each convolution."""
    layers = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    kept = {name: len(part.indices) for name, part in plan.channels.items()}
    return "-".join(str(kept.get(layer.name, layer.filters)) for layer in layers)


def table(results, keeps, targets):
    """The Markdown table of mean and standard deviation."""
    names = dict.fromkeys(name for name, *_ in results)
    titles = [f"{keep:.0%}, {target}" for keep in keeps for target in targets]
    lines = [f"| chosen by | {' | '.join(titles)} |", "|---|" + "---:|" * len(titles)]
    for name in names:
        cells = []
        for keep in keeps:
            for target in targets:
                found = [r[-1] for r in results if r[:3] == (name, keep, target)]
                mean, spread = np.mean(found), np.std(found)
                cells.append(f"{mean:.1f} ± {spread:.1f}" if found else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(_):
    logging.getLogger("tensorflow").setLevel("ERROR")  # of each new network's compiling
    source = kbp.load_data(_SOURCE.value, image_size=32, channels=3)
    targets = {
        path: kbp.load_data(path, image_size=32, channels=3) for path in _TARGETS.value
    }
    keras.utils.set_random_seed(0)
    model = trained(network(_WIDTH.value), source.train, 0)
    before = kbp.measure.cost(model)
    shown = kbp.measure.accuracy(model, tuple(a[: _TEST.value] for a in source.test))
    print(f"{before}\n{source}: {shown:.3f}", flush=True)
    keeps, results = [float(keep) for keep in _KEEP.value], []
    for target, data in targets.items():
        print(target, data, flush=True)
    for keep in keeps:
        for name, seed, plan in plans(model, source.train, keep):
            for target, data in targets.items():
                start = time.time()
                new = trained(fresh(model, plan, seed), data.train, seed)
                test = tuple(part[: _TEST.value] for part in data.test)
                accuracy = 100 * kbp.measure.accuracy(new, test)
                share = kbp.measure.cost(new).flops / before.flops
                results.append((name, keep, target, accuracy))
                print(
                    f"{name}, {seed}: {share:.1%} of the FLOPs, {widths(model, plan)}, "
                    f"{target}: {accuracy:.2f} ({time.time() - start:.0f} s)",
                    flush=True,
                )
    print(table(results, keeps, list(targets)))


if __name__ == "__main__":
    app.run(main)
