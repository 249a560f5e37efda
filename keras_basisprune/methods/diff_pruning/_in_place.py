"""Deltas that are written into models, and what stood there before."""

import weakref

from keras_basisprune.methods.diff_pruning._delta_sites import DeltaSites

# By model: the delta that is in it; and by delta, what writes and what restores it.
# Nothing here refers back to a model, so none is kept alive.
_APPLIED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_KNOWN: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def write(delta, model, check):
    """Writes a delta into a model; see `TaskDelta.apply_in_place`."""
    if model in _APPLIED:
        raise ValueError(
            f"Expected `model` to have no delta. Received: model={model.name!r}, which "
            f"has {_APPLIED[model]!r}. Call its `remove(model)` first."
        )
    known = _KNOWN.setdefault(model, {})
    if check or delta not in known:
        sites = DeltaSites("model", model, delta)
        sites.check_base()
        sites.check_head()
        known[delta] = sites.writer(), sites.restorer()
    known[delta][0]()
    _APPLIED[model] = delta


def restore(delta, model):
    """Restores a model; see `TaskDelta.remove`."""
    applied = _APPLIED.get(model)
    if applied is None or (applied is not delta and applied != delta):
        raise ValueError(
            "Expected `model` to have this delta, by `apply_in_place`. Received: "
            f"model={model.name!r}, which has {applied!r}. Remove what it has, if any."
        )
    _KNOWN[model][delta][1]()
    del _APPLIED[model]
