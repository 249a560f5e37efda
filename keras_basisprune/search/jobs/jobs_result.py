"""What many searches found."""

import dataclasses
import math
import pathlib

import keras

from keras_basisprune.search.jobs.job import Job
from keras_basisprune.utils.text_table import text_table


@dataclasses.dataclass(frozen=True, repr=False)
class JobsResult:
    """The result of `search_jobs`; prints as a table.

    Attributes:
        objective: What is made small: `"flops"`, `"params"`, `"bytes"` or `"latency"`.
        jobs: A `Job` per search, in the order in which they were begun.
    """

    objective: str
    jobs: tuple[Job, ...]

    @property
    def best(self) -> Job | None:
        """The `Job` that leaves least, the first of several; `None` without any."""
        done = [job for job in self.jobs if job.state == "done"]
        return min(done, key=lambda job: job.left, default=None)

    def load(self) -> keras.Model:
        """Returns the network of the best job.

        Raises:
            ValueError: If there is none, or its files are on another machine.
        """
        best = self.best
        if best is None:
            raise ValueError(
                "Expected a job whose network is within the budget. Received: none of "
                f"{len(self.jobs)}. Allow a larger drop, or training."
            )
        path = pathlib.Path(best.folder) / "small.keras"
        if not path.is_file():
            raise ValueError(
                f"Expected the files of job {best.number} on this machine. Received: "
                f"no {path}. They were written on {best.host}."
            )
        return keras.models.load_model(path, compile=False)

    def __repr__(self):
        names = list(dict.fromkeys(name for job in self.jobs for name in job.values))
        columns = ["job", *(f"<{name}" for name in names), "<state"]
        columns += [f"{self.objective} left", "score", "seconds", "<machine"]
        rows = [
            [
                str(job.number),
                *(str(job.values.get(name, "")) for name in names),
                job.state,
                _shown(job.left, "{:.1%}"),
                _shown(job.score, "{:.4f}"),
                _shown(job.seconds, "{:.0f}"),
                job.host,
            ]
            for job in self.jobs
        ]
        return text_table(columns, rows)


def _shown(value, form) -> str:
    return "" if math.isnan(value) else form.format(value)
