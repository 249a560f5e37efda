"""The whole job on real digits: budget met, budget missed, wrong data."""

import keras
import numpy as np
import pytest

import keras_basisprune as kbp


@pytest.fixture(scope="module")
def digits():
    return kbp.load_data("digits", image_size=8, channels=1)


@pytest.fixture(scope="module")
def model(digits):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*digits.train, epochs=5, verbose=0)
    return model


def test_compress_stays_within_the_budget_without_training(model, digits):
    weights = model.get_weights()
    result = kbp.compress(
        model, digits.train, digits.validation, 0.03, verbose=0, methods=["bases"]
    )
    before = kbp.accuracy(model, digits.validation)
    after = kbp.accuracy(result.model, digits.validation)
    assert result.met_budget
    assert result.history == {}
    assert after >= before - 0.03
    assert result.report.extra["accuracy on validation"] == (before, after)
    assert result.report.params_ratio < 0.6
    assert result.report.after == kbp.cost(result.model)
    assert {type(x).__module__.split(".")[0] for x in result.model.layers} == {"keras"}
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # The smallest share that was accurate enough, and the largest that was not, meet.
    good = min(keep for keep, reached in result.trials if reached >= before - 0.03)
    bad = max(keep for keep, reached in result.trials if reached < before - 0.03)
    assert bad < good < 1.08 * bad
    assert len(result.trials) == 7
    images = digits.train[0]
    assert len(images) > 1000
    chosen = np.sort(np.random.default_rng(0).permutation(len(images))[:1000])
    images = images[chosen]
    plan = kbp.allocate(kbp.convert(model, data=images, verbose=0), good)
    assert result.plan == plan
    again = kbp.convert(model, plan, "regression", data=images, verbose=0)
    np.testing.assert_allclose(
        kbp.fold(again).predict(images[:9], verbose=0),
        result.model.predict(images[:9], verbose=0),
        atol=1e-5,
    )


def test_compress_trains_the_scales_by_a_recipe(model, digits):
    recipe = kbp.Recipe(epochs=3, threshold=1e-2)
    plain, trained = (
        kbp.compress(
            model,
            digits.train,
            digits.validation,
            0.03,
            way,
            1e-3,
            round_to=2,
            verbose=0,
        )
        for way in (None, recipe)
    )
    assert len(trained.history["kept_bases"]) == 3
    least = kbp.accuracy(model, digits.validation) - 0.03
    assert kbp.accuracy(trained.model, digits.validation) >= least
    for name, kept in trained.plan.bases.items():
        assert set(kept.indices) <= set(plain.plan.bases[name].indices)
        assert kept.total == plain.plan.bases[name].total
        assert len(kept.indices) % 2 == 0 or len(kept.indices) == kept.total


