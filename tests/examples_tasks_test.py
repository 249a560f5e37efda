"""The examples of tasks, in small form: their scores, by NumPy, and what is left."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from examples.tasks import (
    audio_keywords,
    binary_sigmoid,
    detector,
    landmarks,
    multi_label,
    unet_shapes,
)
from examples.tasks.made_images import draw_faces, draw_shapes
from examples.tasks.told import tell

QUICK = kbp.SearchOptions(rounds=1, samples=200)


def checked(result, scores, least_removed):
    """Checks that a score is what NumPy says, within the budget, and smaller."""
    (before, after), sign = scores, 1 if result.details["mode"] == "max" else -1
    told = result.scores[result.metric]
    assert told[1] == pytest.approx(after, abs=2e-4)
    assert result.met_budget
    assert sign * told[1] >= sign * result.details["least"] - 1e-9
    assert told[0] == pytest.approx(before, abs=2e-4) if before is not None else True
    assert result.report.flops_ratio < 1 - least_removed
    chosen = result.trials[result.details["chosen"]]
    assert chosen.score == told[1]
    assert chosen.bound >= sign * (told[0] - told[1]) or np.isnan(chosen.bound)


def test_one_sigmoid_by_f1(capsys):
    result = binary_sigmoid.run(epochs=6, config=QUICK, verbose=0)
    data = kbp.load_data("digits", image_size=8, channels=1)
    images, labels = data.validation[0], data.validation[1] % 2
    said = result.model.predict(images, verbose=0)[:, 0] > 0.5
    true = np.sum(said & (labels == 1))
    score = 2 * true / (said.sum() + labels.sum())
    checked(result, (None, score), 0.3)
    assert list(result.scores) == ["f1_score", "binary_accuracy", "auc"]
    right = np.mean(said == labels)
    assert result.scores["binary_accuracy"][1] == pytest.approx(right)
    tell(result)
    assert f"{score:.4g} after" in capsys.readouterr().out


def test_several_labels():
    result = multi_label.run(
        count=300, epochs=4, methods=["channels"], config=QUICK, verbose=0
    )
    drawn = draw_shapes(500, most=3, seed=1)
    said = result.model.predict(drawn.images, verbose=0) > 0.5
    checked(result, (None, np.mean(said == drawn.present)), 0.1)
    assert result.metric == "binary_accuracy"


def test_landmarks_by_their_error():
    result = landmarks.run(
        count=400,
        epochs=6,
        methods=["channels"],
        config=QUICK,
        recover=kbp.Recovery(epochs=3),
        verbose=0,
    )
    images, points = draw_faces(400, seed=1)
    errors = np.abs(result.model.predict(images, verbose=0) - points)
    checked(result, (None, errors.mean()), 0.1)
    before, after = result.scores["mean_absolute_error"]
    assert result.details["least"] == pytest.approx(1.1 * before)
    assert result.history["loss"]
    assert result.scores["mean_squared_error"][1] == pytest.approx(
        np.mean(errors**2), rel=1e-3
    )


def test_maps_by_mean_iou():
    result = unet_shapes.run(
        count=160, epochs=5, methods=["channels"], config=QUICK, verbose=0
    )
    drawn = draw_shapes(200, most=2, seed=1)
    said = result.model.predict(drawn.images, verbose=0).argmax(-1)
    metric = keras.metrics.MeanIoU(4)
    metric.update_state(drawn.maps, said)
    checked(result, (None, float(metric.result())), 0.05)
    assert result.metric == "mean_iou"


def test_two_heads_by_a_function_of_ones_own():
    result = detector.run(
        count=400,
        epochs=5,
        methods=["channels"],
        config=dataclasses.replace(QUICK, margin=0.0),  # few objects are found
        recover=kbp.Recovery(epochs=2),
        verbose=0,
    )
    drawn = draw_shapes(400, seed=1)
    data = drawn.images, {"shape": drawn.classes, "box": drawn.boxes}
    checked(result, (None, detector.found(result.model, data).mean()), 0.05)
    assert set(result.model.output) == {"shape", "box"}
    assert 0 < result.scores["mean_of_outputs"][1] <= 1


def test_sounds_from_a_dataset_with_logits():
    result = audio_keywords.run(
        count=320, epochs=4, methods=["channels"], config=QUICK, verbose=0
    )
    data = audio_keywords.Recordings(400, 1)
    right = kbp.measure.accuracy(result.model, data)
    checked(result, (None, right), 0.1)
    assert result.metric == "accuracy"
    batches = [data[index] for index in range(data.num_batches)]
    sounds, words = (np.concatenate(part) for part in zip(*batches, strict=True))
    said = result.model.predict(sounds, verbose=0).argmax(-1)
    assert right == np.mean(said == words)
