"""Long lists in messages."""

import pytest

from keras_basisprune.utils.shortened import shortened


@pytest.mark.parametrize(
    ("words", "given", "text"),
    [
        ([], {}, ""),
        (["a"], {}, "a"),
        (["a", "b", "c"], {"most": 3}, "a, b, c"),
        (["a", "b", "c"], {"most": 2}, "a, b and 1 more"),
        (range(30), {}, f"{', '.join(map(str, range(20)))} and 10 more"),
        ((repr(name) for name in "ab"), {"between": "; "}, "'a'; 'b'"),
    ],
)
def test_by_hand(words, given, text):
    assert shortened(words, **given) == text
