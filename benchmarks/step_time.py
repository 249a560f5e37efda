"""Time of a training step: scales of bases against all weights, on one device.

    KERAS_BACKEND=jax python -m benchmarks.step_time --model=ResNet50 --size=224 \\
        --batch=64 --dtype=mixed_bfloat16

Steps of three kinds, in one run and in turns, on the same batch of random images with
random weights (the time of a step does not depend on them):

- *all weights*: full fine-tuning of the original, Adam.
- *scales, rank r*: what `convert(rank=r, l1=...)` trains: one factor per basis, and
  BatchNormalization and head; the bases are frozen. Rank 1.0 is the start of basis
  pruning, smaller ranks are where it goes.
- *all weights, folded r*: fine-tuning of the small plain network (`fold`).

A step is one compiled function of JAX (loss, gradient, Adam, new weights), with the
batch on the device; its time is the median over `--repeats` rounds of `--steps` steps.
Prints a Markdown table; *ratio* is to the first row.
"""

import functools
import statistics
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

_MODEL = flags.DEFINE_enum("model", "ResNet50", ["VGG16", "ResNet50", "MobileNet"], "")
_SIZE = flags.DEFINE_integer("size", 224, "Width and height of the images.")
_BATCH = flags.DEFINE_integer("batch", 64, "Images per step.")
_CLASSES = flags.DEFINE_integer("classes", 10, "Of the new head.")
_DTYPE = flags.DEFINE_string("dtype", "float32", "A policy, such as mixed_bfloat16.")
_RANKS = flags.DEFINE_list("ranks", ["1.0", "0.5", "0.25"], "Shares of the full rank.")
_STEPS = flags.DEFINE_integer("steps", 20, "Steps that are timed together.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Rounds.")


def transfer(name, size, classes) -> keras.Model:
    """Builds a network with a new head of softmax classes, and random weights."""
    build = getattr(keras.applications, name)
    trunk = build(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    head = keras.layers.Dense(classes, activation="softmax", dtype="float32")
    return keras.Model(trunk.inputs, head(trunk.outputs[0]))


class Step:
    """A compiled training step of one network, which keeps its state on the device.

    Args:
        model: A built classifier with softmax outputs.
        batch: A pair `(x, y)` of arrays.
    """

    def __init__(self, model, batch):
        import jax

        optimizer = keras.optimizers.Adam(1e-4)
        optimizer.build(model.trainable_variables)
        lists = (model.trainable_variables, model.non_trainable_variables)
        lists = (*lists, optimizer.variables)
        self._state = tuple([v.value + 0 for v in variables] for variables in lists)
        self._batch = jax.device_put(batch)
        step = functools.partial(_step, model, optimizer)
        self._step = jax.jit(step, donate_argnums=0)
        self.seconds: list[float] = []
        self.trained = sum(int(np.prod(v.shape)) for v in lists[0])
        self.cost = kbp.measure.cost(model)

    def run(self, steps) -> float:
        """Runs some steps and returns the loss of the last one."""
        loss = None
        for _ in range(steps):
            self._state, loss = self._step(self._state, self._batch)
        return float(loss)

    def timed(self, steps):
        """Adds the time of one step, a mean over some, to `seconds`."""
        start = time.perf_counter()
        self.run(steps)
        self.seconds.append((time.perf_counter() - start) / steps)


def _step(model, optimizer, state, batch):
    import jax

    trainable, others, slots = state
    given = functools.partial(_loss, model, others=others, batch=batch)
    (loss, others), gradient = jax.value_and_grad(given, has_aux=True)(trainable)
    trainable, slots = optimizer.stateless_apply(slots, gradient, trainable)
    return (trainable, others, slots), loss


def _loss(model, trainable, others, batch):
    images, labels = batch
    said, others, losses = model.stateless_call(
        trainable, others, images, training=True, return_losses=True
    )
    loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, said))
    return loss + sum(losses), others


def networks(model, ranks) -> dict[str, keras.Model]:
    """Returns the networks that are compared, by the names of the rows."""
    found = {"all weights": model}
    for rank in ranks:
        converted = kbp.convert(model, rank=rank, l1=1e-4, verbose=0)
        found[f"scales, rank {rank:g}"] = converted
        if rank < 1:
            found[f"all weights, folded {rank:g}"] = kbp.fold(converted)
    return found


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    if keras.config.backend() != "jax":
        raise app.UsageError("Set KERAS_BACKEND=jax: the step is a function of JAX.")
    import jax

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(_DTYPE.value)
    size, batch = _SIZE.value, _BATCH.value
    model = transfer(_MODEL.value, size, _CLASSES.value)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, size, size, 3)).astype("float32")
    labels = rng.integers(0, _CLASSES.value, batch)
    steps = {}
    for name, network in networks(model, map(float, _RANKS.value)).items():
        start = time.perf_counter()
        steps[name] = Step(network, (images, labels))
        steps[name].run(2)
        print(f"{name}: compiled in {time.perf_counter() - start:.0f} s", flush=True)
    for _ in range(_REPEATS.value):
        for step in steps.values():
            step.timed(_STEPS.value)
    where = jax.devices()[0].device_kind
    print(f"\n{_MODEL.value}, {size} px, batch {batch}, {_DTYPE.value}, on {where}\n")
    print("| trained | weights that train | FLOPs of a pass | ms per step | ratio |")
    print("|---|---:|---:|---:|---:|")
    whole = None
    for name, step in steps.items():
        middle = statistics.median(step.seconds)
        whole = whole or middle
        print(
            f"| {name} | {step.trained:,} | {step.cost.flops / 1e9:.2f} G | "
            f"{1e3 * middle:.1f} | {middle / whole:.2f} |"
        )


if __name__ == "__main__":
    app.run(main)
