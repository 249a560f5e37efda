"""From names of methods to what a search tries."""

import pytest

from keras_basisprune.search.chosen_methods import (
    chosen_methods,
    cut_splits,
    removed_parts,
)

BOTH = ("basis", "channels")


@pytest.mark.parametrize(
    ("methods", "short", "parts", "splits"),
    [
        (["basis"], ("basis",), ("basis",), (0.0,)),
        (["basis_regression"], ("basis",), ("basis",), (0.0,)),
        (("channels",), ("channels",), ("channels",), (1.0,)),
        (["channels", "basis"], BOTH, BOTH, (1 / 3, 1.0, 0.0)),
        (["compensated_channels", "basis"], BOTH, BOTH, (1 / 3, 1.0, 0.0)),
        (["double_pruning"], ("double_pruning",), BOTH, (1 / 3,)),
        (["double_pruning", "basis"], ("basis", "double_pruning"), BOTH, (1 / 3, 0.0)),
    ],
)
def test_names(methods, short, parts, splits):
    chosen = chosen_methods(methods)
    assert chosen == short
    assert removed_parts(chosen) == parts
    assert cut_splits(chosen, parts) == splits


@pytest.mark.parametrize("methods", [BOTH, ["double_pruning"]])
@pytest.mark.parametrize(("possible", "splits"), [("basis", 0.0), ("channels", 1.0)])
def test_what_is_not_possible_is_not_tried(methods, possible, splits):
    assert cut_splits(chosen_methods(methods), (possible,)) == (splits,)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], r"`methods` to name 'basis', 'channels' or 'double_pruning', each once"),
        ("basis", "methods='basis'"),
        (["heads"], r"\['heads'\] .*Leave it out for all of them\.$"),
        (["basis", "basis_regression"], "each once, in a list. Received"),
        ([["basis"]], "Received: methods="),
        (
            ["slimming"],
            r"`slimming` is none for a search: use .*\['slimming'\]`",
        ),
    ],
)
def test_refused(methods, message):
    with pytest.raises(ValueError, match=message):
        chosen_methods(methods)
