"""What a search remembers, on disk, whenever it is killed."""

import json
import math
import shutil
import sys

import keras
import numpy as np
import pytest
from models import array

from keras_basisprune.search.run_folder import RunFolder, checksum, model_checksum


def net(seed=0, units=3):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5, 5, 2), name="images")
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Flatten(name="flat")(x)
    outputs = keras.layers.Dense(units, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="net")


def equal(one, other):
    pairs = zip(one.weights, other.weights, strict=True)
    return all(np.array_equal(array(a), array(b)) for a, b in pairs)


def not_asked():
    raise AssertionError("it is known already")


def content(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_question_is_asked_once(tmp_path):
    for place in (None, tmp_path / "a" / "state"):
        folder, asked = RunFolder(place, {}), []
        for _ in range(3):
            assert folder.recall("how much", lambda a=asked: a.append(1) or 4.5) == 4.5
        assert asked == [1]
    assert content(tmp_path / "a") == ["state"]
    assert content(tmp_path / "a" / "state") == ["state.json"]


def test_memory_alone_forgets():
    assert RunFolder(None, {}).recall("a", lambda: 1) == 1
    assert RunFolder(None, {}).recall("a", lambda: 2) == 2


@pytest.mark.parametrize(
    "answer",
    [0.1 + 0.2, 1e-300, 7, "text", None, True, [1, [2.5, None]], {"b": 1, "a": [0.1]}],
)
def test_answers_are_the_same_in_the_next_process(tmp_path, answer):
    RunFolder(tmp_path, {"seed": 1}).recall("first", lambda: answer)
    RunFolder(tmp_path, {"seed": 1}).recall("second", lambda: 5)
    folder = RunFolder(tmp_path, {"seed": 1})
    assert folder.recall("first", not_asked) == answer
    assert folder.recall("second", not_asked) == 5


def test_not_a_number_comes_back(tmp_path):
    asked = {"score": math.nan, "kept": math.inf}
    RunFolder(tmp_path, {}).recall("round 1", lambda: asked)
    found = RunFolder(tmp_path, {}).recall("round 1", not_asked)
    assert math.isnan(found["score"])
    assert found["kept"] == math.inf


def test_an_answer_can_be_replaced(tmp_path):
    folder = RunFolder(tmp_path, {})
    folder.remember("a", 1)
    folder.remember("a", 2)
    assert folder.recall("a", not_asked) == 2
    assert RunFolder(tmp_path, {}).recall("a", not_asked) == 2


def test_an_answer_that_can_not_be_found_leaves_no_trace(tmp_path):
    folder = RunFolder(tmp_path / "state", {})
    with pytest.raises(AssertionError, match="known already"):
        folder.recall("a", not_asked)
    assert content(tmp_path) == []
    with pytest.raises(TypeError, match="not JSON serializable"):
        folder.recall("a", lambda: {1, 2})
    assert content(tmp_path) == []
    assert folder.recall("a", lambda: 3) == 3
    with pytest.raises(TypeError, match="not JSON serializable"):
        folder.remember("a", net())
    assert folder.recall("a", not_asked) == 3
    assert RunFolder(tmp_path / "state", {}).recall("a", not_asked) == 3


def test_what_it_belongs_to_is_compared_as_json_does(tmp_path):
    RunFolder(tmp_path, {"shape": (1, 2), "recover": None}).remember("a", 1)
    folder = RunFolder(tmp_path, {"recover": None, "shape": [1, 2]})
    assert folder.recall("a", not_asked) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "JSONDecodeError"),
        ('{"version": 5, "belongs_to": {}', "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ("null", "TypeError"),
        ("{}", "KeyError: 'version'"),
        (
            '{"version": 2, "belongs_to": {}, "answers": {}}',
            "ValueError: version 2, which another version of keras_basisprune wrote",
        ),
        ('{"version": 5, "answers": {}}', "KeyError: 'belongs_to'"),
        ('{"version": 5, "belongs_to": {}}', "KeyError: 'answers'"),
        ('{"version": 5, "belongs_to": {}, "answers": 5}', "TypeError"),
        ('{"version": 5, "belongs_to": [5], "answers": {}}', "TypeError"),
        ('{"version": 5, "belongs_to": {}, "answers": {}}', "KeyError: 'sha256'"),
        (
            '{"version": 5, "belongs_to": {}, "answers": {}, "sha256": 5}',
            "ValueError: it is not as it was written",
        ),
        (b"\xff\xfe\x00", "UnicodeDecodeError"),
    ],
)
def test_a_broken_state_is_refused(tmp_path, text, why):
    text = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "state.json").write_bytes(text)
    expected = (
        r"Expected `output_dir` to be empty or to hold the state of a search. "
        rf"Received: .*state.json, which can't be read \({why}.*Delete the folder "
        rf"{tmp_path} to start again, or"
    )
    with pytest.raises(ValueError, match=expected):
        RunFolder(tmp_path, {})
    assert (tmp_path / "state.json").read_bytes() == text


