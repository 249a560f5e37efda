"""What users pass by mistake: the message says what it was, and what to do instead."""

import os

import arguments
import keras
import numpy as np
import pytest

import keras_basisprune as kbp

IMAGES, LABELS = arguments.IMAGES, arguments.LABELS
PAIR = IMAGES, LABELS
ONCE = kbp.Recovery(epochs=1)


@pytest.fixture
def model():
    return kbp.graph.flatten(arguments.model())


def ending(*layers):
    """A small network with some end, of images of 8 x 8."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


class Epochs(keras.callbacks.Callback):
    """Counts epochs."""

    seen = 0

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1


@pytest.mark.parametrize("form", [lambda x: x, lambda x: [x], lambda x: (x, [])])
def test_callbacks_come_as_keras_takes_them(model, form):
    counter = Epochs()
    kbp.recover(model, PAIR, config=ONCE, callbacks=form(counter), verbose=0)
    assert counter.seen == 1
    recipe = kbp.Recipe(epochs=2, threshold=0.5)
    converted = kbp.convert(model)
    kbp.sparsify(converted, PAIR, config=recipe, callbacks=form(counter), verbose=0)
    assert counter.seen == 3


def test_one_callback_goes_through_a_search(model):
    counter = Epochs()
    options = kbp.SearchOptions(rounds=1)
    kbp.compress(
        model, PAIR, PAIR, max_drop=0.99, cost="params", methods=["channels"],
        recover=ONCE, callbacks=counter, config=options, verbose=0,
    )  # fmt: skip
    assert counter.seen >= 1


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([keras.layers.Flatten, lambda: keras.layers.Dense(1)], "a regression"),
        ([keras.layers.Flatten, lambda: keras.layers.Dense(1, "relu")], "a regression"),
        ([lambda: keras.layers.Conv2D(3, 1, activation="softmax")], "a segmentation"),
        ([lambda: keras.layers.Reshape((64, 4))], "a segmentation, a sequence"),
        (
            [keras.layers.Flatten, lambda: keras.layers.Dense(1, "sigmoid")],
            r"keras.layers.Concatenate\(\)\(\[1 - y, y\]\)",
        ),
    ],
)
def test_other_tasks_are_told_the_way(layers, words):
    model = ending(*(layer() for layer in layers))
    with pytest.raises(ValueError, match=words) as caught:
        kbp.sparsify(model, PAIR)
    text = str(caught.value)
    assert "`model` to have outputs of shape (batch, classes)" in text
    assert "softmax" not in text
    assert ("step by step" in text) == ("regression" in words or "seg" in words)
    assert not model.compiled


def test_steps_that_the_message_names_work_for_a_regression():
    model = ending(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2))
    whole = kbp.convert(model, data=IMAGES, verbose=0)
    np.testing.assert_allclose(whole(IMAGES), model(IMAGES), atol=1e-5)
    small = kbp.fold(
        kbp.convert(model, keep=0.6, cost="params", data=IMAGES, verbose=0)
    )
    assert kbp.measure.cost(small).params < kbp.measure.cost(model).params
    assert small(IMAGES).shape == (12, 2)


def test_a_sigmoid_becomes_a_classifier_as_the_message_says():
    model = ending(keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid"))
    y = model.output
    both = keras.Model(model.input, keras.layers.Concatenate()([1 - y, y]))
    said = model.predict(IMAGES, verbose=0)[:, 0]
    np.testing.assert_allclose(both.predict(IMAGES, verbose=0)[:, 1], said)
    labels = (said > np.median(said)).astype(int)
    right = np.mean((said > 0.5) == labels)
    assert kbp.measure.accuracy(both, (IMAGES, labels)) == pytest.approx(right)
    options = {"cost": "params", "methods": ["channels"], "verbose": 0}
    result = kbp.compress(both, IMAGES, IMAGES, max_drop=0.5, **options)
    assert result.met_budget
    assert result.report.params_ratio < 1


@pytest.mark.parametrize(
    ("layer", "weight", "value"),
    [
        ("conv1", "kernel", np.nan),
        ("norm1", "moving_variance", np.nan),
        ("norm1", "gamma", np.inf),
        ("head", "bias", -np.inf),
    ],
)
def test_weights_that_are_no_numbers_are_named(model, layer, weight, value):
    weights = getattr(model.get_layer(layer), weight)
    broken = np.array(keras.ops.convert_to_numpy(weights))
    broken.flat[0] = value
    plan = kbp.select_channels(
        model, scores=kbp.scores.channels.l2_norm(model), keep=0.6, scope="global"
    )
    converted = kbp.convert(model)
    ranks = kbp.select_bases(converted, keep=0.5, cost="params")
    weights.assign(broken)
    nested = keras.Sequential([keras.Input((8, 8, 1)), model])
    channels = kbp.scores.channels
    for call in (
        lambda: kbp.compress(model, PAIR, PAIR, verbose=0),
        lambda: kbp.compress(nested, PAIR, PAIR, verbose=0),
        lambda: kbp.convert(model),
        lambda: kbp.convert(model, data=IMAGES, verbose=0),
        lambda: kbp.convert(model, keep=0.5),
        lambda: kbp.select_bases(model, keep=0.5),
        lambda: kbp.scores.bases(model),
        lambda: kbp.scores.bases(model, IMAGES, verbose=0),
        lambda: kbp.convert(model, ranks, basis="regression", data=IMAGES, verbose=0),
        lambda: kbp.compensate(model, plan, IMAGES, verbose=0),
        lambda: kbp.surgery.recalibrate(model, IMAGES, verbose=0),
        lambda: kbp.recover(model, PAIR),
        lambda: channels.activation(model, IMAGES),
        lambda: channels.compensated(model, IMAGES),
        lambda: channels.l1_norm(model),
        lambda: channels.taylor(model, PAIR, loss="sparse_categorical_crossentropy"),
        lambda: kbp.measure.latency(model, runs=1),
    ):
        with pytest.raises(ValueError, match=f"in layer `{layer}`") as caught:
            call()
        assert "Expected `model` to have finite weights" in str(caught.value)
        assert "Scale the images" not in str(caught.value)


def test_a_converted_model_with_broken_weights_is_named(model):
    converted = kbp.convert(model)
    scaling = converted.get_layer("conv2_scaling")
    scaling.scale.assign(np.full(scaling.scale.shape, np.nan))
    for call in (
        lambda: kbp.select_bases(converted, keep=0.5, cost="params"),
        lambda: kbp.sparsify(converted, PAIR),
    ):
        with pytest.raises(ValueError, match="in layer `conv2_scaling`"):
            call()


def test_infinite_weights_of_a_users_layer_are_let_pass():
    class Masked(keras.layers.Layer):
        def build(self, shape):
            self.mask = self.add_weight(
                shape=(2,), initializer=lambda *_, **__: [0.0, -np.inf], trainable=False
            )

        def call(self, inputs):
            return keras.ops.where(self.mask == 0.0, inputs, inputs)

    model = ending(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2))
    model = keras.Model(model.input, Masked()(model.output))
    converted = kbp.convert(model)
    np.testing.assert_allclose(converted(IMAGES), model(IMAGES), atol=1e-5)


@pytest.mark.parametrize("methods", [("basis", "channels"), ("basis",), ("channels",)])
def test_nothing_to_cut_is_said_at_once(methods):
    flat = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="only"),
        ]
    )
    with pytest.raises(
        ValueError, match="whose bases or channels can be removed"
    ) as why:
        kbp.compress(flat, PAIR, PAIR, methods=methods, verbose=0)
    assert "`only` (" in str(why.value)
    assert ("bases: only convolutions" in str(why.value)) == ("basis" in methods)
    assert ("channels: " in str(why.value)) == ("channels" in methods)


def test_a_network_of_dense_layers_has_no_bases_to_cut():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu", name="hidden"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    data = np.random.default_rng(0).random((12, 6), "float32"), LABELS
    with pytest.raises(ValueError, match="`hidden` .bases: only convolutions"):
        kbp.compress(model, data, data, methods=["basis"], verbose=0)


@pytest.mark.parametrize("methods", [("basis", "channels"), ("channels",)])
def test_a_network_of_dense_layers_loses_channels(methods):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(32, activation="relu", name="hidden"),
            keras.layers.Dense(32, activation="relu", name="second"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    x = np.random.default_rng(0).standard_normal((200, 6), "float32")
    labels = np.argmax(model.predict(x, verbose=0), -1)
    result = kbp.compress(
        model,
        (x, labels),
        (x, labels),
        max_drop=0.05,
        cost="params",
        methods=methods,
        verbose=0,
    )
    assert result.met_budget
    assert result.report.params_ratio < 0.8
    assert kbp.measure.accuracy(result.model, (x, labels)) >= 0.95
    # Bases can't be taken, so that nothing is tried by them.
    assert {trial.to_channels for trial in result.trials} == {1.0}
    found = [trial for trial in result.trials if np.isfinite(trial.score)]
    assert len(found) >= 3
    assert all(np.isfinite(trial.kept) for trial in found)


def places(folder):
    """Paths at which no file can be, and what is in the way."""
    (folder / "file").write_text("mine")
    os.symlink(folder / "nowhere", folder / "dangling")
    os.symlink(folder / "loop", folder / "loop")
    return {
        folder / "file": "no folder",
        folder / "file" / "below": "no folder",
        folder / "dangling": "a link to",
        folder / "dangling" / "below": "a link to",
        folder / "loop": "a link to",
    }


def test_folders_that_can_not_be_written(model, tmp_path):
    for path, words in places(tmp_path).items():
        before = sorted(tmp_path.rglob("*"))
        for given in (path, str(path)):
            with pytest.raises(ValueError, match=f"`output_dir`.*{words}"):
                kbp.compress(model, PAIR, PAIR, output_dir=given, verbose=0)
            with pytest.raises(ValueError, match="`path`"):
                kbp.export_saved_model(model, given)
            for suffix in ("a.tflite", "a.png"):
                if words == "no folder" or "below" in path.name:
                    file = path / suffix
                    with pytest.raises(ValueError, match=f"`path`.*{words}"):
                        if suffix == "a.png":
                            kbp.measure.plot_bases(kbp.convert(model), file)
                        else:
                            kbp.export_tflite(model, file)
        with pytest.raises(ValueError, match="`path`"):
            kbp.LatencyTable(path / "table.json")
        assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_data_at_a_dangling_link_are_named(tmp_path):
    os.symlink(tmp_path / "nowhere", tmp_path / "photos")
    with pytest.raises(ValueError, match="`spec`.*link to .*nowhere.*isn't there"):
        kbp.load_data(tmp_path / "photos")


def test_a_dangling_link_stays_as_it_is(model, tmp_path):
    os.symlink(tmp_path / "nowhere", tmp_path / "bases.png")
    with pytest.raises(ValueError, match="`path` to be no link to nothing.*nowhere"):
        kbp.measure.plot_bases(kbp.convert(model), tmp_path / "bases.png")
    assert os.readlink(tmp_path / "bases.png") == str(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("seed", [-1, 2**31, 2**40, 0.0, True, None])
def test_seeds(model, seed):
    match = r"`seed` to be an integer (>= 0|in \[0, 2147483647\])"
    for call in (
        lambda: kbp.compress(model, PAIR, PAIR, seed=seed),
        lambda: kbp.Recovery(seed=seed),
        lambda: kbp.scores.channels.random(model, seed=seed),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_numbers_of_numpy_are_numbers(model):
    scores = kbp.scores.channels.l2_norm(model)
    wanted = kbp.select_channels(model, scores=scores, keep=0.5, scope="global")
    for keep in (np.float64(0.5), np.float32(0.5), np.array(0.5), keras.ops.array(0.5)):
        assert (
            kbp.select_channels(model, scores=scores, keep=keep, scope="global")
            == wanted
        )
    assert kbp.Limits(min_kept=np.int64(2)).min_kept == 2
    assert kbp.Recovery(seed=np.int32(3), learning_rate=np.float32(0.5)).seed == 3


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        (LABELS + 0.0, "astype"),
        (LABELS[:5], "as many labels as images"),
        (LABELS.astype(str), "numbers|integers"),
    ],
)
def test_labels_are_told_what_is_wrong_with_them(model, labels, remedy):
    for call in (
        lambda: kbp.measure.accuracy(model, (IMAGES, labels)),
        lambda: kbp.recover(model, (IMAGES, labels)),
        lambda: kbp.compress(model, (IMAGES, labels), PAIR),
    ):
        with pytest.raises(ValueError, match=remedy):
            call()
