"""The regularizer of network slimming, which remembers what it replaces."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_basisprune")
class SlimmingRegularizer(keras.regularizers.L1):
    """L1, in place of the regularizer that a layer had before.

    `keras_basisprune.methods.slimming` puts it on the factors of BatchNormalization.
    When its network is pruned by the method, or folded, the former one comes back.

    Args:
        l1: Float, the strength.
        instead_of: Any Keras regularizer, the former one. `None` for none.
    """

    def __init__(self, l1: float = 0.01, instead_of: Any = None) -> None:
        super().__init__(l1)
        self.instead_of = keras.regularizers.get(instead_of)

    def get_config(self) -> dict[str, Any]:
        former = keras.regularizers.serialize(self.instead_of)
        return {**super().get_config(), "instead_of": former}