def test_a_foreign_state_is_refused(tmp_path):
    mine = {"seed": 0, "max_drop": 0.01, "methods": ["basis"], "model": "a" * 64}
    RunFolder(tmp_path, mine).remember("a", 1)
    before = (tmp_path / "state.json").read_bytes()
    for change, told in (
        ({"seed": 3}, r"another seed \(0\)\."),
        ({"methods": ["basis", "channels"]}, r"another methods \(\['basis'\]\)\."),
        ({"model": "b" * 64}, r"another model \(aaaaaaaaaaaa\.\.\.\)\."),
        ({"model": None, "seed": 1}, r"model \(aaaaaaaaaaaa\.\.\.\), seed \(0\)\."),
        ({"train": "c"}, r"another train \(none\)\."),
    ):
        with pytest.raises(ValueError, match=told) as error:
            RunFolder(tmp_path, {**mine, **change})
        assert "to hold the state of this search" in str(error.value)
        assert "arguments to continue, delete that folder to start" in str(error.value)
        assert str(tmp_path) in str(error.value)
    with pytest.raises(ValueError, match=r"another max_drop \(0.01\)\."):
        RunFolder(tmp_path, {k: v for k, v in mine.items() if k != "max_drop"})
    assert (tmp_path / "state.json").read_bytes() == before
    assert RunFolder(tmp_path, mine).recall("a", not_asked) == 1


def test_a_network_is_made_once(tmp_path):
    made = RunFolder(tmp_path, {}).recall_model("round_1", net)
    assert content(tmp_path) == ["round_1.keras", "state.json"]
    folder = RunFolder(tmp_path, {})
    for _ in range(2):
        again = folder.recall_model("round_1", not_asked)
        assert equal(made, again)
        assert model_checksum(made) == model_checksum(again)
    other = folder.recall_model("round_2", lambda: net(seed=1))
    assert not equal(made, other)
    assert content(tmp_path) == ["round_1.keras", "round_2.keras", "state.json"]


def test_without_a_folder_a_network_is_made_each_time():
    folder = RunFolder(None, {})
    assert equal(folder.recall_model("a", net), net())
    assert not equal(folder.recall_model("a", lambda: net(seed=1)), net())


def test_networks_with_layers_of_the_user(tmp_path):
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    def cubed(x):
        return x**3

    def make():
        inputs = keras.Input((3,))
        x = keras.layers.Lambda(lambda x: x + 1)(inputs)
        outputs = Twice()(keras.layers.Dense(2, activation=cubed)(x))
        return keras.Model(inputs, outputs)

    like = make()
    made = RunFolder(tmp_path, {}).recall_model("own", make, like)
    again = RunFolder(tmp_path, {}).recall_model("own", not_asked, like)
    np.testing.assert_array_equal(made(np.ones((1, 3))), again(np.ones((1, 3))))
    with pytest.raises((TypeError, ValueError)):
        RunFolder(tmp_path, {}).recall_model("own", not_asked)


def test_networks_with_functions_and_regularizers_of_the_user(tmp_path):
    class Own(keras.regularizers.Regularizer):
        def __call__(self, weights):
            return 0.1 * keras.ops.sum(weights)

        def get_config(self):
            return {}

    class Small(keras.constraints.Constraint):
        def __call__(self, weights):
            return keras.ops.clip(weights, -1, 1)

    def shifted(x):
        return x + 1

    def make():
        inputs = keras.Input((3,))
        x = keras.layers.Lambda(shifted, output_shape=(3,))(inputs)
        dense = keras.layers.Dense(2, kernel_regularizer=Own(), bias_constraint=Small())
        return keras.Model(inputs, dense(x))

    like = make()
    made = RunFolder(tmp_path, {}).recall_model("own", make, like)
    again = RunFolder(tmp_path, {}).recall_model("own", not_asked, like)
    np.testing.assert_array_equal(made(np.ones((1, 3))), again(np.ones((1, 3))))
    assert type(again.layers[-1].kernel_regularizer) is Own


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    folder = RunFolder(tmp_path, {})
    folder.recall("a", lambda: 1)
    left = (".state.json.x1y2z3a4", ".round_1.keras.12345678", ".theirs.keras")
    for name in left:
        (tmp_path / name).mkdir()
    RunFolder(tmp_path, {})
    assert content(tmp_path) == [".theirs.keras", "state.json"]


