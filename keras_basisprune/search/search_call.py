"""What a search was asked for."""

import dataclasses
from typing import Any

import keras

from keras_basisprune.search.chosen_methods import own_methods, short_name
from keras_basisprune.search.fingerprint import fingerprint
from keras_basisprune.search.metrics.metric_fingerprint import metric_fingerprint
from keras_basisprune.search.run_folder import model_checksum


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchCall:
    """The arguments of `compress`, checked.

    Attributes:
        model: The `keras.Model`.
        data: `SearchData`.
        metrics: The `Measure`s and `CustomMetric`s of `metric`.
        goal: The `Objective` of `cost`.
        chosen: The `Method`s that were named.
        recovery: The `Recovery`, or `None`.
        deadline: A `Deadline`.
        labels: Names of the classes, or `None`.

    All others are as in `compress`.
    """

    model: keras.Model
    data: Any
    metric: Any
    metrics: list
    mode: str
    max_drop: float | str | None
    cost: Any
    goal: Any
    chosen: tuple
    recovery: Any
    ship: str | None
    epochs: int | None
    output_dir: Any
    seed: int
    deadline: Any
    config: Any
    callbacks: tuple
    labels: Any
    data_name: str | None
    verbose: bool
    workers: int

    @property
    def trained(self) -> bool:
        """Whether a method trains networks."""
        return any(method.train for method in self.chosen)

    def arguments(self) -> dict:
        """Returns the arguments for the report, as JSON can represent them."""
        recovery, trained = self.recovery, self.trained
        return {
            "max_drop": self.max_drop,
            "metric": [one.name for one in self.metrics],
            "mode": self.mode,
            "cost": self.goal.kind,
            "methods": [short_name(method) for method in self.chosen],
            "recover": recovery and recovery.weights,
            "ship": self.ship,
            # Not in other states, so that those of older versions are still read.
            **({"quantize": True} if recovery and recovery.quantize else {}),
            "epochs": recovery.epochs if recovery else self.epochs if trained else None,
            "seed": self.seed,
            **dataclasses.asdict(self.config),
        }

    def belongs_to(self, losses) -> dict:
        """Returns what the answers of the search depend on, for a `RunFolder`.

        Args:
            losses: The `OutputLosses` of training; `None` for no training.
        """
        data, recovery, labelled = self.data, self.recovery, not self.config.distill
        return {
            "model": model_checksum(self.model),
            "train": data.train.checksum,
            "validation": data.validation.checksum,
            "recovery": recovery
            and {
                k: fingerprint(v) for k, v in vars(recovery).items() if k != "quantize"
            },
            "training": {"epochs": self.epochs} if self.trained else None,
            "losses": losses.described() if labelled and losses else None,
            "own methods": own_methods(self.chosen),
            "metrics": metric_fingerprint(self.metric),
            # Older states have none: scores are those of files that were calibrated.
            **({"rounding": "compensated"} if self.ship == "int8" else {}),
            **self.arguments(),
        }
