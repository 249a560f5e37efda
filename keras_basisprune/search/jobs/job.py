"""One search among many."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Job:
    """One call of `compress`, as a storage knows it.

    Attributes:
        number: Integer, the number of the Optuna trial.
        values: Dict from the names of choices to the labels of their values.
        state: `"done"`; `"over budget"` if no network was good enough; `"running"`;
            `"waiting"`, to be begun; `"failed"`, with an `error`: it is begun again, as
            long as there are `retries`, as a job of another number; or `"refused"`, by
            an argument that it can't have.
        left: Float, the share of the objective that is left; NaN unless it is done.
        score: Float, the metric on the validation data; NaN unless it has ended.
        baseline: Float, that of the original.
        seconds: Float, the time that it took; NaN unless it has ended.
        folder: Path of the folder with its files, on the machine `host`.
        host: Name of the machine.
        error: String, why it failed or was refused; empty otherwise.
    """

    number: int
    values: dict[str, Any]
    state: str
    left: float = math.nan
    score: float = math.nan
    baseline: float = math.nan
    seconds: float = math.nan
    folder: str = ""
    host: str = ""
    error: str = ""