def test_a_network_of_a_deleted_state_is_not_believed(tmp_path):
    RunFolder(tmp_path, {"seed": 0}).recall_model("round_1", net)
    (tmp_path / "state.json").unlink()
    folder = RunFolder(tmp_path, {"seed": 1})
    folder.remember("a", 1)
    found = folder.recall_model("round_1", lambda: net(seed=1))
    assert equal(found, net(seed=1))
    again = RunFolder(tmp_path, {"seed": 1}).recall_model("round_1", not_asked)
    assert equal(again, found)


def test_a_network_that_was_deleted_is_made_again(tmp_path):
    RunFolder(tmp_path, {}).recall_model("round_1", net)
    (tmp_path / "round_1.keras").unlink()
    found = RunFolder(tmp_path, {}).recall_model("round_1", lambda: net(seed=1))
    assert equal(found, net(seed=1))


def damaged(path, how):
    """What a disk, a careless hand or another search does to a file."""
    before = path.read_bytes()
    if how == "exchanged":
        net(seed=1, units=7).save(path)
    elif how == "flipped":
        at = len(before) // 2
        path.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
    else:
        path.write_bytes(before[: {"truncated": len(before) // 2, "empty": 0}[how]])
    assert path.read_bytes() != before


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "exchanged"])
def test_a_network_that_was_damaged_is_named_and_made_again(tmp_path, how):
    made = RunFolder(tmp_path, {}).recall_model("round_1", net)
    RunFolder(tmp_path, {}).recall_model("round_2", net)
    path = tmp_path / "round_1.keras"
    damaged(path, how)
    folder = RunFolder(tmp_path, {})
    with pytest.warns(UserWarning, match=f"{path} is not as this search has written"):
        again = folder.recall_model("round_1", net)
    assert equal(made, again)
    assert equal(made, folder.recall_model("round_2", not_asked))
    assert equal(made, RunFolder(tmp_path, {}).recall_model("round_1", not_asked))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["answers"].update(first=7),
        lambda content: content["answers"].update(first="seven"),
        lambda content: content["answers"].update({"round_1.keras": "written"}),
        lambda content: content["answers"].pop("first"),
        lambda content: content["belongs_to"].update(seed=1),
    ],
)
def test_answers_that_were_changed_are_refused(tmp_path, change):
    folder = RunFolder(tmp_path, {"seed": 1.5})
    folder.remember("first", {"score": math.nan, "kept": 0.1, "name": "ü"})
    folder.recall_model("round_1", net)
    path = tmp_path / "state.json"
    RunFolder(tmp_path, {"seed": 1.5})  # as it was written
    changed = json.loads(path.read_text())
    change(changed)
    path.write_text(json.dumps(changed, indent=1))
    before = path.read_bytes()
    text = rf"state.json, which can't be read .*not as it was .*folder {tmp_path} to"
    with pytest.raises(ValueError, match=text):
        RunFolder(tmp_path, {"seed": 1.5})
    assert path.read_bytes() == before


def test_nothing_half_written_stays(tmp_path):
    folder = RunFolder(tmp_path / "state", {})
    with pytest.raises(AssertionError):
        folder.recall_model("round_1", not_asked)
    assert content(tmp_path) == []
    with pytest.raises(AttributeError):
        folder.recall_model("round_1", lambda: "no model")
    assert content(tmp_path) == []


def test_a_place_that_can_not_be_written_to(tmp_path):
    (tmp_path / "file").write_text("mine")
    folder = RunFolder(tmp_path / "file" / "state", {})
    with pytest.raises(ValueError, match="`output_dir` to be in a folder.*no folder"):
        folder.recall_model("round_1", net)
    with pytest.raises(ValueError, match="`path` to be in a folder.*is no folder"):
        folder.recall("a", lambda: 1)
    assert content(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def search(place, log):
    """A search in small: questions that depend on answers, and two networks."""
    folder = RunFolder(place, {"model": model_checksum(net()), "seed": 0})

    def ask(question, answer):
        return folder.recall(question, lambda: log.append(question) or answer)

    def make(name, seed):
        def made():
            log.append(name)
            folder.remember(f"{name} training", {"loss": [0.5, seed]})
            return net(seed)

        model = folder.recall_model(name, made)
        return model, folder.recall(f"{name} training", dict)

    trials = [ask("keep 0.1", {"score": math.nan}), ask("keep 0.3", {"score": 0.75})]
    first, training = make("round_1", 1)
    trials += [training, ask("round 1", float(np.sum(array(first.weights[0]))))]
    second, training = make("round_2", 2)
    trials += [training, ask("round 2", float(np.sum(array(second.weights[0]))))]
    return json.dumps(trials), model_checksum(first), model_checksum(second)


class Snapshots:
    """Copies a folder before each operation on its files."""

    EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}

    def __init__(self, folder, copies):
        self.folder, self.copies, self.count, self.on = folder, copies, 0, True
        sys.addaudithook(self._hook)  # for good, so it has to be switched off

    def _hook(self, event, arguments):
        if not (self.on and event in self.EVENTS):
            return
        if not str(arguments[0]).startswith(str(self.folder)):
            return
        self.on = False
        if self.folder.exists():
            shutil.copytree(self.folder, self.copies / str(self.count))
            self.count += 1
        self.on = True


