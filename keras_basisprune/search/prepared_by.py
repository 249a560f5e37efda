"""Prepares a network for a method."""

import keras

# Strength of the regularization in training. The paper on network slimming uses 1e-4 to
# 1e-5.
_L1 = 1e-4


def prepared_by(method, model, images, seed) -> keras.Model:
    """Prepares a network for a method, the same each time.

    Args:
        method: A `Method`.
        model: A `keras.Model`.
        images: Unlabelled samples.
        seed: Integer, to which the global random seed is set.

    Returns:
        A new `keras.Model`.

    Raises:
        ValueError: If the method can't work on this network.
    """
    keras.utils.set_random_seed(seed)
    return method.prepare(model, data=images, l1=_L1 if method.train else 0.0)
