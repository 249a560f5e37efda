"""Operations of `keras.ops` and the TensorFlow functions that compute the same."""

# Elementwise, all arguments are tensors or constants, and have the dtype of the result.
ARITHMETIC = {
    "Abs": "math.abs",
    "Absolute": "math.abs",
    "Add": "math.add",
    "Arctan": "math.atan",
    "Arctan2": "math.atan2",
    "Ceil": "math.ceil",
    "Cos": "math.cos",
    "Cosh": "math.cosh",
    "Divide": "math.divide",
    "DivideNoNan": "math.divide_no_nan",
    "Erf": "math.erf",
    "Exp": "math.exp",
    "Expm1": "math.expm1",
    "Floor": "math.floor",
    "FloorDivide": "math.floordiv",
    "Log": "math.log",
    "Log1p": "math.log1p",
    "Matmul": "linalg.matmul",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Mod": "math.floormod",
    "Multiply": "math.multiply",
    "Negative": "math.negative",
    "Power": "math.pow",
    "Reciprocal": "math.reciprocal",
    "Rsqrt": "math.rsqrt",
    "Sign": "math.sign",
    "Sin": "math.sin",
    "Sinh": "math.sinh",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
    "StopGradient": "stop_gradient",
    "Subtract": "math.subtract",
    "Tan": "math.tan",
    "TrueDivide": "math.divide",
}
# Elementwise, of two tensors or constants of one dtype; the result is boolean.
COMPARISONS = {
    "Equal": "math.equal",
    "Greater": "math.greater",
    "GreaterEqual": "math.greater_equal",
    "Less": "math.less",
    "LessEqual": "math.less_equal",
    "NotEqual": "math.not_equal",
}
LOGIC = {
    "LogicalAnd": "math.logical_and",
    "LogicalNot": "math.logical_not",
    "LogicalOr": "math.logical_or",
}
# Of one tensor, with `axis` and `keepdims`.
REDUCTIONS = {
    "All": "math.reduce_all",
    "Amax": "math.reduce_max",
    "Amin": "math.reduce_min",
    "Any": "math.reduce_any",
    "Logsumexp": "math.reduce_logsumexp",
    "Max": "math.reduce_max",
    "Mean": "math.reduce_mean",
    "Min": "math.reduce_min",
    "Prod": "math.reduce_prod",
    "Std": "math.reduce_std",
    "Sum": "math.reduce_sum",
    "Var": "math.reduce_variance",
}
# Operations that are layers of `tf_keras`, with names of their activations.
ACTIVATIONS = {
    "Celu": "celu",
    "Elu": "elu",
    "HardShrink": "hard_shrink",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "LogSigmoid": "log_sigmoid",
    "Relu": "relu",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "SoftShrink": "soft_shrink",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Squareplus": "squareplus",
    "Tanh": "tanh",
    "TanhShrink": "tanh_shrink",
}
# Merging layers, where all arguments are tensors of the result's dtype.
MERGING = {
    "Add": "Add",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
    "Multiply": "Multiply",
    "Subtract": "Subtract",
}


def function(symbol):
    """Returns the TensorFlow function of a name such as `"math.add"`."""
    import tensorflow as tf

    found = tf
    for part in symbol.split("."):
        found = getattr(found, part)
    return found