def seen(folder):
    """What is in a folder, as far as one can see it."""
    return tuple(
        (path.name, path.read_bytes()) for path in sorted(folder.glob("[!.]*"))
    )


def test_it_goes_on_from_every_state_in_which_it_can_be_killed(tmp_path):
    log = []
    snapshots = Snapshots(tmp_path / "state", tmp_path / "copies")
    (tmp_path / "copies").mkdir()
    wanted = search(tmp_path / "state", log)
    snapshots.on = False
    assert log == ["keep 0.1", "keep 0.3", "round_1", "round 1", "round_2", "round 2"]
    assert snapshots.count > 20
    different = {seen(copy): copy for copy in (tmp_path / "copies").iterdir()}
    assert len(different) == 11  # 1 without a file, 10 after each of them
    for copy in different.values():
        rest = []
        assert search(copy, rest) == wanted
        assert rest == log[len(log) - len(rest) :]
        assert search(copy, rest := []) == wanted
        assert rest == []
        assert {"round_1.keras", "round_2.keras", "state.json"} <= set(content(copy))


def test_left_over_halves_are_no_harm(tmp_path):
    (tmp_path / ".state.json.abcdefgh").mkdir()
    (tmp_path / ".state.json.abcdefgh" / "state.json").write_text('{"versi')
    folder = RunFolder(tmp_path, {})
    assert folder.recall("a", lambda: 1) == 1
    assert RunFolder(tmp_path, {}).recall("a", not_asked) == 1
    assert content(tmp_path) == ["state.json"]


def test_checksums_of_arrays():
    a = np.arange(12, dtype="float32").reshape(3, 4)
    changed = a.copy()
    changed[2, 3] += 1e-5
    other = [
        changed,
        a.reshape(4, 3),
        a.astype("float64"),
        a.view("int32"),
        a[:2],
        a.T,
        a[::-1],
        np.zeros((0, 4), "float32"),
        np.zeros((4, 0), "float32"),
        np.float32(1),
        np.ones(1, "float32"),
        None,
    ]
    found = [checksum(a), *(checksum(x) for x in other), checksum(), checksum(a, None)]
    assert len(set(found)) == len(found)
    assert {len(x) for x in found} == {64}
    assert checksum(a, changed) != checksum(changed, a)
    assert checksum(a) == checksum(a.copy()) == checksum(np.asfortranarray(a))
    assert checksum(a.T) == checksum(a.T.copy())


def test_checksums_of_models(tmp_path):
    model = net()
    known = model_checksum(model)
    assert model_checksum(net()) == known
    assert model_checksum(net(seed=1)) != known
    for weight in model.weights:
        before = array(weight)
        changed = before.copy()
        changed.flat[0] = np.nextafter(changed.flat[0], np.float32(9))
        weight.assign(changed)
        assert model_checksum(model) != known
        weight.assign(before)
    assert model_checksum(model) == known
    model.get_layer("conv").activation = keras.activations.relu
    assert model_checksum(model) != known
    model.get_layer("conv").activation = keras.activations.linear
    assert model_checksum(model) == known
    model.compile("adam", "sparse_categorical_crossentropy")
    assert model_checksum(model) == known


def every_kind():
    """Models whose configs hold what JSON doesn't know."""
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Rescaling(np.float32(1 / 255), offset=[0.0, 1.0, 2.0])(inputs)
    x = keras.layers.Normalization(mean=[0.0, 1.0, 2.0], variance=[1.0, 2.0, 3.0])(x)
    x = keras.layers.RandomFlip("horizontal", seed=3)(x)
    x = keras.layers.SeparableConv2D(4, 3, padding="same", activation="swish")(x)
    y = keras.layers.Conv2D(4, 1, kernel_regularizer=keras.regularizers.L2(1e-4))(x)
    x = keras.ops.concatenate([x[:, 1:, ::2], y[:, 1:, ::2]], axis=-1) * 2.0
    x = keras.layers.Dropout(0.5, seed=1)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    functional = keras.Model(inputs, keras.layers.Dense(3)(x))
    nested = keras.Sequential([keras.Input((6, 6, 3)), functional])
    low = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16")]
    )
    return [functional, nested, low]


@pytest.mark.parametrize("at", range(3))
def test_checksums_of_models_that_were_saved(tmp_path, at):
    model = every_kind()[at]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert equal(model, again)
    assert model_checksum(again) == model_checksum(model)
