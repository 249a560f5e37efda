"""Training after pruning: what trains, what stays, towards what, and the logs."""

import json
import pathlib
import sys

import keras
import numpy as np
import pytest
from models import array
from other_backend import run_on

import keras_basisprune as kbp
from keras_basisprune.training.distillation import Distillation
from keras_basisprune.training.epochs import EpochData, Epochs
from keras_basisprune.training.recover import Recovery, recover
from keras_basisprune.training.rising_and_falling import rising_and_falling
from keras_basisprune.training.set_aside import set_aside


def network(dropout=0.0, momentum=0.999):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(16, 3, use_bias=False, name="first")(x)
    x = keras.layers.BatchNormalization(momentum=momentum, name="norm")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(24, 3, activation="relu", name="second")(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(10, name="head")(x)
    return keras.Model(inputs, keras.layers.Softmax()(x))


def weights(model):
    return {v.path: array(v) for v in model.weights}


def changed(before, model):
    after = weights(model)
    return {name for name in before if not np.array_equal(before[name], after[name])}


def flags(model):
    layers = {x.name: x.trainable for x in model._flatten_layers()}
    return layers | {v.path: v.trainable for v in model.variables}


def copy(model):
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    return again


@pytest.fixture(scope="module")
def trained(digits):
    keras.utils.set_random_seed(0)
    model = network()
    config = Recovery(epochs=6, learning_rate=1e-2)
    history = recover(
        model, digits.train, digits.validation, teacher=None, config=config, verbose=0
    )
    return model, history


@pytest.fixture
def teacher(trained):
    return trained[0]


@pytest.fixture(scope="module")
def small(digits):
    """A few images, for tests in which nothing has to be learnt."""
    return digits.train[0][:70], digits.train[1][:70]


def test_with_labels_the_loss_falls_and_accuracy_rises(trained, digits):
    model, history = trained
    logs = history.history
    assert set(logs) == {
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
    }
    assert history.epoch == list(range(6))
    assert logs["loss"][-1] < 0.1 < 0.5 < logs["loss"][0]
    assert logs["val_accuracy"][-1] > 0.95
    reached = kbp.measure.accuracy(model, digits.validation)
    assert logs["val_accuracy"][-1] == pytest.approx(reached, abs=1e-9)
    found = model.predict(digits.validation[0], verbose=0)
    right = found[np.arange(len(found)), digits.validation[1]]
    assert logs["val_loss"][-1] == pytest.approx(-np.log(right).mean(), rel=1e-3)
    steps = -(-len(digits.train[0]) // 32)
    up = round(0.1 * 6 * steps)
    done = (np.arange(1, 7) * steps - up) / (6 * steps - up)
    cosine = 1e-2 * (1 + np.cos(np.pi * done)) / 2
    np.testing.assert_allclose(logs["learning_rate"], cosine, atol=1e-7)


def test_scales_train_and_all_else_stays_as_it_is(teacher, small):
    model = kbp.convert(teacher, rank=0.9)
    before, own = weights(model), flags(model)
    recover(model, small, config=Recovery(weights="scales", epochs=1), verbose=0)
    assert changed(before, model) == {
        "first_scaling/scale",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "second_scaling/scale",
        "head/kernel",
        "head/bias",
    }
    assert flags(model) == own


def frozen_base():
    """A nested model and a wrapper, both frozen, and one weight that is."""
    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, name="deep"),
            keras.layers.BatchNormalization(name="norm"),
        ],
        name="base",
    )
    base.trainable = False
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Reshape((6, 48))(base(inputs))
    inner = keras.layers.Dense(8, activation="relu", name="inner")
    wrapper = keras.layers.TimeDistributed(inner, name="wrapper")
    x = keras.layers.Flatten()(wrapper(x))
    wrapper.trainable = False
    head = keras.layers.Dense(10, activation="softmax", name="head")
    outputs = head(x)
    head.bias.trainable = False
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("all", {"deep/kernel", "deep/bias", "inner/kernel", "inner/bias"}),
        ("scales", set()),
    ],
)
def test_nested_and_frozen_layers(small, which, expected):
    model = frozen_base()
    before, own = weights(model), flags(model)
    assert not own["base"] and not own["inner"]
    recover(model, small, config=Recovery(weights=which, epochs=1), verbose=0)
    norm = {f"norm/{x}" for x in ("gamma", "beta", "moving_mean", "moving_variance")}
    found = {"/".join(path.split("/")[-2:]) for path in changed(before, model)}
    assert found == expected | norm | {"head/kernel", "head/bias"}
    assert flags(model) == own


