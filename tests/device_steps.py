"""What `devices_test.py` does on one device and on several, in processes of their own.

python tests/device_steps.py all FILE         eight devices of one process (and one)
python tests/device_steps.py kill PORT NUMBER two processes, of which one dies
python tests/device_steps.py again PORT NUMBER FILE   and what is begun again
"""

import json
import os
import pathlib
import sys

import keras
import numpy as np

import keras_basisprune as kbp

EVEN, ALL = 64, 70  # of the second, eight devices can't share the last batch
NORM = True  # whether networks have BatchNormalization


def network(filters=12):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 1))
    for number, count in enumerate((8, filters)):
        x = keras.layers.Conv2D(count, 3, use_bias=False, name=f"conv{number}")(x)
        if NORM:
            x = keras.layers.BatchNormalization(name=f"norm{number}")(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(4, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs)


def samples(count=ALL):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, count)
    images = rng.standard_normal((count, 8, 8, 1)) + labels[:, None, None, None]
    return images.astype("float32"), labels


def weights(model):
    return [keras.ops.convert_to_numpy(w) for w in model.get_weights()]


def trained_scales(count=ALL):
    """Scales and masks, a guarded metric, and logs of validation."""
    converted = kbp.convert(network(), l1=1e-3)
    config = kbp.Recipe(epochs=2, threshold=0.3, max_drop=0.5)
    train, validation = samples(count), samples()
    history = kbp.sparsify(converted, train, validation, config=config, verbose=0)
    logs = [history.history[name] for name in ("val_loss", "val_accuracy")]
    return [*weights(converted), *map(np.array, logs)]


def recovered(callbacks=(), data=None, size=32):
    """Trained towards a teacher, after channels were removed."""
    model, images = network(), samples()[0] if data is None else data
    plan = kbp.select_channels(model, keep=0.6)
    small = kbp.prune(model, plan)
    config = kbp.Recovery(epochs=4, batch_size=size)
    history = kbp.recover(
        *(small, images, samples()),
        teacher=model,
        config=config,
        callbacks=callbacks,
        verbose=0,
    )
    return [*weights(small), np.array(history.history["val_loss"][-2:])]


def statistics():
    """Bases of data, compensation, statistics of BatchNormalization."""
    images = samples(EVEN)[0]
    converted = kbp.convert(network(), keep=0.5, data=images, verbose=0)
    plan = kbp.select_channels(network(), keep=0.5, data=images)
    corrected = kbp.compensate(network(), plan, images, verbose=0)
    renewed = corrected
    if NORM:
        renewed = kbp.surgery.recalibrate(network(), images, verbose=0)
    accuracy = kbp.measure.accuracy(network(), samples())
    answers = keras.ops.convert_to_numpy(converted(images))
    return [answers, *weights(corrected), *weights(renewed), np.array(accuracy)]


def scores():
    loss = "sparse_categorical_crossentropy"
    channels, model = kbp.scores.channels, network()
    bases = kbp.scores.taylor(kbp.convert(model), samples(), loss=loss)
    return [
        channels.taylor(model, samples(), loss=loss),
        channels.activation(model, samples()[0]),
        *bases.values(),
        *kbp.scores.bases(model, samples(EVEN)[0], verbose=0).values(),
    ]


def gates():
    """Which gates are open."""
    gated = kbp.methods.channel_gates(network())
    config = kbp.training.GateOptions(epochs=3)
    kbp.training.train_gates(gated, samples(), samples(), keep=0.5, config=config)
    plan = kbp.Plan.from_masks(gated)
    return [np.array(kept.indices) for kept in plan.channels.values()]


def channel_scales():
    row = kbp.methods.METHODS["channel_scaling"]
    prepared = row.prepare(network(), data=samples()[0], l1=1e-3)
    row.train(prepared, samples(), epochs=1)
    return weights(prepared)


