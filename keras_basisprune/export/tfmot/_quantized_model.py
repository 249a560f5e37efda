"""TensorFlow Model Optimization's fake quantization in a `tf_keras` model."""

import functools

import keras

from keras_basisprune.export.tfmot._packages import load_tf_keras, load_tfmot
from keras_basisprune.export.tfmot._recorded_calls import recorded_calls

_FOLDED_INTO = ("Conv2D", "DepthwiseConv2D", "Dense")
_FUNCTIONS = ("TFOpLambda", "SlicingOpLambda")


def quantized_model(crossed):
    """Returns a `tf_keras` model with TFMOT's fake quantization in it.

    Args:
        crossed: A `tf_keras.Model` without it; its layers are not changed.

    Raises:
        ValueError: If TFMOT can't quantize a layer.
    """
    tfmot, tf_keras = load_tfmot(), load_tf_keras()
    options, config = tfmot.quantization.keras, _output_config()
    registry = options.default_8bit.Default8BitQuantizeRegistry()
    folded = _folded_norms(crossed)

    def annotated(layer):
        kind = type(layer).__name__
        known = registry.supports(layer) and not _odd_activation(layer)
        if known or layer.name in folded or kind.startswith("SeparableConv"):
            return options.quantize_annotate_layer(layer)
        if kind in _FUNCTIONS:
            return layer
        return options.quantize_annotate_layer(layer, config())

    with options.quantize_scope({config.__name__: config}):
        clone = tf_keras.models.clone_model(crossed, clone_function=annotated)
        try:
            return options.quantize_apply(clone)
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                "Expected `model` to hold layers that TFMOT can quantize. Received: "
                f"model={crossed.name!r}, for which TFMOT raised "
                f"{type(error).__name__}: {error}. Use `export_tflite` with "
                "quantization='int8', which needs no training."
            ) from error


def _folded_norms(model) -> set:
    """Names of BatchNormalizations that TFMOT folds into the layer before."""
    recorded = recorded_calls(model)
    makers, readers = {}, {}
    for layer, args, kwargs, outputs in recorded.calls:
        makers |= {id(x): layer for x in keras.tree.flatten(outputs)}
        for x in keras.tree.flatten((args, kwargs)):
            readers[id(x)] = readers.get(id(x), 0) + 1
    found = set()
    for layer, args, _, _ in recorded.calls:
        maker = makers.get(id(args[0]))
        linear = getattr(getattr(maker, "activation", None), "__name__", "") == "linear"
        if (
            type(layer).__name__ == "BatchNormalization"
            and type(maker).__name__ in _FOLDED_INTO
            and readers[id(args[0])] == 1
            and linear
        ):
            found.add(layer.name)
    return found


def _odd_activation(layer) -> bool:
    """Returns whether it is an `Activation` of a function that TFMOT refuses."""
    if type(layer).__name__ != "Activation":
        return False
    name = getattr(layer.activation, "__name__", "")
    return name not in ("linear", "relu", "sigmoid", "softmax", "swish", "tanh")


@functools.cache
def _output_config():
    """Returns the class of a configuration that quantizes a layer's output only."""
    options = load_tfmot().quantization.keras

    class OutputOnly(options.QuantizeConfig):
        """Quantizes the output of a layer, by a moving average of its range."""

        def get_weights_and_quantizers(self, layer):
            return []

        def get_activations_and_quantizers(self, layer):
            return []

        def set_quantize_weights(self, layer, quantize_weights):
            pass

        def set_quantize_activations(self, layer, quantize_activations):
            pass

        def get_output_quantizers(self, layer):
            return [
                options.quantizers.MovingAverageQuantizer(
                    num_bits=8, per_axis=False, symmetric=False, narrow_range=False
                )
            ]

        def get_config(self):
            return {}

    return OutputOnly
