import warnings

import keras
import numpy as np
import pytest
from diagonal import UNIT_VECTORS, Record, classifier, masks
from models import identical

from keras_basisprune import L1Thresholding
from keras_basisprune.training._guard import Guard

# One step per epoch: 0.3 leaves 3 bases and 75 %, 0.6 leaves 50 %, 0.8 leaves 25 %.
LADDER = (0.0, 0.3, 0.6, 0.8)


def ladder(step):
    return LADDER[min(step, 3)]


def fit(callback, model, epochs=4, **kwargs):
    record = Record()
    kwargs = {"validation_data": UNIT_VECTORS, **kwargs}
    history = model.fit(
        *UNIT_VECTORS,
        batch_size=4,
        epochs=epochs,
        callbacks=[callback, record],
        verbose=0,
        shuffle=False,
        **kwargs,
    ).history
    return history, record


def accuracy(model):
    return model.evaluate(*UNIT_VECTORS, verbose=0, return_dict=True)["accuracy"]


def test_the_ladder_without_a_guard():
    model = classifier()
    history, record = fit(L1Thresholding(ladder), model)
    assert history["val_accuracy"] == [1.0, 0.75, 0.5, 0.25]
    assert [m["a"] for m in record.masks] == ["1111", "1110", "1100", "1000"]


@pytest.mark.parametrize(
    ("arguments", "epochs", "mask", "left"),
    [
        ({"max_drop": 0.1}, 2, "1111", 1.0),
        ({"max_drop": 0.25}, 3, "1110", 0.75),
        ({"max_drop": 0.3}, 3, "1110", 0.75),
        ({"max_drop": 0.6}, 4, "1100", 0.5),
        ({"max_drop": 0.8}, 4, "1000", 0.25),
        ({"max_drop": 0.1, "baseline": 0.8}, 3, "1110", 0.75),
        ({"max_drop": 0.0, "baseline": 0.5}, 4, "1100", 0.5),
    ],
)
def test_the_budget(arguments, epochs, mask, left):
    """A broken budget ends training and brings the last good epoch back."""
    model = classifier(rate=0.01, l1=1e-3)
    begin = model.get_weights()
    callback = L1Thresholding(ladder, monitor="val_accuracy", **arguments)
    history, record = fit(callback, model)
    assert len(history["val_accuracy"]) == epochs
    assert masks(model) == {"a": mask}
    assert accuracy(model) == left
    last_good = [m["a"] for m in record.masks[: len(LADDER)]].index(mask)
    if epochs < 4 or left > 0.25:
        assert model.stop_training
        assert history["val_accuracy"][-1] < left
    assert identical(model.get_weights(), record.weights[last_good])
    for other in ([begin, *record.weights])[: last_good + 1]:
        assert not identical(model.get_weights(), other)


def test_logs_belong_to_the_epoch_that_was_judged():
    model = classifier()
    callback = L1Thresholding(ladder, monitor="val_accuracy", max_drop=0.3)
    history, _ = fit(callback, model)
    assert history["kept_bases"] == [4, 3, 2]
    assert history["val_accuracy"] == [1.0, 0.75, 0.5]
    assert masks(model) == {"a": "1110"}


def test_nothing_is_masked_before_the_budget_was_met():
    model = classifier()
    callback = L1Thresholding(0.6, monitor="val_accuracy", baseline=1.5, max_drop=0.4)
    history, record = fit(callback, model)
    assert history["kept_bases"] == [4] * 4
    assert not model.stop_training
    assert identical(model.get_weights(), record.weights[-1])


def test_nothing_is_masked_in_the_first_epoch():
    model = classifier()
    history, _ = fit(L1Thresholding(0.3, monitor="val_accuracy", max_drop=0.3), model)
    assert history["kept_bases"] == [4, 3, 3, 3]


