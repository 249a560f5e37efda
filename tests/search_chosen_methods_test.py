"""From names of methods to what a search tries."""

import dataclasses
import functools

import pytest
from channel_gain import CHANNEL_GAIN

from keras_basisprune.methods import METHODS
from keras_basisprune.search.chosen_methods import (
    chosen_methods,
    own_methods,
    short_name,
    tried_methods,
)

BOTH = ("basis", "channels")
PARTS = ("bases", "channels")


def names(rows):
    return tuple(short_name(row) for row in rows)


@pytest.mark.parametrize(
    ("methods", "short", "tried"),
    [
        (["basis"], ("basis",), ("basis",)),
        (["basis_regression"], ("basis",), ("basis",)),
        (("channels",), ("channels",), ("channels",)),
        (["channels", "basis"], BOTH, ("double_pruning", "channels", "basis")),
        (
            ["compensated_channels", "basis"],
            BOTH,
            ("double_pruning", "channels", "basis"),
        ),
        (["double_pruning"], ("double_pruning",), ("double_pruning",)),
        (
            ["double_pruning", "basis"],
            ("basis", "double_pruning"),
            ("double_pruning", "basis"),
        ),
        (["slimming", "basis"], ("basis", "slimming"), ("basis", "slimming")),
        ([CHANNEL_GAIN], ("channel_gain",), ("channel_gain",)),
        (
            [CHANNEL_GAIN, "channels", METHODS["slimming"]],
            ("channel_gain", "channels", "slimming"),
            ("channels", "slimming", "channel_gain"),
        ),
    ],
)
def test_names(methods, short, tried):
    chosen = chosen_methods(methods)
    assert names(chosen) == short
    assert names(tried_methods(chosen, PARTS)) == tried


@pytest.mark.parametrize("name", METHODS)
def test_every_row_can_be_chosen(name):
    (row,) = chosen_methods([name])
    assert row is METHODS[name]
    assert tried_methods((row,), row.removes) == (row,)
    assert chosen_methods([row]) == (row,)
    assert own_methods([row]) == {}


@pytest.mark.parametrize("methods", [BOTH, ["double_pruning"]])
@pytest.mark.parametrize(
    ("possible", "left"), [("bases", "basis"), ("channels", "channels")]
)
def test_what_is_not_possible_is_not_tried(methods, possible, left):
    assert names(tried_methods(chosen_methods(methods), (possible,))) == (left,)


def test_own_methods_are_told_apart_by_what_they_do():
    other = dataclasses.replace(CHANNEL_GAIN, plan=lambda *_, **__: None)
    found = [own_methods([row])["channel_gain"] for row in (CHANNEL_GAIN, other)]
    differing = {key for key in found[0] if found[0][key] != found[1][key]}
    assert differing == {"plan"}
    # One of the same name as a row of the table takes its place.
    narrow = functools.partial(METHODS["slimming"].train, epochs=1)
    mine = dataclasses.replace(METHODS["slimming"], train=narrow)
    (chosen,) = chosen_methods([mine])
    assert chosen is mine
    assert "epochs" in str(own_methods([chosen])["slimming"]["train"])


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], r"`methods` to name 'basis', 'channels', .* or 'double_pruning', or to"),
        ("basis", "methods='basis'"),
        (["heads"], r"\['heads'\] .*Leave it out for 'basis' and 'channels'\.$"),
        (["basis", "basis_regression"], "each once, in a list. Received"),
        ([["basis"]], "Received: methods="),
        (["basis", None], "Received: methods="),
        ([CHANNEL_GAIN, CHANNEL_GAIN], "each once, in a list. Received"),
        ([METHODS["slimming"], "slimming"], "each once, in a list. Received"),
        ([dataclasses.replace(CHANNEL_GAIN, name="basis"), "basis"], "each once"),
    ],
)
def test_refused(methods, message):
    with pytest.raises(ValueError, match=message):
        chosen_methods(methods)