def test_all_trains_the_bases_too(teacher, small):
    model = kbp.convert(teacher, rank=0.9)
    before, own = weights(model), flags(model)
    recover(model, small, config=Recovery(epochs=1), verbose=0)
    fixed = set(before) - changed(before, model)
    ends = ("_scaling/kernel", "_scaling/bias", "_scaling/mask")
    assert fixed and all(name.endswith(ends) for name in fixed)
    assert flags(model) == own


def test_a_convolution_can_be_the_head(small):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="features")(inputs)
    x = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = keras.layers.Reshape((10,))(keras.layers.Conv2D(10, 1, name="head")(x))
    model = keras.Model(inputs, keras.layers.Activation("softmax")(x))
    before = weights(model)
    recover(model, small, config=Recovery(weights="scales", epochs=1), verbose=0)
    assert changed(before, model) == {"head/kernel", "head/bias"}


@pytest.mark.parametrize("labels", [False, True])
def test_a_teacher_brings_a_damaged_network_back(teacher, digits, labels):
    student = kbp.convert(teacher, rank=0.6)
    known = teacher.predict(digits.validation[0], verbose=0)
    wanted = (digits.validation[0], known.argmax(-1))
    before = kbp.measure.accuracy(student, wanted)
    config = Recovery(epochs=4, learning_rate=5e-3)
    train, validation = digits.train, digits.validation
    if not labels:
        train, validation = train[0], (validation[0], None)
    history = recover(
        student, train, validation, teacher=teacher, config=config, verbose=0
    ).history
    after = kbp.measure.accuracy(student, wanted)
    assert before < 0.8
    assert after > 0.93
    logs = {"loss", "agreement", "val_loss", "val_agreement", "learning_rate"}
    assert set(history) == logs | ({"val_accuracy"} if labels else set())
    assert history["val_agreement"][-1] == pytest.approx(after, abs=1e-9)
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    found = student.predict(digits.validation[0], verbose=0).astype("float64")
    terms = known * (np.log(known + 1e-30) - np.log(found + 1e-30))
    assert history["val_loss"][-1] == pytest.approx(terms.sum(-1).mean(), rel=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_loss_equals_numpy(temperature):
    logits = np.random.default_rng(0).normal(scale=15, size=(2, 6, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert probabilities.min() < 1e-15
    soft = np.exp(logits / temperature)
    teacher, student = soft / soft.sum(-1, keepdims=True)
    terms = teacher * np.log(teacher / student)
    expected = temperature**2 * terms.sum(-1).mean()
    found = Distillation(temperature)(*probabilities.astype("float32"))
    assert float(array(found)) == pytest.approx(expected, rel=1e-5)
    again = Distillation.from_config(Distillation(temperature).get_config())
    assert again.temperature == temperature


def test_a_certain_class_that_is_wrong_still_learns():
    # `keras.losses.KLDivergence` clips at 1e-7, and its gradient vanishes.
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(2), keras.layers.Softmax()]
    )
    model.set_weights([np.zeros((1, 2)), np.array([30.0, -10.0])])
    model.compile(keras.optimizers.SGD(1.0), Distillation())
    x = np.zeros((1, 1), "float32")
    model.fit(x, np.array([[0.0, 1.0]], "float32"), verbose=0)
    np.testing.assert_allclose(model.get_weights()[1], [29.0, -9.0], rtol=1e-6)


def test_without_a_wrong_answer_nothing_is_lost(teacher, small):
    targets = teacher.predict(small[0], verbose=0)
    assert abs(float(array(Distillation(3.0)(targets, targets)))) < 1e-6


@pytest.mark.parametrize("distilled", [False, True])
def test_the_same_seed_gives_the_same_weights(digits, small, distilled):
    def run(noise, seed, built):
        keras.utils.set_random_seed(built)  # for the seeds inside dropout and flips
        model = network(dropout=0.3)
        flip = keras.layers.RandomTranslation(0.2, 0.2)
        model.set_weights(start)
        keras.utils.set_random_seed(noise)
        config = Recovery(epochs=2, seed=seed, augment=flip, batch_size=16)
        guide = network(momentum=0.9) if distilled else None
        if guide:
            guide.set_weights(others)
        recover(model, small, None, teacher=guide, config=config, verbose=0)
        return model.get_weights()

    start, others = (network(dropout=0.3).get_weights() for _ in range(2))
    first, again, other = run(1, 5, 2), run(3, 5, 4), run(1, 6, 2)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_killed_run_goes_on_as_if_nothing_had_been(small, tmp_path):
    class Killer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 7:
                raise KeyboardInterrupt

    keras.utils.set_random_seed(0)
    first, start = network(dropout=0.3), network(dropout=0.3).get_weights()
    again = copy(first)
    for model in (first, again):
        model.set_weights(start)
    config = Recovery(epochs=4, initial_epoch=5, learning_rate=1e-2)
    recover(first, small, config=config, verbose=0)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        recover(again, small, config=config, callbacks=[backup, Killer()], verbose=0)
    again.set_weights(start)
    history = recover(again, small, config=config, callbacks=[backup], verbose=0)
    assert history.epoch == [7, 8]
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


class Numbers:
    """Epochs over the numbers from 0 to 9, as images of one value."""

    images = np.arange(10, dtype="float32").reshape(10, 1)
    labels = np.arange(10)

    def epochs(self, seed=0, epoch=0, **kwargs):
        material = EpochData(self.images, self.labels, **kwargs)
        return Epochs(material, 4, seed, epoch)

    @staticmethod
    def order(epochs):
        batches = [epochs[i] for i in range(epochs.num_batches)]
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        return np.concatenate([x for x, _ in batches])[:, 0]


def test_orders_follow_from_seed_and_epoch_alone():
    make = Numbers()
    epochs = make.epochs(seed=3, epoch=2)
    second = make.order(epochs)
    for i in range(3):
        np.testing.assert_array_equal(epochs[i][0][:, 0], epochs[i][1])
    epochs.start(3)
    third = make.order(epochs)
    expected = [np.random.default_rng((3, e)).permutation(10) for e in (2, 3)]
    np.testing.assert_array_equal([second, third], expected)
    np.testing.assert_array_equal(make.order(make.epochs(seed=3, epoch=3)), third)
    assert not np.array_equal(make.order(make.epochs(seed=4, epoch=2)), second)


def test_a_function_may_draw_from_the_global_random_state():
    def draw(images):
        return images + np.random.uniform(size=(len(images), 1))

    first = [Numbers.order(Numbers().epochs(epoch=e, augment=draw)) for e in (0, 1)]
    epochs = Numbers().epochs(augment=draw)
    epochs.start(1)
    np.testing.assert_array_equal(Numbers.order(epochs), first[1])
    assert not np.array_equal(np.sort(first[0]), np.sort(first[1]))


def test_augmented_images_are_made_once_per_epoch():
    calls = []

    def shift(images):
        calls.append(len(images))
        return images + 100 * len(calls)

    epochs = Numbers().epochs(augment=shift)
    np.testing.assert_array_equal(epochs[1][0], epochs[1][0])
    np.testing.assert_array_equal(epochs[1][0][:, 0] - 200, epochs[1][1])
    epochs.start(0)
    assert calls == [4, 4, 2]
    epochs.start(1)
    assert calls == [4, 4, 2] * 2
    np.testing.assert_array_equal(epochs[2][0][:, 0] - 600, epochs[2][1])


def test_the_teacher_sees_the_augmented_images(teacher, small):
    material = EpochData(small[0], None, lambda x: x[:, :, ::-1], teacher)
    epochs = Epochs(material, 32, seed=0)
    images, answers = epochs[2]
    chosen = np.random.default_rng((0, 0)).permutation(70)[64:]
    np.testing.assert_array_equal(images, small[0][chosen][:, :, ::-1])
    expected = teacher.predict(images, verbose=0)
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    assert np.abs(answers - teacher.predict(small[0][chosen], verbose=0)).max() > 0.1


def test_augment_reaches_training(teacher, digits):
    # A network that has seen upright digits only learns to read them upside down.
    turned = (digits.validation[0][:, ::-1], digits.validation[1])
    model = copy(teacher)
    before = kbp.measure.accuracy(model, turned)
    config = Recovery(epochs=3, learning_rate=1e-2, augment=lambda x: x[:, ::-1])
    recover(model, digits.train, config=config, verbose=0)
    assert before < 0.5
    assert kbp.measure.accuracy(model, turned) > 0.9


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(dict(logs))

    def on_train_end(self, logs=None):
        self.seen.append("end")


def test_callbacks_see_one_run(small):
    recorder = Recorder()
    config = Recovery(epochs=2, initial_epoch=3)
    history = recover(
        network(), small, small, config=config, callbacks=[recorder], verbose=0
    )
    begin, third, logs, fourth, more, end = recorder.seen
    assert (begin, third, fourth, end) == ("begin", 3, 4, "end")
    for name, values in history.history.items():
        assert [logs[name], more[name]] == values
    assert history.epoch == [3, 4]


def test_early_stopping_ends_the_run(small):
    stop = keras.callbacks.EarlyStopping("val_accuracy", mode="min", patience=0)
    config = Recovery(epochs=9, learning_rate=1e-2)
    history = recover(
        network(),
        small,
        small,
        teacher=None,
        config=config,
        callbacks=[stop],
        verbose=0,
    )
    assert 1 < len(history.epoch) < 9


def test_the_best_weights_are_put_back(teacher, digits):
    runs = []
    for keep in (False, True):
        model = copy(teacher)
        blank(model)
        config = Recovery(epochs=2, learning_rate=1e-2, keep_best=keep)
        options = {"config": config, "callbacks": [Disturb([1])], "verbose": 0}
        runs.append((model, recover(model, digits.train, digits.validation, **options)))
    scores = [history.history["val_accuracy"] for _, history in runs]
    assert scores[0] == scores[1]
    assert scores[0][0] > scores[0][1]
    assert [history.best_epoch for _, history in runs] == [None, 0]
    reached = [kbp.measure.accuracy(model, digits.validation) for model, _ in runs]
    np.testing.assert_allclose(reached, scores[0][::-1], atol=1e-9)


def blank(model):
    head = model.get_layer("head")
    head.set_weights([0.0 * w for w in head.get_weights()])


class Disturb(keras.callbacks.Callback):
    """Spoils the head before some epochs end."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch in self.epochs

    def on_train_batch_end(self, batch, logs=None):
        if self.now and batch == self.params["steps"] - 1:
            blank(self.model)


@pytest.mark.parametrize("given", ["images", "nothing"])
def test_harm_is_undone(teacher, digits, given):
    # A network that is as good as its teacher; steps of 0.3 spoil it.
    model = kbp.convert(teacher, rank=0.95)
    before = model.get_weights()
    images = digits.validation[0]
    validation = images if given == "images" else None
    config = Recovery(epochs=2, learning_rate=0.3)
    history = recover(
        model, digits.train[0], validation, teacher=teacher, config=config, verbose=0
    )
    assert history.best_epoch is None
    assert min(history.history["val_loss"]) > 0.1
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # Without a judge it ends worse.
    config = Recovery(epochs=2, learning_rate=0.3, validation_split=0)
    recover(model, digits.train[0], teacher=teacher, config=config, verbose=0)
    known = teacher.predict(images, verbose=0).argmax(-1)
    spoilt = kbp.measure.accuracy(model, (images, known))
    model.set_weights(before)
    assert spoilt < kbp.measure.accuracy(model, (images, known)) - 0.05


def test_images_set_aside_do_not_train_and_are_judged_augmented(teacher, digits):
    seen, images = [], digits.train[0][:50]

    def turned(batch):
        seen.append(batch)
        return batch[:, ::-1]

    student = kbp.convert(teacher, rank=0.6)
    config = Recovery(epochs=1, learning_rate=0.0, augment=turned, validation_split=0.2)
    history = recover(student, images, teacher=teacher, config=config, verbose=0)
    judged, trained = seen[0], np.concatenate(seen[1:])
    assert (len(judged), len(trained)) == (20, 40)
    apart, rest = (np.unique(x.reshape(len(x), -1), axis=0) for x in (judged, trained))
    assert (len(apart), len(rest)) == (10, 40)  # each is judged twice
    found = np.unique(np.concatenate([apart, rest]), axis=0)
    np.testing.assert_array_equal(found, np.unique(images.reshape(50, -1), axis=0))
    told = [m.predict(judged[:, ::-1], verbose=0) for m in (teacher, student)]
    loss = float(array(Distillation()(*told)))
    assert history.history["val_loss"] == [pytest.approx(loss, rel=1e-3)]


def test_labels_are_set_aside_too(digits):
    keras.utils.set_random_seed(0)
    model = network()
    config = Recovery(epochs=2, learning_rate=1e-2, keep_best=True)
    logs = recover(model, digits.train, config=config, verbose=0).history
    train, aside = set_aside(digits.train, 0.1, 0)
    assert len(aside[1]) == round(0.1 * len(digits.train[1]))
    assert len(train[1]) + len(aside[1]) == len(digits.train[1])
    reached = kbp.measure.accuracy(model, aside)
    assert max(logs["val_accuracy"]) == pytest.approx(reached, abs=1e-9)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(10, 0.25, 2), (10, 0.0, 0), (3, 0.01, 1), (1, 0.9, 0)],
)
def test_how_many_images_are_set_aside(count, share, expected):
    x = np.arange(count)
    (left, none), aside = set_aside((x, None), share, seed=4)
    assert none is None
    assert (0 if aside is None else len(aside[0])) == expected
    parts = left if aside is None else np.concatenate([left, aside[0]])
    np.testing.assert_array_equal(np.sort(parts), x)
    again = set_aside((x, x), share, seed=4)[0]
    np.testing.assert_array_equal(again, [left, left])


def test_the_rate_rises_and_falls():
    rates = [float(rising_and_falling(0.5, 20, 0.25)(step)) for step in range(21)]
    falling = 0.25 * (1 + np.cos(np.pi * np.arange(16) / 15))
    expected = [0.0, 0.1, 0.2, 0.3, 0.4, *falling]
    np.testing.assert_allclose(rates, expected, atol=1e-6)
    rates = [float(rising_and_falling(0.5, 4, 0.1)(step)) for step in range(5)]
    falling = 0.25 * (1 + np.cos(np.pi * np.arange(5) / 4))
    np.testing.assert_allclose(rates, falling, atol=1e-6)


def test_a_resumed_run_knows_the_best_of_before(teacher, small, tmp_path):
    class Killer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 7:
                raise KeyboardInterrupt

    def run(*callbacks):
        model = copy(teacher)
        blank(model)
        spoils = [Disturb([6, 7, 8]), *callbacks]
        history = recover(
            model, small[0], teacher=teacher, config=config, callbacks=spoils, verbose=0
        )
        return model, history

    config = Recovery(epochs=4, initial_epoch=5, learning_rate=1e-3)
    whole, history = run()
    assert history.best_epoch == 5
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        run(backup, Killer())
    resumed, history = run(backup)
    assert (history.epoch, history.best_epoch) == ([7, 8], 5)
    assert np.any(array(resumed.get_layer("head").kernel))
    for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not [x for x in vars(resumed) if "memory" in x]


def test_all_is_put_back_when_a_callback_fails(teacher, small):
    class Failing(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            during.append((flags(self.model), self.model.get_layer("norm").momentum))

        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("enough")

    during, model = [], kbp.convert(teacher)
    model.get_layer("head").trainable = False
    own = flags(model)
    with pytest.raises(RuntimeError, match="enough"):
        recover(model, small, config=Recovery(momentum=0.8), callbacks=[Failing()],
                verbose=0)  # fmt: skip
    assert during[0][0] != own
    assert during[0][1] == 0.8
    assert flags(model) == own
    assert model.get_layer("norm").momentum == 0.999
    # Compiled anew, for the flags that hold again.
    head = model.get_layer("head").get_weights()
    history = model.fit(*small, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    for old, new in zip(head, model.get_layer("head").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("fitted", [False, True])
def test_training_begins_where_a_fitted_model_is(teacher, digits, fitted, labels):
    # Means are three deviations off; what was fitted makes up for it, in inference.
    model = copy(teacher)
    norm = model.get_layer("norm")
    own, offset = array(norm.moving_mean), array(norm.beta)
    deviation = np.sqrt(array(norm.moving_variance) + norm.epsilon)
    norm.moving_mean.assign(own + 3 * deviation)
    if fitted:
        norm.beta.assign(offset + 3 * array(norm.gamma))
    before = array(norm.beta)
    guide = None if labels else teacher
    still = Recovery(epochs=1, learning_rate=0.0, keep_best=False)
    gamma = array(norm.gamma)
    recover(model, digits.train, teacher=guide, config=still, verbose=0)
    order = np.random.default_rng(still.seed).permutation(len(digits.train[0]))
    probe = keras.Model(model.inputs, norm.input)
    seen = array(probe(digits.train[0][order[:512]])).mean((0, 1, 2))
    wanted = offset + gamma * (seen - own) / deviation if fitted else before
    np.testing.assert_allclose(array(norm.beta), wanted, atol=1e-4 * fitted)


def test_an_untrained_model_has_nothing_to_keep(small):
    keras.utils.set_random_seed(0)
    model = network()
    before = array(model.get_layer("norm").gamma)
    recover(model, small, config=Recovery(epochs=1, learning_rate=0.0), verbose=0)
    np.testing.assert_array_equal(array(model.get_layer("norm").gamma), before)


def test_batch_normalization_in_a_wrapper_only(small):
    inputs = keras.Input((8, 8, 1))
    norm = keras.layers.BatchNormalization(name="inside")
    x = keras.layers.TimeDistributed(norm)(inputs)
    x = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x)
    history = recover(model, small, config=Recovery(epochs=1), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.abs(array(norm.moving_mean)).max() > 0


def test_statistics_keep_up(teacher, digits):
    model = copy(teacher)
    norm = model.get_layer("norm")
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma, beta, mean + 9, variance * 9])
    recover(model, digits.train, config=Recovery(weights="scales", epochs=1), verbose=0)
    # 40 steps: what is left of the error is 0.9^40 = 1.5 % (0.999^40 would be 96 %).
    error = np.abs(array(norm.moving_mean) - mean)
    assert error.max() < 0.05 * 9
    assert norm.momentum == 0.999


def other_outputs():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


def logits_of(model):
    return keras.Model(model.input, model.get_layer("head").output)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: a | {"train": a["train"][0]}, "`train` to be a pair"),
        (lambda a: a | {"train": (a["train"][0], None)}, "`train`.*y=None"),
        (lambda a: a | {"validation": a["train"][0]}, "`validation` to be a pair"),
        (lambda a: a | {"train": (a["train"][0] / np.float32(0), None)}, "finite"),
        (lambda a: a | {"teacher": other_outputs()}, "`teacher` to have outputs .*10"),
        (lambda a: a | {"teacher": a["model"]}, "`teacher` to have weights of its own"),
        (
            lambda a: a | {"teacher": logits_of(network())},
            "`teacher` to return probabilities",
        ),
        (lambda a: a | {"model": logits_of(a["model"])}, "`model` to return probabil"),
        (
            lambda a: a | {"config": Recovery(keep_best=True, validation_split=0)},
            "`validation` when `config.keep_best`.*validation_split=0.1",
        ),
        (
            lambda a: a | {"config": Recovery(augment=lambda x: x[:, :4])},
            "`augment` to return images of shape \\(32, 8, 8, 1\\).*\\(32, 4, 8, 1\\)",
        ),
        (
            lambda a: a | {"config": Recovery(augment=lambda x: x[:1])},
            "`augment` to return images",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_does_not_fit_is_refused_before_training(small, change, text):
    arguments = change({"model": network(), "train": small})
    before = weights(arguments["model"])
    with pytest.raises(ValueError, match=text):
        recover(**arguments, verbose=0)
    assert not changed(before, arguments["model"])
    assert not arguments["model"].compiled


def test_a_model_without_weights_is_refused(small):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Softmax()(x))
    with pytest.raises(ValueError, match="`model` to have weights that train"):
        recover(model, small[0], teacher=copy(model), verbose=0)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("weights", "head", "`weights` to be 'all' or 'scales'"),
        ("epochs", 0, "`epochs` to be a positive integer.*epochs=0"),
        ("epochs", 1.5, "epochs=1.5. Start with 5"),
        ("learning_rate", -1.0, "`learning_rate` to be a float"),
        ("warmup", 1.5, "`warmup` to be a float in \\[0.0, 1.0\\].*warmup=1.5"),
        ("keep_best", "yes", "`keep_best` to be True or False.*'yes'"),
        ("validation_split", 1.0, "`validation_split`.*\\[0, 1\\).*1.0. Start with"),
        ("learning_rate", "fast", "learning_rate='fast'"),
        ("batch_size", True, "`batch_size`.*True"),
        ("momentum", 1.1, "`momentum`.*\\[0.0, 1.0\\]"),
        ("temperature", 0.0, "`temperature`.*0.0"),
        ("temperature", float("nan"), "`temperature`.*nan"),
        ("seed", -1, "`seed`"),
        ("initial_epoch", -1, "`initial_epoch`"),
        ("augment", "flip", "`augment`.*'flip'.*RandomFlip"),
    ],
)
def test_recoveries_out_of_range(name, value, text):
    with pytest.raises(ValueError, match=text):
        Recovery(**{name: value})


def test_tensorboard_shows_scalars_and_scales(teacher, small, tmp_path):
    pytest.importorskip(
        "tensorboard", reason="`keras.callbacks.TensorBoard` needs `tensorboard`"
    )
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    model, rows = kbp.convert(teacher, rank=0.9), {}
    for first in (0, 2):  # the second recovery goes on counting
        board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)
        config = Recovery(weights="scales", epochs=2, initial_epoch=first)
        history = recover(
            model,
            small,
            small,
            teacher=None,
            config=config,
            callbacks=[board],
            verbose=0,
        )
        for name, values in history.history.items():
            rows.setdefault(name, []).extend(zip(history.epoch, values, strict=True))
    read = {}
    for part in ("train", "validation"):
        events = event_accumulator.EventAccumulator(str(tmp_path / part))
        read[part] = events.Reload()

    def values(part, tag):
        for event in read[part].Tensors(tag):
            yield event.step, tensor_util.make_ndarray(event.tensor_proto)

    assert [epoch for epoch, _ in rows["loss"]] == [0, 1, 2, 3]
    for name, expected in rows.items():
        part = "validation" if name.startswith("val_") else "train"
        tag = f"epoch_{name.removeprefix('val_')}"
        np.testing.assert_allclose(list(values(part, tag)), expected, rtol=1e-6)
    (*_, (step, bins)) = values("train", "first_scaling/scale/histogram")
    scale = array(model.get_layer("first_scaling").scale)
    assert step == 3
    assert bins[:, 2].sum() == len(scale)
    assert bins[0, 0] == pytest.approx(scale.min())
    assert bins[-1, 1] == pytest.approx(scale.max())


def other_backend():
    """What is tried on JAX and PyTorch, in a process of its own."""
    data = kbp.load_data("digits", image_size=8, channels=1)
    images, labels = data.train[0][:128], data.train[1][:128]
    validation = data.validation[0][:50], data.validation[1][:50]
    keras.utils.set_random_seed(0)
    model = network(dropout=0.1)
    flip = keras.layers.RandomTranslation(0.05, 0.05)
    config = Recovery(epochs=3, learning_rate=1e-2, augment=flip, keep_best=True)
    history = recover(
        model, (images, labels), validation, teacher=None, config=config, verbose=0
    )
    found = {"backend": keras.backend.backend(), "history": history.history}
    found["accuracy"] = kbp.measure.accuracy(model, validation)
    runs = []
    for which in ("all", "scales", "all"):
        student = kbp.convert(model, rank=0.6)
        before, own = weights(student), flags(student)
        options = {"learning_rate": 5e-3, "temperature": 2.0, "keep_best": False}
        config = Recovery(weights=which, epochs=2, **options)
        recover(student, images, images[:50], teacher=model, config=config, verbose=0)
        runs.append([x.tolist() for x in student.get_weights()])
        found[which] = sorted(changed(before, student))
        found[f"{which} flags"] = flags(student) == own
    found["same"] = runs[0] == runs[2]
    return found


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, tmp_path):
    path = tmp_path / "found.json"
    run_on(backend, pathlib.Path(__file__).name, path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["backend"] == backend
    assert found["history"]["loss"][-1] < 0.8 * found["history"]["loss"][0]
    best = max(found["history"]["val_accuracy"])
    assert found["accuracy"] == pytest.approx(best, abs=1e-9)
    assert found["same"] and found["all flags"] and found["scales flags"]
    bases = {"first_basis/kernel", "second_basis/kernel"}
    assert set(found["all"]) - set(found["scales"]) == bases
    assert len(found["scales"]) == 8


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(json.dumps(other_backend()), encoding="utf-8")


class Lists(keras.utils.PyDataset):
    """Batches of lists of inputs and of targets."""

    def __init__(self, inputs, targets):
        super().__init__()
        self._arrays = inputs, targets

    @property
    def num_batches(self):
        return 2

    def __getitem__(self, index):
        part = slice(20 * index, 20 * index + 20)
        return keras.tree.map_structure(lambda array: array[part], self._arrays)


@pytest.mark.parametrize("taught", [False, True])
def test_lists_of_inputs_and_outputs_train_as_dicts_do(taught):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(40, 3)).astype("float32") for _ in "ab"]
    y = [x[0][:, :2], x[1][:, :1]]

    def network(named):
        keras.utils.set_random_seed(1)
        inputs = [keras.Input((3,), name=name) for name in "ab"]
        hidden = keras.layers.Dense(5, "tanh")(keras.layers.Add()(inputs))
        outputs = [keras.layers.Dense(n, name=f"o{n}")(hidden) for n in (2, 1)]
        if named:
            inputs = dict(zip("ab", inputs, strict=True))
            outputs = dict(zip("cd", outputs, strict=True))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "mse")
        return model

    def trained(named, data):
        model = network(named)
        teacher = None
        if taught:
            teacher = network(named)
            teacher.set_weights([1.5 * w for w in teacher.get_weights()])
        config = kbp.Recovery(epochs=2, keep_best=False)
        kbp.recover(model, data, teacher=teacher, config=config, verbose=0)
        return model.get_weights()

    names = dict(zip("ab", x, strict=True)), dict(zip("cd", y, strict=True))
    wanted = trained(True, names)
    assert np.abs(wanted[0] - network(True).get_weights()[0]).max() > 1e-4
    for one, other in zip(trained(False, (x, y)), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    streamed = trained(False, Lists(x, y))
    assert np.abs(streamed[0] - network(False).get_weights()[0]).max() > 1e-4