def test_less_is_better():
    model = classifier()
    losses = fit(L1Thresholding(ladder), model)[0]["val_loss"]
    assert losses == sorted(losses)
    budget = (losses[1] + losses[2]) / 2 - losses[0]
    for arguments in ({"monitor": "val_loss"}, {"monitor": "val_loss", "mode": "min"}):
        model = classifier()
        callback = L1Thresholding(ladder, max_drop=budget, **arguments)
        history, _ = fit(callback, model)
        assert history["val_loss"] == pytest.approx(losses[:3])
        assert masks(model) == {"a": "1110"}


def test_patience_waits_without_new_masks():
    model = classifier()
    callback = L1Thresholding(ladder, monitor="val_accuracy", max_drop=0.3, patience=2)
    history, record = fit(callback, model, epochs=9)
    assert history["kept_bases"] == [4, 3, 2, 2, 2]
    assert masks(model) == {"a": "1110"}
    assert accuracy(model) == 0.75
    assert model.stop_training


def test_training_that_ends_while_waiting_is_taken_back():
    model = classifier()
    callback = L1Thresholding(ladder, monitor="val_accuracy", max_drop=0.3, patience=5)
    history, record = fit(callback, model, epochs=4)
    assert history["kept_bases"] == [4, 3, 2, 2]
    assert identical(model.get_weights(), record.weights[1])


class Disturb(keras.callbacks.Callback):
    """Flips the sign of two scales in some epochs: the accuracy falls by one half."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        bad = -1.0 if epoch in self.epochs else 1.0
        scale = self.model.get_layer("a_scaling").scale
        scale.assign([1.0, bad, bad, 1.0])


def disturbed(epochs, count, **arguments):
    model = classifier()
    record = Record()
    history = model.fit(
        *UNIT_VECTORS,
        epochs=count,
        batch_size=4,
        validation_data=UNIT_VECTORS,
        callbacks=[L1Thresholding(**arguments), Disturb(epochs), record],
        verbose=0,
    ).history
    return model, history, record


def test_recovers_within_patience():
    model, history, _ = disturbed(
        {2, 3},
        6,
        threshold=lambda step: 0.3 if step > 1 else 0.0,
        monitor="val_accuracy",
        max_drop=0.3,
        patience=3,
    )
    assert history["val_accuracy"] == [1.0, 1.0, 0.25, 0.25, 0.75, 0.75]
    assert history["kept_bases"] == [4, 4, 3, 3, 3, 3]
    assert not model.stop_training
    assert accuracy(model) == 0.75


def test_a_drop_that_is_not_by_masking_does_not_stop():
    """Nothing is masked while the metric is out of the budget."""
    _, history, _ = disturbed(
        {1, 2},
        5,
        threshold=lambda step: 0.3 if step > 2 else 0.0,
        monitor="val_accuracy",
        max_drop=0.3,
    )
    assert history["val_accuracy"] == [1.0, 0.5, 0.5, 1.0, 0.75]
    assert history["kept_bases"] == [4, 4, 4, 4, 3]


def test_a_drop_at_the_end_is_taken_back():
    """The model is never left worse than the budget, whatever the reason."""
    model, history, record = disturbed(
        {4}, 5, threshold=0.3, monitor="val_accuracy", max_drop=0.3, start=9
    )
    assert history["val_accuracy"] == [1.0, 1.0, 1.0, 1.0, 0.5]
    assert accuracy(model) == 1.0
    assert identical(model.get_weights(), record.weights[3])


def test_weights_that_are_averaged_at_the_end_are_taken_back_too():
    """Keras puts moving averages in place after the last epoch's callbacks."""
    model = classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=True)
    callback = L1Thresholding(ladder, monitor="val_accuracy", max_drop=0.3)
    _, record = fit(callback, model)
    assert model.stop_training
    assert identical(model.get_weights(), record.weights[1])


def test_a_second_fit_starts_afresh():
    model = classifier()
    callback = L1Thresholding(ladder, monitor="val_accuracy", max_drop=0.3)
    fit(callback, model)
    assert masks(model) == {"a": "1110"}
    with pytest.warns(UserWarning, match="`baseline` of `val_accuracy` is not known"):
        history, _ = fit(callback, model, epochs=2)
    assert history["kept_bases"] == [3, 1]  # 0.75 is the baseline now
    assert accuracy(model) == 0.75


