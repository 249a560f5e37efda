"""Whatever is passed for any argument: the message names it and says what to do.

What can't be an argument, by kinds, and all functions are in `arguments.py`.
"""

import inspect

import arguments
import keras
import numpy as np
import pytest

import keras_basisprune as kbp


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("arguments")


@pytest.fixture(scope="module")
def calls(folder):
    return arguments.calls(folder)


def state():
    """What no function that raises may change."""
    models = arguments.model(), arguments.converted(), arguments.gated()
    weights = [
        np.array(keras.ops.convert_to_numpy(w)) for m in models for w in m.weights
    ]
    flags = [(layer.name, layer.trainable) for m in models for layer in m.layers]
    return weights, flags, [m.compiled for m in models]


@pytest.fixture(scope="module")
def untouched(folder):
    return folder, state()


def test_every_public_function_is_in_the_table(calls):
    assert tuple(calls) == arguments.NAMES
    held = {name.split(",")[0] for name in calls}
    records = {"ChannelGroups", "Channels", "CompressionResult", "ImageData", "Trial"}
    records |= {"Comparison", "Cost", "Description", "Latency", "SavedModelExport"}
    records |= {"ReportComparison"}
    records |= {"Iteration", "IterationResult", "LossCurve", "Sensitivity"}
    # Their own tests pass what they can't take: methods_task_delta_test.py,
    # data_relevance_relevance_test.py, data_relevance_beam_test.py.
    records |= {"DeltaOverlap", "TaskDelta", "WeightChange"}
    records |= {"JoinedMasks", "SlimmingRegularizer"}  # made by the methods only
    # Made by `quantize_aware` only.
    records |= {"FakeQuantize", "FixedFakeQuantize", "QuantizedActivation"}
    records |= {"QuantizedWeights", "StaysFloat"}
    records |= {"Relevance", "contact_sheet", "select_relevant_on_beam"}
    # So do search_jobs_test.py, scores_output_statistics_test.py, and
    # data_beam_source_test.py.
    records |= {"Job", "JobsResult", "OutputStatistics", "BeamSource"}
    others = {"BasisPair", "ConvolutionRule", "DenseRule", "METHODS", "NewLayer"}
    others |= {"Method", "TFLiteExport", "TrainedMask", "basis_pairs", "channel_rule"}
    others |= {"decomposable", "kept_groups", "pruned_calls", "rewrite"}
    others |= {"Rule", "predicted_latency", "spilling"}
    public = set()
    rooms = [getattr(kbp, name) for name in kbp.__all__]
    for room in (kbp, *filter(inspect.ismodule, rooms)):
        names = (name for name in room.__all__ if name != "__version__")
        public |= {name for name in names if not inspect.ismodule(getattr(room, name))}
    names = {name.split(".")[-1] for name in held} | {"Plan", "LatencyTable"}
    assert public - records - others <= names


@pytest.mark.parametrize("name", arguments.NAMES)
def test_bad_arguments(name, calls, untouched, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder, (weights, flags, compiled) = untouched
    function, good, kinds = calls[name]
    for argument, kind in kinds.items():
        for value in arguments.bad(kind):
            told = f"{name}({argument}={value!r:.60})"
            with pytest.raises(ValueError) as caught:
                function(**{**good, argument: value})
                pytest.fail(f"{told} raised nothing")
            text = str(caught.value)
            assert f"`{argument}" in text, f"{told}: {text}"
            assert "Expected " in text, f"{told}: {text}"
            assert "Received: " in text, f"{told}: {text}"
    now = state()
    assert now[1:] == (flags, compiled)
    for before, after in zip(weights, now[0], strict=True):
        np.testing.assert_array_equal(after, before)
    assert not [*folder.iterdir(), *tmp_path.iterdir()]
