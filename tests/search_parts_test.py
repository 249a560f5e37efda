"""Scorer, objective, judge, and what the report is made of."""

import dataclasses
import importlib.metadata
import json
import math

import keras
import numpy as np
import pytest
from keras import layers
from models import Doubled, array, randomize
from scorers import scorer

import keras_basisprune as kbp
from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.output_kinds import first_outputs, output_kinds
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.report import write_report
from keras_basisprune.report.certificate import certificate
from keras_basisprune.report.classes_with_low_recall import classes_with_low_recall
from keras_basisprune.report.document import document
from keras_basisprune.report.layer_rows import layer_rows, spectra
from keras_basisprune.report.loss_bound import loss_bound
from keras_basisprune.report.loss_statement import loss_statement
from keras_basisprune.search.folded import Folded
from keras_basisprune.search.judge import Judge
from keras_basisprune.search.objective import Objective
from keras_basisprune.search.retrain import retrain
from keras_basisprune.search.run_folder import RunFolder
from keras_basisprune.search.too_few_images import too_few_images
from keras_basisprune.search.trial import Trial
from keras_basisprune.training.output_losses import distillation_losses


@pytest.fixture(scope="module")
def model():
    """A convolution, one per channel, another one, and a head of five classes."""
    x = inputs = keras.Input((8, 8, 3), name="images")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="a")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="d")(x)
    x = layers.Conv2D(12, 3, activation="relu", name="b")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(5, activation="softmax", name="head")(x)
    return randomize(keras.Model(inputs, outputs, name="net"), seed=2)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(100, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module")
def converted(model, images):
    return kbp.convert(model, data=images, verbose=0)


def kept(count, total):
    return Kept(tuple(range(count)), total)


@pytest.fixture(scope="module")
def slim(model):
    """10 of 16 channels, and 6 of 12."""
    return kbp.prune(model, Plan(channels={"a": kept(10, 16), "b": kept(6, 12)}))


@pytest.fixture(scope="module")
def cut(slim, images):
    """And 4 bases of the second convolution."""
    plan = Plan(bases={"b": kept(4, 6)})
    return kbp.convert(slim, plan, basis="regression", data=images, verbose=0)


class TestScorer:
    def test_accuracy(self, model, cut, images):
        labels = np.random.default_rng(1).integers(0, 5, len(images))
        score = scorer(model, (images, labels))
        assert score.metric == "accuracy"
        for one, found in ((model, score.baseline), (cut, score(cut))):
            classes = one.predict(images, verbose=0).argmax(-1)
            assert found == np.mean(classes == labels)
        assert 0 < score.baseline < 1

    def test_agreement(self, model, cut, images):
        score = scorer(model, (images, None))
        assert (score.metric, score.baseline) == ("agreement", 1.0)
        assert score(model) == 1.0
        classes = [m.predict(images, verbose=0).argmax(-1) for m in (model, cut)]
        assert score(cut) == np.mean(classes[0] == classes[1])
        assert 0 < score(cut) < 1

    @pytest.mark.parametrize("labelled", [True, False])
    def test_how_sure_the_difference_is(self, model, cut, images, labelled):
        labels = np.random.default_rng(1).integers(0, 5, len(images))
        before, after = (m.predict(images, verbose=0).argmax(-1) for m in (model, cut))
        truth = labels if labelled else before
        score = scorer(model, (images, labels if labelled else None))
        was, is_now = before == truth, after == truth
        counts = np.sum(was & ~is_now), np.sum(is_now & ~was), len(images)
        found = score.compared(score.answers(cut))
        assert found["score"] == score(cut)
        loss = (counts[0] - counts[1]) / len(images)
        assert found["score"] == pytest.approx(score.baseline - loss)
        assert found["bound"] == pytest.approx(loss_bound(*counts))
        lost = was.astype(float) - is_now
        assert found["error"] == pytest.approx(lost.std() / len(images) ** 0.5)

    @pytest.mark.parametrize("count", [1, 4, 100])
    def test_nothing_lost_is_not_certain(self, model, images, count):
        score = scorer(model, (images[:count], None))
        assert score.images == count
        found = score.compared(score.answers(model))
        assert found["score"] == 1.0
        assert found["error"] == 0
        assert found["bound"] == pytest.approx(1 - 0.05 ** (1 / count))

    def test_recall_by_hand(self, model, cut, images):
        labels = np.random.default_rng(1).choice([0, 1, 3], len(images))
        before, after = (m.predict(images, verbose=0).argmax(-1) for m in (model, cut))
        score = scorer(model, (images, labels))
        rows = score.recall(score.answers(cut))
        assert [row["class"] for row in rows] == [0, 1, 3]  # 2 and 4 have no images
        for row in rows:
            own = labels == row["class"]
            assert row["images"] == own.sum()
            assert row["before"] == np.mean(before[own] == row["class"])
            assert row["after"] == np.mean(after[own] == row["class"])
            net = row["gained"] - row["lost"]
            assert row["after"] - row["before"] == pytest.approx(net / own.sum())
        assert json.loads(json.dumps(rows)) == rows

    def test_recall_without_labels(self, model, cut, images):
        before, after = (m.predict(images, verbose=0).argmax(-1) for m in (model, cut))
        score = scorer(model, (images, None))
        rows = score.recall(score.answers(cut))
        assert [row["class"] for row in rows] == sorted(set(before.tolist()))
        for row in rows:
            own = before == row["class"]
            assert (row["images"], row["before"]) == (own.sum(), 1.0)
            assert row["after"] == np.mean(after[own] == row["class"])
            assert row["gained"] == 0


class TestFolded:
    def test_it_is_folded_and_run_once(self, model, cut, images):
        score = scorer(model, (images, None))
        asked, right = [], score.answers
        score.answers = lambda network: asked.append(network) or right(network)
        folded = Folded(cut, score)
        assert not asked
        assert folded.network is cut
        plain = kbp.fold(cut)
        assert folded.compared() == score.compared(right(plain))
        assert folded.recall() == score.recall(right(plain))
        assert asked == [folded.small]
        for ours, theirs in zip(
            folded.small.get_weights(), plain.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


class TestObjective:
    def test_counts(self, model, cut):
        for one in (model, kbp.fold(cut)):
            found = kbp.measure.cost(one)
            assert Objective("flops")(one) == found.flops
            assert Objective("params")(one) == found.params

    def test_bytes_of_the_file(self, model, tmp_path):
        kbp.export_tflite(model, tmp_path / "net.tflite")
        size = (tmp_path / "net.tflite").stat().st_size
        assert Objective("bytes")(model) == size
        assert size > 4 * kbp.measure.cost(model).params

    def test_milliseconds(self, model):
        assert 0 < Objective("latency", runs=5)(model) < 1e4

    def test_what_is_counted_for_it(self):
        kinds = ("flops", "params", "bytes", "latency")
        counted = [Objective(kind).counted for kind in kinds]
        assert counted == ["flops", "params", "params", "flops"]
        assert [Objective(kind).kind for kind in kinds] == list(kinds)

    @pytest.mark.parametrize("kind", ["speed", "FLOPs", None])
    def test_unknown(self, kind):
        text = rf"`cost` to be 'flops', .*cost={kind!r}\."
        with pytest.raises(ValueError, match=text):
            Objective(kind)


class TestJudge:
    def test_shares_of_the_folded_network(self, model, cut, images):
        score = scorer(model, (images, None))
        judge = Judge(model, score, Objective("params"), RunFolder(None, {}))
        found = judge(judge.folded(cut), {"fitting": 2.5})
        before, after = kbp.measure.cost(model), kbp.measure.cost(kbp.fold(cut))
        assert found["params"] == found["kept"] == after.params / before.params < 1
        assert found["flops"] == after.flops / before.flops < 1
        assert score.compared(score.answers(kbp.fold(cut))) == {
            name: found[name] for name in ("score", "error", "bound")
        }
        assert list(found["seconds"]) == ["fitting", "evaluation"]
        assert found["seconds"]["fitting"] == 2.5
        assert found["seconds"]["evaluation"] > 0
        assert json.loads(json.dumps(found)) == found

    def test_the_original_is_measured_once(self, model, cut, images, tmp_path):
        asked = []

        def objective(network, counted):
            assert counted == kbp.measure.cost(network)
            asked.append(network)
            return 10.0 * len(asked)

        score = scorer(model, (images, None))
        for number in range(2):
            judge = Judge(model, score, objective, RunFolder(tmp_path, {}))
            assert judge(judge.folded(cut), {})["kept"] == 2.0 + number
        assert asked[0] is model
        assert [
            kbp.measure.cost(one).params < kbp.measure.cost(model).params
            for one in asked
        ] == [
            False,
            True,
            True,
        ]

    def test_the_margin_by_hand(self, model, images):
        """In quadrature: the margin, and one answer more than was seen."""
        score = scorer(model, (images, None))
        least, one = score.baseline - 0.1, 1 / len(images)
        assert score.resolution == one < 0.1
        given = model, score, Objective("params"), RunFolder(None, {}), None, least
        judge, free = Judge(*given, 1.5), Judge(*given, 0.0)
        answer = {"score": 0.8, "error": 0.02}
        assert free.lower_bound(answer) == 0.8
        assert judge.lower_bound(answer) == pytest.approx(
            0.8 - math.hypot(1.5 * 0.02, 1.5 * one)
        )
        # What is not known has no margin.
        assert judge.lower_bound({"score": 0.8, "error": math.nan}) == 0.8
        # The root of the round; the judge of the first round stays as it is.
        third = judge.in_round(4)
        assert (third.margin, judge.margin) == (3.0, 1.5)
        assert third.lower_bound(answer) == pytest.approx(
            0.8 - math.hypot(3 * 0.02, 3 * one)
        )

    def test_the_original_is_good_enough_whatever_the_margin(self, model, images):
        score = scorer(model, (images[:3], None))
        answer = {"score": score.baseline, "error": 0.0}
        for drop, margin in ((0.01, 1.0), (0.01, 30.0), (0.0, 1.0), (0.4, 1.0)):
            given = model, score, Objective("params"), RunFolder(None, {}), None
            judge = Judge(*given, score.baseline - drop, margin).in_round(9)
            assert judge.is_good(answer)
            lost = {"score": score.baseline - 1 / 3, "error": 0.0}
            assert not judge.is_good(lost)


def by_name(rows):
    return {row["name"]: row for row in rows}


class TestLayerRows:
    def test_by_hand(self, model, cut):
        small = kbp.fold(cut)
        rows = layer_rows(model, small)
        depthwise, head = rows[1].pop("reason"), rows[3].pop("reason")
        assert depthwise is None  # its channels have left
        assert head == "channels: activation softmax of `head` reads across channels"
        assert rows == [
            {
                "name": "a",
                "kind": "Conv2D",
                "channels": [10, 16],
                "rank": None,
                "params": [27 * 16 + 16, 27 * 10 + 10],
                "flops": [2 * 64 * 27 * 16, 2 * 64 * 27 * 10],
                "reason": None,
            },
            {
                "name": "d",
                "kind": "DepthwiseConv2D",
                "channels": [10, 16],
                "rank": None,
                "params": [9 * 16 + 16, 9 * 10 + 10],
                "flops": [2 * 64 * 9 * 16, 2 * 64 * 9 * 10],
            },
            {
                "name": "b",
                "kind": "Conv2D",
                "channels": [6, 12],
                "rank": [4, 12],
                "params": [144 * 12 + 12, 90 * 4 + 4 * 6 + 6],
                "flops": [2 * 36 * 144 * 12, 2 * 36 * (90 * 4 + 4 * 6)],
                "reason": None,
            },
            {
                "name": "head",
                "kind": "Dense",
                "channels": [5, 5],
                "rank": None,
                "params": [12 * 5 + 5, 6 * 5 + 5],
                "flops": [2 * 12 * 5, 2 * 6 * 5],
            },
        ]
        for at, whole in enumerate((kbp.measure.cost(model), kbp.measure.cost(small))):
            assert sum(row["flops"][at] for row in rows) == whole.flops
            norm = 4 * (16, 10)[at]
            assert sum(row["params"][at] for row in rows) == whole.params - norm

    def test_nothing_has_left(self, model):
        rows = layer_rows(model, kbp.fold(model))
        assert [row["name"] for row in rows] == ["a", "d", "b", "head"]
        for row in rows:
            assert row["rank"] is None
            assert row["params"][0] == row["params"][1]
            assert row["flops"][0] == row["flops"][1]
            assert row["channels"][0] == row["channels"][1]

    @pytest.mark.parametrize("rank", [2, None])
    def test_separable_grouped_and_nested_layers(self, images, rank):
        x = start = keras.Input((8, 8, 4))
        x = layers.SeparableConv2D(
            12, 3, depth_multiplier=2, activation="relu", name="sep"
        )(x)
        x = layers.Conv2D(8, 1, name="point")(x)
        x = layers.BatchNormalization(name="norm")(x)
        nested = keras.Model(start, x, name="nested")
        x = inputs = keras.Input((8, 8, 3))
        x = nested(layers.Conv2D(4, 3, padding="same", name="stem")(x))
        x = layers.Conv2D(16, 3, groups=4, name="grouped")(x)
        x = layers.Conv2DTranspose(6, 2, name="up")(x)
        x = layers.MultiHeadAttention(2, 3, name="look")(x, x)
        x = layers.GlobalAveragePooling2D()(x)
        model = randomize(keras.Model(inputs, layers.Dense(3, name="head")(x)))
        model = kbp.graph.flatten(model)
        small = kbp.fold(kbp.convert(model, rank, data=images, verbose=0))
        found = {layer.name: type(layer).__name__ for layer in small.layers}
        assert found["sep_depthwise"] == "DepthwiseConv2D"
        assert found["sep"] == "Conv2D"
        assert ("sep_basis" in found) == (rank == 2)
        rows = by_name(layer_rows(model, small))
        order = ["stem", "sep", "point", "grouped", "up", "look", "head"]
        assert list(rows) == order
        depthwise, point = 9 * 8, 2 * 8 + 2 * 12 if rank else 8 * 12
        assert rows["sep"] == {
            "name": "sep",
            "kind": "SeparableConv2D",
            "channels": [12, 12],
            "rank": [2, 8] if rank else None,
            "params": [9 * 8 + 8 * 12 + 12, depthwise + point + 12],
            "flops": [2 * 36 * (9 * 8 + 8 * 12), 2 * 36 * (depthwise + point)],
            "reason": None,
        }
        assert rows["stem"]["rank"] == ([2, 4] if rank else None)
        assert "grouped convolution (4 groups)" in rows["grouped"]["reason"]
        assert "transposed convolution" in rows["up"]["reason"]
        assert "MultiHeadAttention is not" in rows["look"]["reason"]
        assert rows["look"]["channels"] is None
        assert rows["head"]["reason"] == "channels: output of the model"
        whole = kbp.measure.cost(small)
        assert sum(row["flops"][1] for row in rows.values()) == whole.flops
        assert sum(row["params"][1] for row in rows.values()) == whole.params

    def test_an_original_that_was_decomposed_before(self, cut):
        original = kbp.fold(cut, batch_norm=False)
        small = kbp.prune(original, Plan(channels={"b_basis": kept(2, 4)}))
        rows = by_name(layer_rows(original, kbp.fold(small)))
        assert list(rows) == ["a", "d", "b_basis", "b", "head"]
        assert rows["b_basis"]["channels"] == [2, 4]
        assert rows["b_basis"]["params"] == [90 * 4, 90 * 2]
        assert rows["b"]["params"] == [4 * 6 + 6, 2 * 6 + 6]
        assert rows["b"]["rank"] is rows["b_basis"]["rank"] is None

    def test_flops_that_are_not_counted(self):
        x = inputs = keras.Input((6, 6, 3))
        x = Doubled(4, name="doubled")(layers.Conv2D(4, 1, name="a")(x))
        x = layers.Flatten()(x)
        model = keras.Model(inputs, layers.Dense(2, name="head")(x))
        rows = by_name(layer_rows(model, kbp.fold(model)))
        reason = "channels: no rule for `doubled` (of type Doubled)"
        assert rows["a"]["reason"] == reason
        reason = "Doubled is not a convolution or dense layer"
        assert rows["doubled"]["reason"] == f"{reason}; its FLOPs are not counted"
        assert rows["doubled"]["flops"] == [0, 0]


class TestSpectra:
    def test_singular_values_of_outputs(self, model, converted, cut, images):
        rows = layer_rows(model, kbp.fold(cut))
        found = by_name(spectra(converted, rows))
        assert {name: row["rank"] for name, row in found.items()} == {"a": 16, "b": 4}
        pairs = {"a": "a_scaling", "b": "b_scaling"}
        for name, scaling in pairs.items():
            kernel = array(converted.get_layer(scaling).kernel).astype("float64")
            values = np.sort(np.linalg.norm(kernel, axis=1))[::-1]
            relative = found[name]["singular_values"]
            np.testing.assert_allclose(relative, values / values[0], rtol=1e-6)
            assert relative[0] == 1.0
        assert json.loads(json.dumps(found)) == found

    def test_of_nothing(self, model):
        assert spectra(None, layer_rows(model, model)) == []

    def test_many_points(self):
        inputs = keras.Input((4, 4, 40))
        outputs = layers.Conv2D(300, 3, name="wide")(inputs)
        model = randomize(keras.Model(inputs, outputs))
        (found,) = spectra(kbp.convert(model), layer_rows(model, model))
        assert len(found["singular_values"]) == 256
        assert found["rank"] == 300


class TestCertificate:
    def test_all_forms_compute_the_same(self, model, converted, cut, images):
        networks = model, converted, cut
        weights = [network.get_weights() for network in networks]
        rows = certificate(model, converted, cut, kbp.fold(cut), images)
        assert [(row["step"], row["against"]) for row in rows] == [
            ("converted", "original"),
            ("pruned", "masked"),
            ("folded", "not folded"),
        ]
        assert all(row["difference"] < 1e-5 for row in rows)
        assert {row["tolerance"] for row in rows} == {1e-3}
        for network, before in zip(networks, weights, strict=True):
            for old, new in zip(before, network.get_weights(), strict=True):
                np.testing.assert_array_equal(old, new)

    def test_a_wrong_network_is_seen(self, model, images):
        wrong = kbp.convert(model, data=images, verbose=0)
        bias = wrong.get_layer("b_scaling").bias
        bias.assign(array(bias) + np.linspace(-2, 2, 12))
        expected = np.abs(model.predict(images) - wrong.predict(images)).max()
        rows = certificate(model, wrong, model, model, images)
        assert rows[0]["difference"] == pytest.approx(expected, abs=1e-6)
        assert expected > 0.05
        assert rows[1]["difference"] < 1e-5

    def test_nothing_that_can_be_decomposed(self, model, images):
        rows = certificate(model, None, model, kbp.fold(model), images)
        assert [row["step"] for row in rows] == ["folded"]
        assert rows[0]["difference"] < 1e-5

    def test_a_layer_of_rank_one_keeps_its_basis(self, images):
        inputs = keras.Input((8, 8, 3))
        x = layers.Conv2D(1, 3, name="one")(inputs)
        model = randomize(keras.Model(inputs, layers.Conv2D(4, 1, name="two")(x)))
        converted = kbp.convert(model, data=images, verbose=0)
        rows = certificate(model, converted, model, model, images)
        assert all(row["difference"] < 1e-5 for row in rows)

    @pytest.mark.parametrize("broken", [0, 1])
    def test_outputs_that_are_no_numbers(self, images, broken):
        inputs = keras.Input((8, 8, 3))
        both = [layers.Dense(2, name=name)(inputs) for name in ("first", "second")]
        model = randomize(keras.Model(inputs, both))
        model.get_layer(("first", "second")[broken]).bias.assign([0.0, np.nan])
        (row,) = certificate(model, None, model, kbp.fold(model), images)
        assert math.isnan(row["difference"])


def trial(number, score=0.9, **seconds):
    return Trial(
        number, 0.5, 0.4, 0.5, score, 0.01, False, score >= 0.9, 1 / 3, seconds
    )


class TestLossStatement:
    def test_points_and_bound(self):
        for baseline, verb in ((0.9123, "lost"), (0.8877, "gained")):
            tried = dataclasses.replace(trial(1, 0.9), bound=0.0317)
            text = loss_statement(baseline, tried, 1500, 0.02)
            start = f"On the 1,500 validation images 1.23 points were {verb}, with a "
            assert text.startswith(f"{start}standard error of 1.00. Since this is the")
            expected = "2.23" if verb == "lost" else "0.00"  # an error more
            assert f"a loss of about {expected} is to be expected" in text
            assert "up to 3.17 may be lost, with 95 % confidence" in text
            # 1500 * (1 / 0.5) ** 2
            assert "About 6,000 images would bring the standard error to a qua" in text

    def test_later_rounds_lose_more(self):
        tried = dataclasses.replace(trial(4, 0.9), bound=0.0317)  # twice as much
        text = loss_statement(0.9123, tried, 1500, 0.02)
        assert "a loss of about 3.23 is to be expected" in text

    def test_enough_images(self):
        tried = dataclasses.replace(trial(1, 0.9), bound=0.0317)
        assert "would bring" in loss_statement(0.9, tried, 100, 0.039)
        for budget in (0.04, 0.1, 0.0):
            assert "would bring" not in loss_statement(0.9, tried, 100, budget)

    def test_one_image(self):
        tried = dataclasses.replace(trial(1, 1.0), bound=0.95)
        text = loss_statement(1.0, tried, 1, 0.01)
        assert text.startswith("On one validation image 0.00 points were lost, with")
        assert "up to 95.00 may be lost" in text

    def test_nothing_chosen(self):
        assert loss_statement(0.9, None, 100, 0.01) == ""


class TestTooFewImages:
    @pytest.mark.parametrize(
        ("images", "max_drop", "bound", "needed"),
        [(4, 0.01, "52.7", 299), (50, 0.01, "5.8", 299), (1, 0.05, "95.0", 59)],
    )
    def test_too_few(self, images, max_drop, bound, needed):
        text = too_few_images(images, max_drop)
        assert f"within max_drop={max_drop}. Received: " in text
        assert f"may lose up to {bound} points on others (with 95 % conf" in text
        assert f"Pass {needed} images or more" in text
        assert too_few_images(needed - 1, max_drop) != ""
        assert too_few_images(needed, max_drop) == ""

    def test_a_budget_of_nothing(self):
        text = too_few_images(4, 0.0)
        assert "tell whether a network is as good. Received: 4 images" in text
        assert too_few_images(299, 0.0) == ""


def recall_row(number, images, before, after):
    lost, gained = max(before - after, 0), max(after - before, 0)
    shares = {"before": before / images, "after": after / images}
    return {"class": number, "images": images, "lost": lost, "gained": gained, **shares}


class TestFallenClasses:
    def test_rare_classes_that_are_lost(self):
        rows = [recall_row(0, 500, 490, 489), recall_row(7, 3, 3, 0)]
        assert classes_with_low_recall(rows, 0.01) == (
            "Recall fell by far more than the budget in class 7 (1.00 to 0.00, 3 "
            "images)."
        )
        one = classes_with_low_recall([recall_row(2, 1, 1, 0)], 0.5)
        assert "in class 2 (1.00 to 0.00, 1 image)." in one

    def test_what_may_be_chance_is_not_told(self):
        rows = [recall_row(0, 500, 490, 486), recall_row(1, 20, 20, 19)]
        rows += [recall_row(2, 10, 0, 0), recall_row(3, 10, 2, 9)]
        assert classes_with_low_recall(rows, 0.01) == ""
        assert classes_with_low_recall([], 0.01) == ""

    def test_the_worst_come_first_and_the_rest_are_counted(self):
        rows = [recall_row(i, 100, 90, 10 + 5 * i) for i in range(7)]
        text = classes_with_low_recall(rows, 0.01)
        assert text.index("class 0 (0.90 to 0.10") < text.index("class 4 (0.90 to 0.3")
        assert "class 5" not in text
        assert text.endswith("100 images), 2 more.")
        assert classes_with_low_recall(rows, 0.95) == ""


class TestDocument:
    arguments = {"max_drop": 0.01, "seed": 3, "methods": ["basis"], "recover": None}

    def test_strict_json(self):
        trials = [trial(1, math.nan, fitting=1.0), trial(1, fitting=2.0)]
        parts = {"history": {"loss": [1.0, math.inf]}, "baseline": 0.5, "shape": (4, 4)}
        found = document(parts, trials, self.arguments)
        again = json.loads(json.dumps(found, allow_nan=False))
        assert again == found
        assert found["trials"][0]["score"] is None
        assert found["trials"][1]["score"] == 0.9
        assert found["history"] == {"loss": [1.0, None]}
        assert found["shape"] == [4, 4]
        assert found["baseline"] == 0.5
        assert found["version"] == 2
        assert found["seed"] == 3
        assert found["arguments"] == self.arguments

    def test_trials(self):
        (found,) = document({}, [trial(2, fitting=1.5, evaluation=0.5)], {"seed": 0})[
            "trials"
        ]
        assert found == {
            "round": 2,
            "kept": 0.5,
            "params": 0.4,
            "flops": 0.5,
            "score": 0.9,
            "error": 0.01,
            "trained": False,
            "good_enough": True,
            "to_channels": 1 / 3,
            "seconds": 2.0,
            "bound": None,
            "method": "",
            "judged": "keras",
            "keras_score": None,
            "predicted": None,
            "samples": 0,
        }

    def test_versions_are_those_that_are_installed(self):
        found = document({}, [], {"seed": 0})["versions"]
        for name in ("keras", "tensorflow", "numpy"):
            assert found[name] == importlib.metadata.version(name)
        assert found["keras_basisprune"] == kbp.__version__
        assert found["backend"] == keras.backend.backend()
        assert found["python"].startswith("3.")
        assert "cores" in found["machine"]

    def test_seconds_sum_up(self):
        trials = [
            trial(1, fitting=1.0, evaluation=0.25),
            trial(1, fitting=2.0, evaluation=0.5, training=10.0),
        ]
        assert document({}, trials, {"seed": 0})["seconds"] == {
            "in all": 13.75,
            "fitting": 3.0,
            "evaluation": 0.75,
            "training": 10.0,
        }
        assert document({}, [], {"seed": 0})["seconds"] == {"in all": 0}

    def test_the_report_reads_it(self, model, converted, cut, images, tmp_path):
        rows = layer_rows(model, kbp.fold(cut))
        parts = {
            "model": {"name": "net", "input_shape": model.input_shape[1:]},
            "met_budget": True,
            "metric": "accuracy",
            "baseline": 0.9,
            "least": 0.89,
            "before_after": [{"label": "parameters", "before": 100, "after": 50}],
            "chosen": 1,
            "layers": rows,
            "spectra": spectra(converted, rows),
            "equality": certificate(model, converted, cut, kbp.fold(cut), images),
            "history": {"loss": [0.5, math.nan]},
        }
        trials = [trial(1, math.nan, fitting=1.0), trial(1, 0.9, fitting=1.0)]
        found = document(parts, trials, {**self.arguments, "cost": "params"})
        text = json.dumps(found, allow_nan=False)
        (tmp_path / "report.json").write_text(text)
        write_report(tmp_path)
        page = (tmp_path / "report.html").read_text()
        assert "DepthwiseConv2D" in page
        assert "activation softmax of `head` reads across channels" in page
        assert "activation softmax of `head` reads across channels" in page


def test_training_in_a_search_is_that_of_recover(model, cut, images):
    data = [read_examples("train", model, x) for x in (images, images[:30])]
    outputs = output_kinds(model, data[0].first)
    losses = distillation_losses(outputs, first_outputs(model, [images]))
    config = kbp.Recovery(epochs=2, batch_size=50, seed=3, keep_best=False, warmup=0.0)
    ours, theirs = (kbp.fold(cut, batch_norm=False) for _ in range(2))
    made = retrain(ours, model, data, config, losses, [], number=4, past=2)
    later = dataclasses.replace(config, initial_epoch=2)
    history = kbp.recover(
        theirs, images, None, teacher=model, config=later, verbose=0
    ).history
    assert made["history"].pop("round") == [4, 4]
    assert made["history"] == history
    assert made["seconds"] > 0
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_without_weights_to_train_is_refused(images):
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Softmax()(layers.GlobalAveragePooling2D()(inputs))
    network, config = (
        keras.Model(inputs, outputs),
        kbp.Recovery(weights="all", epochs=1),
    )
    data = [read_examples("train", network, images)] * 2
    with pytest.raises(ValueError, match="`model` to have weights that train"):
        retrain(network, network, data, config, None, [], 1, 0)
