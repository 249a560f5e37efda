"""What holds for every row of `METHODS`, on every model."""

import warnings

import numpy as np
from channel_oracle import zeroed
from contract import hold_saved, same_state, state_of
from models import TOLERANCE, array, identical, outputs, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask


def method_differences(method, model, path=None):
    """Goes all the way with a method; what it trains is trained for a few steps.

    Args:
        method: A row of `METHODS`.
        model: A classifier with random weights.
        path: A folder, to save and load there too.

    Returns:
        A dict of largest relative differences between forms that must agree.
    """
    x, state = sample(model, batch=24), state_of(model)
    before = outputs(model, x)
    prepared = method.prepare(model, data=x, l1=1e-4)
    found = {"prepared": relative_difference(before, outputs(prepared, x))}
    assert not {id(w) for w in model.weights} & {id(w) for w in prepared.weights}
    if path:
        hold_saved(prepared, x, path / "prepared.keras")

    masks = trained_masks(trace(prepared))
    if method.train:
        _hold_training(method, prepared, x)
    if method.train and masks:
        _mask_half(masks)
        plan = method.plan(prepared)
        assert plan == kbp.Plan.from_masks(prepared)
    else:
        given = {"keep": 0.6, "data": x, "cost": "flops"}
        plan = method.plan(prepared, **given)
        _hold_scores(method, prepared, plan, given)
    parts = {"bases": plan.bases, "channels": plan.channels}
    assert {part for part, kept in parts.items() if kept} == set(method.removes)

    small = method.carry_out(prepared, plan, data=x)
    assert small.count_params() < prepared.count_params()
    after = outputs(small, x)
    assert relative_difference(before, after) > 1e-4
    if all(name in masks for name in (*plan.bases, *plan.channels)):
        for name, kept in (plan.bases | plan.channels).items():
            masks[name].layer.mask.assign(np.isin(np.arange(kept.total), kept.indices))
        found["pruned"] = relative_difference(outputs(prepared, x), after)
    elif not masks and _only_pruned(prepared, plan, after, x):
        found["pruned"] = relative_difference([array(zeroed(prepared, plan)(x))], after)
    _hold_kept(small, plan)

    folded = kbp.fold(small)
    found["folded"] = relative_difference(after, outputs(folded, x))
    assert not any(isinstance(layer, TrainedMask) for layer in folded.layers)
    assert all(type(op).__module__.startswith("keras.") for op in folded.operations)
    again = kbp.fold(folded)
    assert [op.get_config() for op in again.layers] == [
        op.get_config() for op in folded.layers
    ]
    assert identical(outputs(folded, x), outputs(again, x))
    if path:
        hold_saved(folded, x, path / "folded.keras")
    assert same_state(state, state_of(model))
    found["original"] = relative_difference(before, outputs(model, x))
    return found


def hold_method(method, model, path):
    """Asserts that all forms agree."""
    found = method_differences(method, model, path)
    assert max(found.values()) <= TOLERANCE["float32"], found
    assert found["original"] == 0.0
    return found


def hold_training_again(method, model):
    """The same seed trains the same once more."""
    x = sample(model, batch=24)
    prepared = method.prepare(model, data=x, l1=1e-4)
    before, found = prepared.get_weights(), []
    for _ in range(2):
        prepared.set_weights(before)
        _hold_training(method, prepared, x)
        found.append(prepared.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def _hold_training(method, prepared, x):
    """A few steps change weights, in place."""
    assert prepared.trainable_weights
    before = prepared.get_weights()
    labels = np.arange(len(x)) % prepared.output_shape[-1]
    with warnings.catch_warnings():  # so few steps may mask nothing
        warnings.simplefilter("ignore")
        share = 0.6 if method.train_each else None
        assert method.train(prepared, (x, labels), epochs=1, keep=share, seed=3) is None
    after = prepared.get_weights()
    assert any((new != old).any() for new, old in zip(after, before, strict=True))


def _hold_scores(method, prepared, plan, given):
    """What is computed once serves any plan, and both steps in one do the same."""
    if method.scores:
        given = {**given, "scores": method.scores(prepared, data=given["data"])}
        assert method.plan(prepared, **given) == plan
    if method.plan_and_carry_out:
        both, small = method.plan_and_carry_out(prepared, **given)
        assert both == plan
        apart = method.carry_out(prepared, plan, data=given["data"])
        x = given["data"]
        assert relative_difference(outputs(apart, x), outputs(small, x)) <= 1e-6


def _mask_half(masks):
    rng = np.random.default_rng(0)
    for weighed in masks.values():
        mask = np.ones(weighed.count)
        mask[rng.permutation(weighed.count)[: weighed.count // 2]] = 0.0
        weighed.layer.mask.assign(mask)
        weighed.layer.scale.assign(rng.uniform(0.5, 1.5, weighed.count))


def _only_pruned(prepared, plan, after, x):
    """Whether the method does nothing to the weights that stay."""
    if plan.bases:
        return False
    return relative_difference(outputs(kbp.prune(prepared, plan), x), after) == 0.0


def _hold_kept(small, plan):
    """As many bases and channels are left as the plan keeps."""
    layers = {layer.name: layer for layer in small.layers}
    for name, kept in plan.bases.items():
        assert layers[f"{name}_scaling"].scale.shape == (len(kept.indices),)
    for name, kept in plan.channels.items():
        names = [n for n in (name, f"{name}_scaling") if n in layers]
        output = layers[names[-1]].output
        output = output[0] if isinstance(output, list) else output
        assert output.shape[-1] == len(kept.indices)


def tried_on_one_family_each(methods, families):
    """Each method on one family, all families in turn: where time is short."""
    makers = list(families.values())
    return {
        name: method_differences(method, makers[number % len(makers)]())
        for number, (name, method) in enumerate(methods.items())
    }
