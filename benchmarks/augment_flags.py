"""The flags by which benchmarks change images at random, in training."""

from absl import flags

from keras_basisprune.training.augmentation import augmentation

_FLIP = flags.DEFINE_string("flip", "none", "As in keras-basisprune compress.")
_SHARES = [
    flags.DEFINE_float(name, 0.0, "As in keras-basisprune compress.")
    for name in ("shift", "zoom", "contrast", "brightness")
]


def augment():
    """What the flags ask for, for a `Recovery`; `None` for nothing."""
    return augmentation(_FLIP.value, *(share.value for share in _SHARES))
