"""Rules for layers that treat each channel by itself and have no weights."""

import keras

from keras_basisprune.graph.channels._base import (
    Channels,
    Rule,
    channel_rule,
    pointwise,
)


@channel_rule(
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.Masking,
    keras.layers.ReLU,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
class PointwiseRule(Rule):
    """Channels pass."""

    free = True


@channel_rule(keras.layers.Activation)
class ActivationRule(Rule):
    """Channels pass, unless the function reads across them (softmax)."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Tries whether the function treats each channel by itself."""
        if not pointwise(layer.activation):
            flow.pin(inputs[0].ids, f"`{layer.name}` reads across channels")
        return inputs[0]


@channel_rule(keras.layers.Softmax)
class SoftmaxRule(Rule):
    """Channels pass if it is another axis that sums to one."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Pins channels that are summed over."""
        axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        sizes = len(flow.call.input_tensors[0].shape)
        if inputs[0].axis in [axis % sizes for axis in axes]:
            flow.pin(inputs[0].ids, f"`{layer.name}` reads across channels")
        return inputs[0]


@channel_rule(
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "CenterCrop",
    "RandomCrop",
    "Resizing",
)
class SpatialRule(Rule):
    """Channels pass, all other axes are worked on."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Pins channels of an axis that the layer takes for a spatial one."""
        if inputs[0].axis != flow.channel_axis(flow.call.input_tensors[0]):
            flow.pin(inputs[0].ids, f"`{layer.name}` takes their axis for another")
        return inputs[0]


@channel_rule(
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
)
class GlobalPoolingRule(Rule):
    """Channels pass; the other axes become one number."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Moves the channels to the axis that is left."""
        (source,) = inputs
        axis = flow.channel_axis(flow.call.input_tensors[0])
        if source.axis != axis:
            flow.pin(source.ids, f"`{layer.name}` takes their axis for another")
            made = flow.make(flow.axis_size(axis if layer.keepdims else 1))
            flow.pin(made, f"`{layer.name}` makes them of another axis")
            return Channels(made, axis if layer.keepdims else 1)
        return source if layer.keepdims else Channels(source.ids, 1)
