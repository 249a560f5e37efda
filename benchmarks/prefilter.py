"""How much of a mixed source does pre-training need? Filters against all, and chance.

    python -m benchmarks.pack_to_npz --pack=cifar10_jpeg.npz.xz --per_class=450 \\
        --output=cifar.npz  # and so on
    python -m benchmarks.prefilter --parts=cifar.npz,eurosat.npz,fashion.npz \\
        --target=eurosat.npz --seeds=3
    python -m benchmarks.prefilter --parts=cifar.npz:0/1/8/9,cifar.npz:2/3/4/5/6/7 \\
        --target=cifar.npz:0/1/8/9 --encoder=mobilenet_notop.weights.h5

The source mixes the training images of all `--parts` (files, or some classes of a
file). The target has `--target_images` images of one of them, which are not in the
source; their labels are hidden from `select_relevant`. Its encoder is either a small
network that is pre-trained on `--encoder_images` of the source, or MobileNet with the
weights of a file.

For each way to choose and each share that is kept, a small network (six 3x3
convolutions) is pre-trained on the labels of the kept images, at full and at half
resolution, for the same number of epochs. It then gets a new head and is trained on the
target images at full resolution, in the same way whatever came before; the first row is
without pre-training.

Prints each result when it is there, and Markdown tables in the end: the share of images
of the target's part among the kept ones, test accuracy in percent and its standard
deviation over seeds, and seconds of filtering and pre-training (CPU time, so that other
work on the machine doesn't count).
"""

import logging
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

_PARTS = flags.DEFINE_list("parts", None, "Files, as in load_data.", required=True)
_TARGET = flags.DEFINE_string("target", None, "One of the parts.", required=True)
_KEEP = flags.DEFINE_list("keep", ["0.06", "0.12", "0.25"], "Shares of the source.")
_METHODS = flags.DEFINE_list("methods", ["clusters", "domain", "random"], "Of filters.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Seeds, counted from --first_seed.")
_FIRST = flags.DEFINE_integer("first_seed", 0, "The first seed.")
_PER_PART = flags.DEFINE_integer("per_part", 4000, "Source images of each part.")
_TARGETS = flags.DEFINE_integer("target_images", 500, "Target images.")
_SIZE = flags.DEFINE_integer("size", 32, "Height and width of images.")
_HALF = flags.DEFINE_bool("half", True, "Whether to pre-train at half resolution, too.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Epochs of pre-training.")
_TUNING = flags.DEFINE_integer("tuning", 20, "Epochs on the target.")
_WIDTH = flags.DEFINE_integer("width", 16, "Filters of the first two convolutions.")
_TEST = flags.DEFINE_integer("test", 2000, "Test images, at most.")
_ENCODER = flags.DEFINE_string("encoder", None, "Weights of MobileNet, without top.")
_ENCODER_SIZE = flags.DEFINE_integer("encoder_size", 64, "Input of MobileNet.")
_ENCODED = flags.DEFINE_integer("encoder_images", 2000, "To pre-train an encoder on.")


