"""Rules for pooling, padding, resizing: operators on the other axes."""

import keras

from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


@channel_rule(
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    keras.layers.CenterCrop,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Resizing,
    # Not in all versions of Keras, or behind functions of `keras.ops`.
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "AveragePool",
    "CropImages",
    "MaxPool",
    "PadImages",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomPerspective",
    "RandomShear",
    "Resize",
)
class SpatialRule(Rule):
    """Channels pass; the layer works on all other axes."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Pins channels on an axis that the layer treats as a spatial one."""
        if inputs[0].axis != flow.channel_axis(flow.call.input_tensors[0]):
            return flow.stop(inputs, f"`{layer.name}` takes their axis for another")
        return inputs[0]


@channel_rule(
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)
class LinearSpatialRule(SpatialRule):
    """Outputs are weighted sums of a channel's inputs, or zero."""

    scales = "any"


@channel_rule(
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
)
class LargestRule(SpatialRule):
    """Outputs are the largest of some inputs of a channel."""

    scales = "positive"


@channel_rule(
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
class GlobalPoolingRule(Rule):
    """Channels pass; all other axes are reduced to one number."""

    free = True
    scales = "any"

    def propagate(self, layer, inputs, flow):
        """Moves the channels to the remaining axis."""
        (source,) = inputs
        axis = flow.channel_axis(flow.call.input_tensors[0])
        if source.axis != axis:
            return flow.stop(inputs, f"`{layer.name}` takes their axis for another")
        return source if layer.keepdims else Channels(source.ids, 1)


@channel_rule(
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
)
class GlobalLargestRule(GlobalPoolingRule):
    """Channels pass; all other axes are reduced to the largest number."""

    scales = "positive"
