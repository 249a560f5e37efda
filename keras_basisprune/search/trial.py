"""One network that a search has tried."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Trial:
    """A network that was tried, and how good it was.

    Attributes:
        round: Integer from 1, the round of the search.
        kept: Float, the cost that the search makes small, as a share of the original's.
        params: Float, the share of the parameters that is kept, after `fold`.
        flops: Float, the share of the FLOPs that is kept, after `fold`.
        score: Float, the metric on the validation data, of the folded network, in its
            own sign (an error is small if it is good); NaN if there is no such network.
        error: Float, the standard error of the score's difference from the original's,
            both being judged on the same images; 0 if no answer is another one, NaN if
            it is not known.
        trained: Whether it was trained after it was cut.
        good_enough: Whether the score is within the budget, and by the margin if there
            is one.
        to_channels: Float in [0, 1], how much of the cut is made by channels: they are
            pruned to `share ** to_channels`; NaN for methods that don't split a cut,
            and for those that measure how, if they can't reach the share.
        seconds: Dict of the seconds for `"fitting"`, `"training"` and `"evaluation"`,
            and for `"measuring"` sensitivity before the first cut of a network.
        bound: Float, the largest loss on other images, with 95 % confidence: how much
            worse the score may be than the original's. NaN if it is not known.
        method: The name of the `Method` by which it was cut.
        judged: What the score is of: `"keras"`, or the form of the LiteRT file that
            will ship (`ship` of `compress`), where the network was good enough.
        keras_score: Float, the score of that network as Keras runs it; NaN if `score`
            is that already.
        predicted: The loss of the outputs that was predicted for the channels that were
            removed (`Sensitivity.predicted`); NaN if nothing was measured, and for
            networks that were trained.
        samples: Integer, the training images that it was fitted on, at most; 0 for
            networks that were trained afterwards.
    """

    round: int
    kept: float
    params: float
    flops: float
    score: float
    error: float
    trained: bool
    good_enough: bool
    to_channels: float
    seconds: dict[str, float]
    bound: float = math.nan
    method: str = ""
    judged: str = "keras"
    keras_score: float = math.nan
    predicted: float = math.nan
    samples: int = 0


def trial_of(answer, number, method, trained, good_enough) -> Trial:
    """Returns the `Trial` of what a `Judge` has answered.

    Args:
        answer: Dict with `"score"` and `"seconds"`; and, unless there is no such
            network, what else a `Judge` returns, `"predicted"` and `"to_channels"`.
        number: Integer, the round.
        method: The `Method` by which the network was cut.
        trained: Whether it was trained afterwards.
        good_enough: Whether it is within the budget.
    """
    shares = {key: answer.get(key, math.nan) for key in ("kept", "params", "flops")}
    known = method.split if isinstance(method.split, float) else math.nan
    return Trial(
        round=number,
        **shares,
        score=answer["score"],
        error=answer.get("error", math.nan),
        bound=answer.get("bound", math.nan),
        predicted=answer.get("predicted", math.nan),
        trained=trained,
        good_enough=good_enough,
        to_channels=answer.get("to_channels", known),
        seconds=answer["seconds"],
        method=method.name,
        judged=answer.get("judged", "keras"),
        keras_score=answer.get("keras_score", math.nan),
        samples=answer.get("samples", 0),
    )
