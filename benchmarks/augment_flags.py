"""Flags of benchmarks that change images at random in training."""

from absl import flags

from keras_basisprune.training.augmentation import augmentation

_FLIP = flags.DEFINE_string("flip", "none", "As in keras-basisprune compress.")
_SHARES = [
    flags.DEFINE_float(name, 0.0, "As in keras-basisprune compress.")
    for name in ("shift", "zoom", "contrast", "brightness")
]


def augment():
    """Returns the `augment` of a `Recovery` by the flags; `None` if nothing changes."""
    return augmentation(_FLIP.value, *(share.value for share in _SHARES))
