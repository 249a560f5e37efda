"""What casts doubt on a search, before it begins."""

from keras_basisprune.search.low_baseline import low_baseline, low_score
from keras_basisprune.search.too_few_images import too_few_images


def doubts(score, max_drop) -> list[str]:
    """Returns warnings about the data, or the model, of a search.

    Args:
        score: A `Scorer`.
        max_drop: Float, the budget.

    Returns:
        A list of strings.
    """
    if not score.measure.exact:
        return [text for text in [low_score(score)] if text]
    found = [too_few_images(score.images, max_drop)]
    labels = score.labels_seen()
    if labels is not None:
        found.append(low_baseline(score.baseline, labels))
    return [text for text in found if text]