def test_a_budget_that_cannot_be_met_returns_the_original():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(50, activation="softmax")(x))
    images = np.random.default_rng(0).normal(size=(400, 8, 8, 1)).astype("float32")
    data = (images, model.predict(images, verbose=0).argmax(-1))
    with pytest.warns(UserWarning, match="budget of max_drop=0.0 could not be met"):
        result = kbp.compress(model, data, data, 0.0, verbose=0)
    assert not result.met_budget
    assert max(reached for _, reached in result.trials) < 1.0
    np.testing.assert_allclose(
        result.model.predict(images, verbose=0),
        model.predict(images, verbose=0),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x, y: x, "`train` to be a pair"),
        (lambda x, y: (x[:, :4], y), "`train` to hold images of shape \\(8, 8, 1\\)"),
        (lambda x, y: (x, y[:-1]), "`train` to hold one integer label per image"),
        (lambda x, y: (x, y * 1.0), "dtype float64"),
        (lambda x, y: (x, y + 1), "labels in \\[0, 10\\).*from 1 to 10"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_training(model, digits, change, text):
    with pytest.raises(ValueError, match=text):
        kbp.compress(model, change(*digits.train), digits.validation)


def test_sparsify_trains_scales_and_reaches_the_threshold(model, digits):
    converted = kbp.convert(model, l1=1e-3)
    kernels = [x.kernel.numpy() for x in converted.layers if x.name.endswith("_basis")]
    history = kbp.sparsify(
        converted, digits.train, recipe=kbp.Recipe(epochs=3, threshold=1e-2), verbose=0
    )
    kept = history.history["kept_bases"]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 9 + 64
    after = [x.kernel.numpy() for x in converted.layers if x.name.endswith("_basis")]
    for old, new in zip(kernels, after, strict=True):
        np.testing.assert_array_equal(old, new)
    scores = kbp.scores.energy(converted)
    assert all(np.count_nonzero(v) >= 1 for v in scores.values())


def test_sparsify_needs_validation_for_a_budget(model, digits):
    converted = kbp.convert(model)
    with pytest.raises(ValueError, match="`validation` when `recipe.max_drop`"):
        kbp.sparsify(converted, digits.train, recipe=kbp.Recipe(max_drop=0.1))


def test_statistics_follow_the_masks_at_once(digits):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.999)(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    converted = kbp.convert(keras.Model(inputs, outputs))
    recipe = kbp.Recipe(epochs=2, threshold=1e-2, learning_rate=1e-4)
    kbp.sparsify(converted, digits.train, recipe=recipe, verbose=0)
    norm = converted.layers[3]
    features = keras.Model(converted.input, converted.get_layer("conv_scaling").output)
    seen = features.predict(digits.train[0], verbose=0)
    assert norm.momentum == 0.999
    # from 0 at first; by 80 steps with a momentum of 0.999 it would be 8 % of the way
    mean, deviation = seen.mean((0, 1, 2)), seen.std((0, 1, 2))
    assert np.all(np.abs(norm.moving_mean.numpy() - mean) < 0.1 * deviation)


def test_double_pruning_finds_a_smaller_network_than_bases_alone(model, digits):
    ways = (["bases"], ["channels"], ["channels", "bases"])
    results = [
        kbp.compress(
            model, digits.train, digits.validation, 0.03, verbose=0, methods=way
        )
        for way in ways
    ]
    least = kbp.accuracy(model, digits.validation) - 0.03
    for result, way in zip(results, ways, strict=True):
        assert result.met_budget
        assert kbp.accuracy(result.model, digits.validation) >= least
        assert bool(result.plan.channels) == ("channels" in way)
        assert bool(result.plan.bases) == ("bases" in way)
    bases, channels, both = (result.report.params_ratio for result in results)
    assert both < bases
    # The plan says what was done: the same by hand is the same network.
    images = np.sort(np.random.default_rng(0).permutation(len(digits.train[0]))[:1000])
    images = digits.train[0][images]
    plan = kbp.Plan(channels=results[1].plan.channels)
    again = kbp.compensate(model, plan, images, verbose=0)
    np.testing.assert_allclose(
        again.predict(images[:9], verbose=0),
        results[1].model.predict(images[:9], verbose=0),
        atol=1e-5,
    )


def test_without_compensation_fewer_channels_can_leave(model, digits):
    ratios = [
        kbp.compress(
            model,
            digits.train,
            digits.validation,
            0.03,
            verbose=0,
            methods=["channels"],
            compensation=compensation,
        ).report.params_ratio
        for compensation in (True, False)
    ]
    assert ratios[0] < ratios[1]


@pytest.mark.parametrize(
    ("methods", "recipe", "text"),
    [
        ([], None, r"`methods` to name .*methods=\[\]"),
        (["heads"], None, r"`methods` to name 'channels', 'bases'.*\['heads'\]"),
        (["channels"], kbp.Recipe(epochs=1), "'bases' among `methods`.*`recipe`"),
    ],
)
def test_methods_that_are_refused(model, digits, methods, recipe, text):
    with pytest.raises(ValueError, match=text):
        kbp.compress(
            model, digits.train, digits.validation, recipe=recipe, methods=methods
        )
