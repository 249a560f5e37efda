"""The record of an exported LiteRT file."""

import dataclasses

_WARN_FLOAT_SHARE = 0.1  # of the FLOPs


@dataclasses.dataclass(frozen=True)
class TFLiteExport:
    """The file that `export_tflite` wrote, and how well it agrees with the Keras model.

    Attributes:
        path: The path of the file.
        quantization: One of `"float32"`, `"float16"`, `"dynamic"`, `"int8"`.
        bytes: The size of the file.
        max_abs_difference: The largest absolute difference between the outputs of
            the file and of the Keras model on the samples; `None` if the file can't
            be run here because of operations that are not built into LiteRT.
        max_relative_difference: The largest difference of an output, relative to the
            largest absolute value of that Keras output; the largest over all outputs.
            `None` as above.
        top1_agreement: The share of samples, 0 to 1, with the same largest output;
            `None` without an output of shape `(batch, classes >= 2)`.
        samples: Number of samples that were compared.
        builtin_ops_only: Whether the plain LiteRT runtime runs the file.
        other_ops: The names of all other operations: `Flex...` are TensorFlow's and
            need the Flex delegate, the rest are custom ones.
        ops: A dict from the name of each operation to how often it occurs.
        gpu_compatible: Whether no obstacle to the GPU delegate was found.
        gpu_messages: The obstacles, from TensorFlow's analyser, and, because that no
            longer checks operations (seen with TensorFlow 2.21), from the list of
            operations that it used before.
        float_ops: A dict from the name of each operation that a quantized file computes
            in float to how often it occurs, those with most FLOPs first. For `"int8"`,
            operations that read or output float activations; for `"dynamic"`, where
            activations are float, those that multiply without integer weights. Empty
            for `"float32"` and `"float16"`.
        float_share: Their share of the file's FLOPs, 0 to 1; `None` for `"float32"` and
            `"float16"`.
        integer_weights: The share of the weights, 0 to 1, that are integers; `None` for
            `"float32"` and `"float16"`, and without weights.
        dequantized: The names of layers whose integers `keras.Model.quantize` had made;
            their values were exported, see `dequantized`.
        rounding: How an int8 file got its integers: `"calibrated"` by LiteRT's
            converter, or `"given"` by a quantization-aware network; `None` for others.
    """

    path: str
    quantization: str
    bytes: int
    max_abs_difference: float | None
    max_relative_difference: float | None
    top1_agreement: float | None
    samples: int
    builtin_ops_only: bool
    other_ops: tuple[str, ...]
    ops: dict[str, int]
    gpu_compatible: bool
    gpu_messages: tuple[str, ...]
    float_ops: dict[str, int] = dataclasses.field(default_factory=dict)
    float_share: float | None = None
    integer_weights: float | None = None
    dequantized: tuple[str, ...] = ()
    rounding: str | None = None

    @property
    def in_float(self) -> str:
        """A warning about operations in float; empty if they are below 10 %."""
        if self.float_share is None:
            return ""
        if self.integer_weights == 0:
            what = "none of the weights as integers"
        elif self.float_share > _WARN_FLOAT_SHARE:
            what = f"{self.float_share:.0%} of the FLOPs in float"
        else:
            return ""
        if self.float_ops:
            what += f" ({_listed(self.float_ops)})"
        why = "has no integer kernels for these operations"
        if self.quantization == "dynamic":
            why += ", or leaves tensors of fewer than 1,024 weights in float"
        return (
            f"Expected quantization={self.quantization!r} to turn the model into "
            f"integers. Received: {what}. LiteRT {why}. Pass quantization='float16', "
            "which halves all weights, or use other layers."
        )

    def __str__(self):
        lines = [f"{self.path}: {self.quantization}, {self.bytes:,} bytes"]
        if self.max_abs_difference is None:
            lines.append("  difference  not measured: needs operations beyond LiteRT's")
        else:
            lines.append(
                f"  difference  {self.max_abs_difference:.2e} absolute, "
                f"{self.max_relative_difference:.2e} of the largest output "
                f"({self.samples} samples)"
            )
        if self.top1_agreement is not None:
            lines.append(f"  top-1       {self.top1_agreement:.1%} the same as Keras")
        kind = "built-in" if self.builtin_ops_only else "not only built-in"
        lines.append(
            f"  operations  {sum(self.ops.values())}, {kind}: {_listed(self.ops)}"
        )
        if self.float_share is not None:
            float_ops = _listed(self.float_ops) or "nothing"
            lines.append(f"  in float    {self.float_share:.1%} of FLOPs: {float_ops}")
        if self.integer_weights is not None:
            lines.append(f"  integers    {self.integer_weights:.1%} of the weights")
        if self.rounding:
            lines.append(f"  rounding    {self.rounding}")
        if self.dequantized:
            lines.append(f"  from int8   {', '.join(self.dequantized)}: of Keras")
        found = "; ".join(self.gpu_messages) or "nothing found against it"
        lines.append(f"  GPU         {found}")
        return "\n".join(lines)


def _listed(counts) -> str:
    """Returns names with numbers, as in a sentence."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())
