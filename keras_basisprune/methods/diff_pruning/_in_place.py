"""Deltas that are written into models, and what stood there before."""

import weakref

from keras_basisprune.methods.diff_pruning._delta_sites import DeltaSites

# By model: the delta that is in it, and what stood there before; and for each delta
# that it has had, what writes it. Nothing here refers to a model: none is kept alive.
_APPLIED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_KNOWN: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def write(delta, model, check):
    """Writes a delta into a model; see `TaskDelta.apply_in_place`."""
    if model in _APPLIED:
        raise ValueError(
            f"Expected `model` to have no delta. Received: model={model.name!r}, which "
            f"has {_APPLIED[model][0]!r}. Call its `remove(model)` first."
        )
    known = _KNOWN.setdefault(model, {})
    if check or delta not in known:
        sites = DeltaSites("model", model, delta)
        sites.check_base()
        sites.check_head()
        known[delta] = sites.scatter()
    _APPLIED[model] = delta, known[delta].write()


def restore(delta, model):
    """Restores a model; see `TaskDelta.remove`."""
    applied, before = _APPLIED.get(model, (None, None))
    if applied is None or (applied is not delta and applied != delta):
        raise ValueError(
            "Expected `model` to have this delta, by `apply_in_place`. Received: "
            f"model={model.name!r}, which has {applied!r}. Remove what it has, if any."
        )
    _KNOWN[model][delta].restore(before)
    del _APPLIED[model]