def test_warns_only_of_an_unknown_baseline():
    model = classifier()
    model.get_layer("a_scaling").mask.assign([1, 1, 1, 0])
    callback = L1Thresholding(
        ladder, monitor="val_accuracy", max_drop=0.3, baseline=1.0
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Bases are masked", UserWarning)
        fit(callback, model)
        fit(L1Thresholding(ladder, monitor="val_accuracy"), classifier())
    assert masks(model) == {"a": "1110"}


def test_refuses_a_missing_metric():
    callback = L1Thresholding(monitor="val_auc")
    text = r"monitor='val_auc'; there are \[.*'val_accuracy'.*`validation_data`"
    with pytest.raises(ValueError, match=text):
        fit(callback, classifier())
    with pytest.raises(ValueError, match="monitor='val_accuracy'; there are"):
        fit(L1Thresholding(monitor="val_accuracy"), classifier(), validation_data=None)


@pytest.mark.parametrize(
    ("monitor", "sign"),
    [
        ("val_accuracy", 1),
        ("auc", 1),
        ("val_mean_io_u", 1),
        ("loss", -1),
        ("val_mae", -1),
        ("val_mean_squared_error", -1),
        ("binary_crossentropy", -1),
    ],
)
def test_auto_mode(monitor, sign):
    assert Guard(monitor, 0.1).sign == sign
    assert Guard(monitor, 0.1, mode="max").sign == 1
    assert Guard(monitor, 0.1, mode="min").sign == -1


def judge(guard, *values, kept=10):
    return [guard.judge({"m": v}, kept, 10, lambda: [np.ones(1)]) for v in values]


@pytest.mark.parametrize(
    ("mode", "values", "baseline"),
    [
        ("max", (0.1, 0.5, 0.3), 0.5),
        ("max", (-3.0, 0.0, -1.0), 0.0),
        ("max", (0.0, -1.0), 0.0),
        ("min", (0.0, 0.5), 0.0),
        ("min", (2.0, 0.5, 1.0), 0.5),
        ("max", (float("nan"), 0.5), 0.5),
        ("max", (0.5, float("nan")), 0.5),
    ],
)
def test_the_baseline_is_the_best_before_masking(mode, values, baseline):
    guard = Guard("m", 0.1, mode=mode)
    judge(guard, *values)
    assert guard.baseline == baseline


def test_the_baseline_stands_once_bases_are_masked():
    guard = Guard("m", 0.1)
    judge(guard, 0.5)
    judge(guard, 0.9, kept=8)
    assert guard.baseline == 0.5


def test_a_metric_that_is_not_a_number_is_out_of_the_budget():
    guard = Guard("m", 0.1)
    assert judge(guard, 0.5) == [False]
    assert judge(guard, float("nan"), kept=8) == [True]
    assert not guard.within


def test_float32_metrics_at_the_edge_are_within():
    guard = Guard("m", 0.01, baseline=0.9)
    assert judge(guard, float(np.float32(0.89))) == [False]
    assert guard.within
    judge(guard, 0.8899)
    assert not guard.within


def test_state_goes_round():
    guard = Guard("m", 0.1, patience=3)
    first, then = [np.ones(2), np.zeros(1)], [np.ones(2), np.ones(1)]
    guard.judge({"m": 0.5}, 10, 10, lambda: first)
    guard.judge({"m": 0.1}, 8, 10, lambda: then)
    state = guard.state(then)
    assert set(state) == {"guard", "good_1"}  # only what differs is kept twice
    again = Guard("m", 0.1, patience=3)
    again.restore(state, then, masked=True)
    assert (again.baseline, again.within, again.strikes) == (0.5, False, 1)
    assert identical(again.good[0], first)
    assert again.good[1] == 10
    fresh = Guard("m", 0.1)
    again.restore(fresh.state(then), then, masked=False)
    assert (again.baseline, again.good, again.strikes) == (None, None, 0)