def compressed(output_dir=None):
    result = kbp.compress(
        *(network(), samples(), samples()),
        max_drop=0.2,
        methods=["basis"],
        recover="scales",
        epochs=1,
        output_dir=output_dir,
        config=kbp.SearchOptions(samples=EVEN, trial_samples=EVEN, rounds=1),
        verbose=0,
    )
    kept = [trial.kept for trial in result.trials]
    return [*weights(result.model), np.nan_to_num(kept, nan=-1)]


STEPS = {
    "scales": trained_scales,
    "recover": recovered,
    "statistics": statistics,
    "scores": scores,
    "gates": gates,
    "channel scales": channel_scales,
    "compress": compressed,
}


def model_parallel():
    """A distribution of filters among four devices, which can't share pruned ones."""
    devices = keras.distribution.list_devices()
    mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"], devices)
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*conv.*kernel"] = (None, None, None, "model")
    return keras.distribution.ModelParallel(layout_map=layouts)


def difference(one, other):
    """The largest difference; infinite if shapes differ."""
    if [np.shape(a) for a in one] != [np.shape(b) for b in other]:
        return float("inf")
    pairs = zip(one, other, strict=True)
    finite = [
        (np.nan_to_num(a, posinf=0), np.nan_to_num(b, posinf=0)) for a, b in pairs
    ]
    return float(max(np.abs(a - b).max() for a, b in finite))


def error(call):
    try:
        call()
    except ValueError as found:
        return str(found)
    return ""


def on_eight_devices(path):
    one = {name: step() for name, step in STEPS.items()}
    np.savez(path.with_suffix(".npz"), *one["recover"], kept=one["compress"][-1])
    found = {"devices": keras.distribution.get_device_count()}
    with keras.distribution.DataParallel().scope():
        place = network().get_layer("head").kernel.value.sharding
        found["places"] = len(place.device_set)
        found["many"] = {k: difference(one[k], step()) for k, step in STEPS.items()}
        found["odd batch"] = error(lambda: recovered(size=30))
        bound = keras.Input(batch_shape=(4, 8, 8, 1))
        flat = keras.ops.reshape(bound, (4, 64))
        bound = keras.Model(bound, keras.layers.Dense(4, "softmax")(flat))
        found["bound"] = error(lambda: kbp.recover(bound, samples(), verbose=0))
    with model_parallel().scope():
        spec = str(network().get_layer("conv1").kernel.value.sharding.spec)
        found["spec"] = spec
        found["model parallel"] = difference(one["recover"], recovered())
    path.write_text(json.dumps(found), encoding="utf-8")


class Death(keras.callbacks.Callback):
    """Ends the second process when its third epoch begins."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and not keras.distribution.distribution().data_shard_id == 0:
            os._exit(9)


def join(port, number):
    """Becomes one of two processes on this machine."""
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(f"127.0.0.1:{port}", 2, int(number))
    keras.distribution.set_distribution(keras.distribution.DataParallel())


def writers():
    """All processes get the same callbacks and paths."""
    backup = keras.callbacks.BackupAndRestore("../backup")
    return [backup, keras.callbacks.CSVLogger("log.csv", append=True)]


def main(what, *words):
    if what == "all":
        on_eight_devices(pathlib.Path(words[0]))
        return
    port, number, *path = words
    join(port, number)
    if what == "kill":
        recovered([*writers(), Death()])
        return
    with np.load(path[0]) as file:
        kept, wanted = file["kept"], [file[k] for k in file.files if k != "kept"]
    other = samples(ALL + int(number))[0][:ALL]
    kbp.measure.plot_bases(kbp.convert(network()), "bases.png")
    found = {
        "recover": difference(wanted, recovered(writers())),
        "other data": error(lambda: recovered(data=other)),
        "latency": error(
            lambda: kbp.compress(network(), samples(), samples(), cost="latency")
        ),
        "kept": difference([kept], [compressed("out")[-1]]),
    }
    pathlib.Path("found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