def network(width, classes):
    """Six convolutions with BatchNormalization; images of any size, [0, 255]."""
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for factor, strides in ((1, 2), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1)):
        x = keras.layers.Conv2D(
            *(factor * width, 3, strides),
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
        )(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    return with_head(keras.Model(inputs, x), classes)


def with_head(body, classes):
    """A classifier on the maps of another model."""
    x = keras.layers.GlobalAveragePooling2D(name="pool")(body.output)
    x = keras.layers.Dense(classes, "softmax", name="head")(x)
    return keras.Model(body.input, x)


def body(model):
    """The model below its pooling."""
    return keras.Model(model.input, model.get_layer("pool").input)


def trained(model, images, labels, epochs, rate, seed):
    """Trained by Adam in batches of 64; also returns seconds."""
    start = time.process_time()
    keras.utils.set_random_seed(seed)
    steps = epochs * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(images, labels, epochs=epochs, batch_size=64, verbose=0)
    return model, time.process_time() - start


def part(name, size):
    """Training and test images of a part, its classes numbered from zero."""
    path, _, chosen = name.partition(":")
    data = kbp.load_data(path, image_size=size, channels=3, validation_split=0)
    wanted = [int(label) for label in chosen.split("/")] if chosen else None
    return [_of_classes(*pair, wanted) for pair in (data.train, data.test)]


def _of_classes(images, labels, wanted):
    if wanted is None:
        return images, labels
    chosen = np.isin(labels, wanted)
    number = {label: place for place, label in enumerate(wanted)}
    return images[chosen], np.array([number[label] for label in labels[chosen]])


def mixed(names, target, size, seed):
    """The mixed source with labels and parts; images of the target; its test images."""
    images, labels, parts, classes = [], [], [], 0
    for place, name in enumerate(names):
        train, test = part(name, size)
        order = np.random.default_rng((seed, place)).permutation(len(train[0]))
        if name == target:
            own, order = order[: _TARGETS.value], order[_TARGETS.value :]
            tuning = train[0][own], train[1][own]
            tests = tuple(array[: _TEST.value] for array in test)
        order = order[: _PER_PART.value]
        images.append(train[0][order])
        labels.append(train[1][order] + classes)
        parts.append(np.full(len(order), place))
        classes += int(train[1].max()) + 1
    order = np.random.default_rng(seed).permutation(sum(map(len, labels)))
    source = [np.concatenate(arrays)[order] for arrays in (images, labels, parts)]
    return source, tuning, tests


def encoder(images, labels, seed):
    """A model that gives features, and the seconds that it took to train."""
    if _ENCODER.value:
        shape = (_ENCODER_SIZE.value, _ENCODER_SIZE.value, 3)
        inputs = keras.Input(shape)
        x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
        weights = _ENCODER.value
        base = keras.applications.MobileNet(
            include_top=False, weights=weights, input_shape=shape
        )
        return keras.Model(inputs, base(x)), 0.0
    chosen = np.random.default_rng((seed, 9)).permutation(len(images))
    chosen = chosen[: _ENCODED.value]
    keras.utils.set_random_seed(seed)
    model = network(_WIDTH.value, int(labels.max()) + 1)
    model, seconds = trained(model, images[chosen], labels[chosen], 10, 3e-3, seed)
    return body(model), seconds


def transferred(source, kept, tuning, tests, seed):
    """Test accuracy in percent after both trainings, and seconds of the first."""
    keras.utils.set_random_seed(seed)
    labels = source[1]
    model, seconds = network(_WIDTH.value, int(labels.max()) + 1), 0.0
    if kept is not None:
        images = source[0][kept]
        model, seconds = trained(model, images, labels[kept], _EPOCHS.value, 3e-3, seed)
    model = with_head(body(model), int(tuning[1].max()) + 1)
    model, _ = trained(model, *tuning, _TUNING.value, 2e-3, seed)
    return 100 * kbp.measure.accuracy(model, tests), seconds


def ways(source, target, seed):
    """Yields methods, shares, positions of kept images, and seconds of filtering."""
    yield "no pre-training", 0.0, None, 0.0
    model, before = encoder(source[0], source[1], seed)
    print(f"seed {seed}: encoder trained in {before:.0f} s", flush=True)
    shares = [float(share) for share in _KEEP.value]
    for method in _METHODS.value:
        start = time.process_time()
        found = kbp.data.select_relevant(
            source[0],
            target,
            model,
            keep=shares[0],
            method=method,
            seed=seed,
            verbose=0,
        )
        seconds = time.process_time() - start
        for share in shares:
            yield method, share, found.at(share).indices, seconds
    yield "all", 1.0, np.arange(len(source[0])), 0.0


def table(results, column, digits=1):
    """The Markdown table of mean and standard deviation of one column."""
    sizes = sorted({size for _, _, size, *_ in results}, reverse=True)
    lines = [
        f"| chosen by | kept | {' | '.join(f'{size} px' for size in sizes)} |",
        "|---|---:|" + "---:|" * len(sizes),
    ]
    for method, share in dict.fromkeys((r[0], r[1]) for r in results):
        cells = []
        for size in sizes:
            found = [r[column] for r in results if r[:3] == (method, share, size)]
            text = ""
            if found and np.isfinite(found).all():
                text = f"{np.mean(found):.{digits}f} ± {np.std(found):.{digits}f}"
            cells.append(text)
        lines.append(f"| {method} | {share:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(_):
    logging.getLogger("tensorflow").setLevel("ERROR")  # of each new network's compiling
    names, target = _PARTS.value, _TARGET.value
    if target not in names:
        raise app.UsageError(f"Expected --target to be one of {names}. Got: {target}.")
    own, size = names.index(target), _SIZE.value
    sizes, results = (size, size // 2) if _HALF.value else (size,), []
    for seed in range(_FIRST.value, _FIRST.value + _SEEDS.value):
        source, tuning, tests = mixed(names, target, size, seed)
        sources = {size: source}
        if _HALF.value:
            sources[size // 2] = mixed(names, target, size // 2, seed)[0]
        print(
            f"seed {seed}: source {source[0].shape}, {np.bincount(source[2])} images "
            f"of each part, target {tuning[0].shape}, test {tests[0].shape}",
            flush=True,
        )
        for method, share, kept, filtering in ways(source, tuning[0], seed):
            right = np.nan if kept is None else 100 * np.mean(source[2][kept] == own)
            for pixels in sizes if kept is not None else sizes[:1]:
                accuracy, seconds = transferred(
                    sources[pixels], kept, tuning, tests, seed
                )
                row = (method, share, pixels, right, accuracy, filtering, seconds)
                results.append(row)
                print(
                    f"seed {seed}, {method}, {share:.0%}, {pixels} px: {right:.1f} % "
                    f"of the target's part, accuracy {accuracy:.2f} %, filtered in "
                    f"{filtering:.0f} s, pre-trained in {seconds:.0f} s",
                    flush=True,
                )
    titles = {
        3: "Of the target's part among the kept images, %",
        4: "Accuracy on the target after fine-tuning, %",
        5: "Seconds of filtering",
        6: "Seconds of pre-training",
    }
    for column, title in titles.items():
        print(f"\n{title}\n\n{table(results, column)}")


if __name__ == "__main__":
    app.run(main)
