"""A record of what a network's outputs lose as each of its layers is cut."""

import dataclasses
import json

from keras_basisprune.plan import Plan
from keras_basisprune.plans.sensitivity.loss_curve import LossCurve


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """What the outputs of a network lose as each of its layers is cut.

    Attributes:
        curves: The `LossCurve`s, in order of execution.
        loss: The loss before anything is cut: 0, unless the network had been cut before
            it was measured (`original` of `sensitivity`).
    """

    curves: tuple[LossCurve, ...]
    loss: float = 0.0

    def predicted(self, plan: Plan) -> float:
        """Returns the loss that a plan is expected to have: the sum over all layers.

        It is right in order, not in size: losses of several layers add up to more (or,
        where all are small, to less) than their sum.

        Args:
            plan: A `Plan` that `select_channels` or `select_bases` made for the same
                model. It names every layer that loses something.
        """
        return self.loss + sum(
            curve.at(getattr(plan, curve.kind)[curve.layer].indices)
            for curve in self.curves
            if curve.layer in getattr(plan, curve.kind)
        )

    def to_json(self) -> str:
        """Returns the record as a JSON text, the same for equal records."""
        curves = [dataclasses.asdict(curve) for curve in self.curves]
        content = {"version": 1, "loss": self.loss, "curves": curves}
        return json.dumps(content, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Sensitivity":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If `text` is not such a record.
        """
        try:
            content = json.loads(text)
            if content["version"] != 1:
                raise ValueError(f"version {content['version']}")
            curves = tuple(
                LossCurve(**{k: _frozen(v) for k, v in curve.items()})
                for curve in content["curves"]
            )
            return cls(curves, float(content["loss"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                "Expected `text` to be a record written by `Sensitivity.to_json()` "
                f"(version 1). Received: {str(text)[:60]!r}, which failed with "
                f"{type(error).__name__}: {error}. Measure again."
            ) from error


def _frozen(value):
    return tuple(value) if isinstance(value, list) else value
