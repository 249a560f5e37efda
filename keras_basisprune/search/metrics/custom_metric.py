"""A metric of the user's own."""


class CustomMetric:
    """A function of a model and of the data that were passed.

    Args:
        function: Takes a `keras.Model` and the data, as they were passed, and returns a
            number; or an array with one number per sample, of which the score is the
            mean.
        sign: 1 if more is better, -1 if less is.

    Attributes:
        name: Its name.
        text: What it is, in words.
        sign: As given.
        share: False: nothing is known of its range.
        exact: False.
    """

    share = exact = False

    def __init__(self, function, sign):
        self.function, self.sign = function, sign
        name = getattr(function, "__name__", type(function).__name__)
        self.name = "metric" if name == "<lambda>" else name
        self.text = f"`{self.name}`"
