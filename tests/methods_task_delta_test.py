"""Files of deltas, and what is refused: other bases, damage, positions, heads."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import array, identical
from task_networks import made_delta, state, subclassed

import keras_basisprune as kbp
from keras_basisprune.methods import WeightChange
from keras_basisprune.methods.diff_pruning._copied import copied
from keras_basisprune.methods.diff_pruning._fingerprint import fingerprint


@pytest.fixture(scope="module")
def known():
    """A model, its delta, and the state of the network for the task."""
    model = FAMILIES["residual"]()
    return model, *made_delta(model)


def test_the_numbers_of_a_delta(known, tmp_path):
    model, delta, wanted = known
    pairs = list(zip(state(model), wanted, strict=True))[:-2]  # the head's are last
    differ = sum(int((a.view("u4") != b.view("u4")).sum()) for a, b in pairs)
    assert delta.changed + delta.whole == differ
    assert delta.share == delta.changed / delta.base_size
    assert delta.nbytes == sum(
        c.values.nbytes + (0 if c.positions is None else c.positions.nbytes)
        for c in (*delta.changes, *delta.head)
    )
    assert f"{delta.changed:,} of {delta.base_size:,} weights" in repr(delta)
    delta.save(tmp_path / "task.npz")
    assert (tmp_path / "task.npz").stat().st_size < 10 * differ + 4000
    with np.load(tmp_path / "task.npz", allow_pickle=False) as file:
        assert {"header", "positions", "values_float32"} == set(file.files)


def test_overlap(known):
    model, delta, _ = known
    other, _ = made_delta(model, seed=5)
    found = delta.overlap(other)
    mine, its = (
        {
            (c.place, p)
            for c in d.changes
            if c.positions is not None
            for p in c.positions
        }
        for d in (delta, other)
    )
    assert found.shared == len(mine & its) > 0
    assert (found.first, found.second) == (len(mine), len(its))
    assert found.share == len(mine & its) / len(mine | its)
    assert found.expected == pytest.approx(len(mine) * len(its) / delta.base_size)
    assert found.same == 0
    same = delta.overlap(delta)
    assert same.shared == same.same == delta.changed
    assert f"{found.shared:,} weights in both" in str(found)
    with pytest.raises(ValueError, match="`other` to be of the same base"):
        delta.overlap(made_delta(subclassed())[0])
    with pytest.raises(ValueError, match="Expected `other`"):
        delta.overlap(None)


def changed_by(model, path):
    weight = next(v for v in model.weights if v.path.endswith(path))
    value = array(weight)
    flat = value.reshape(-1)
    flat[-1] = np.nextafter(flat[-1], np.float32(9))
    weight.assign(value)


@pytest.mark.parametrize("use", ["apply", "apply_in_place"])
def test_other_bases_are_refused(known, use):
    model, delta, _ = known
    argument = "base" if use == "apply" else "model"
    same, near = copied(model), copied(model)
    changed_by(near, "stem/kernel")  # in its last bit
    for other, reason in (
        (near, "fingerprint"),
        (subclassed(), "weights, not"),
    ):
        before = state(other)
        with pytest.raises(ValueError, match=f"`{argument}` to be the base.*{reason}"):
            getattr(delta, use)(other)
        assert identical(before, state(other))
    with pytest.raises(ValueError, match=f"Expected `{argument}`"):
        getattr(delta, use)("base.keras")
    changed_by(same, "head/kernel")  # the head may have any weights
    getattr(delta, use)(same)


def test_in_place_one_at_a_time(known):
    model, delta, wanted = known
    other, wanted_other = made_delta(model, seed=3)
    before = state(model)
    with pytest.raises(ValueError, match="`model` to have this delta.*None"):
        delta.remove(model)
    delta.apply_in_place(model)
    for call in (delta.apply_in_place, other.apply_in_place):
        with pytest.raises(ValueError, match="`model` to have no delta.*Call its"):
            call(model)
    with pytest.raises(ValueError, match="`model` to have this delta"):
        other.remove(model)
    with pytest.raises(ValueError, match="without another delta"):
        other.apply(model)
    assert identical(state(model), wanted)
    delta.remove(model)
    for chosen, values in ((other, wanted_other), (delta, wanted)) * 2:
        chosen.apply_in_place(model, check=False)
        assert identical(state(model), values)
        chosen.remove(model)
        assert identical(state(model), before)


def test_tasks_with_heads_of_their_own_share_a_trunk():
    whole = FAMILIES["residual"]()
    trunk = keras.Model(whole.inputs, whole.layers[-2].output)
    before = state(trunk)
    networks, deltas, wanted = [], [], []
    for classes in (2, 5):
        head = keras.layers.Dense(classes, "softmax", name=f"head{classes}")
        networks.append(keras.Model(trunk.inputs, head(trunk.output)))
        delta, values = made_delta(networks[-1], seed=classes)
        deltas.append(delta)
        wanted.append(values)
    for network, delta, values in zip(networks, deltas, wanted, strict=True):
        delta.apply_in_place(network)
        assert identical(state(network), values)
        delta.remove(network)
        assert identical(state(trunk), before)
        changed = delta.apply(trunk)
        assert identical(state(changed), values[:-2])
    with pytest.raises(ValueError, match=r"`model` to have a head .*\(8, 2\)"):
        deltas[0].apply_in_place(networks[1])
    made = deltas[0].apply(networks[1])  # its head is replaced
    assert identical(state(made), wanted[0])


def test_signs_of_zeros_and_nan_come_back():
    model = FAMILIES["sequential"]()
    kernel = model.layers[0].kernel
    value = np.full(kernel.shape, -0.0, "float32")
    value[0, 0, 0] = np.nan
    kernel.assign(value)
    before = state(model)
    delta, wanted = made_delta(model, share=0.7)
    delta.apply_in_place(model)
    assert identical(state(model), wanted)
    delta.remove(model)
    assert identical(state(model), before)


def rewritten(path, change):
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez(path, **arrays)


def header(change):
    def apply(arrays):
        content = json.loads(arrays["header"].tobytes())
        change(content)
        text = json.dumps(content).encode()
        arrays["header"] = np.frombuffer(text, np.uint8)

    return apply


def put(name, value):
    def apply(arrays):
        arrays[name] = value(arrays[name])

    return apply


DAMAGE = {
    "unsorted": (put("positions", lambda a: a[::-1]), "ascending|in \\[0"),
    "twice": (put("positions", lambda a: np.repeat(a[:1], len(a))), "ascending"),
    "too large": (put("positions", lambda a: a + 10**6), r"`positions` of .*in \[0, "),
    "floats": (put("positions", lambda a: a.astype("f4")), "positions are of dtype"),
    "fewer positions": (put("positions", lambda a: a[:-1]), "one per position"),
    "more values": (put("values_float32", lambda a: np.append(a, a)), "numbers"),
    "fewer values": (put("values_float32", lambda a: a[:-5]), "shape"),
    "doubles": (put("values_float32", lambda a: a.astype("f8")), "dtype"),
    "other format": (header(lambda h: h.update(format="a")), "it is no"),
    "other version": (header(lambda h: h.update(version=2)), "version 1"),
    "no fingerprint": (header(lambda h: h.pop("fingerprint")), "fingerprint"),
    "no header": (lambda arrays: arrays.pop("header"), "header"),
    "places": (
        header(lambda h: h["changes"]["changes"].reverse()),
        "ascending weights|dtype|ascending|in \\[0",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_are_refused(case, known, tmp_path):
    change, text = DAMAGE[case]
    path = tmp_path / "task.npz"
    known[1].save(path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=f"(?s)`path` to be a file written.*({text})"):
        kbp.TaskDelta.load(path)


def test_cut_off_and_foreign_files_are_refused(known, tmp_path):
    path = tmp_path / "task.npz"
    known[1].save(path)
    content = path.read_bytes()
    half = content[: len(content) // 2]
    for wrong in (content[:-30], half, b"", b"a"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="`path` to be a file written by"):
            kbp.TaskDelta.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("a", "b")
    for name in ("array.npy", "other.zip", "missing.npz", "."):
        with pytest.raises(ValueError, match="`path`"):
            kbp.TaskDelta.load(tmp_path / name)


def test_a_wrong_byte_is_found_or_does_not_matter(known, tmp_path):
    path, found = tmp_path / "task.npz", 0
    known[1].save(path)
    content = path.read_bytes()
    places = range(0, len(content), max(1, len(content) // 50))
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 255
        path.write_bytes(flipped)
        try:
            assert kbp.TaskDelta.load(path) == known[1]  # times, flags
        except ValueError as error:
            assert "Expected `path` to be a file written by" in str(error)
            found += 1
    assert found > 0.7 * len(places)


def test_a_file_is_written_whole_or_not_at_all(known, tmp_path):
    delta = known[1]
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="`path` to leave room for a file"):
        delta.save(tmp_path / "folder")
    with pytest.raises(ValueError, match="`metadata` to be what JSON can hold"):
        dataclasses.replace(delta, metadata={"a": object()})
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    named = dataclasses.replace(delta, metadata={"classes": ("a", "b")})
    named.save(tmp_path / "odd name")
    assert kbp.TaskDelta.load(tmp_path / "odd name") == named
    assert named.metadata["classes"] == ["a", "b"]
    assert named != delta


@pytest.mark.parametrize(
    ("positions", "values", "text"),
    [
        ([0, 6], [1.0, 2.0], r"`positions` of `a` to be in \[0, 6\).*0 to 6"),
        ([-1, 2], [1.0, 2.0], r"in \[0, 6\).*-1 to 2"),
        ([2, 1], [1.0, 2.0], "ascending.*2 before 1"),
        ([1, 1], [1.0, 2.0], "ascending, each once.*1 before 1"),
        ([0.0, 1.0], [1.0, 2.0], "row of integers"),
        ([0], [1.0, 2.0], r"`values` of `a` to be of shape \(1,\)"),
        (None, [1.0, 2.0], r"`values` of `a` to be of shape \(2, 3\)"),
        ([0, 1], ["a", "b"], "an array of numbers"),
    ],
)
def test_parts_that_do_not_fit_are_refused(positions, values, text):
    positions = positions if positions is None else np.array(positions)
    with pytest.raises(ValueError, match=text):
        WeightChange("a", 0, (2, 3), np.array(values), positions)


def test_two_networks_that_have_nothing_in_common_give_no_delta():
    with pytest.raises(ValueError, match="`tuned` to have the weights of `base`"):
        kbp.TaskDelta.between(FAMILIES["nested"](), FAMILIES["residual"]())


class Unclonable(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.head = keras.layers.Dense(2)

    def call(self, x):
        return self.head(self.layer(x))


def test_a_model_that_cannot_be_copied_takes_deltas_in_place():
    model = Unclonable(keras.layers.Dense(3))
    model(np.zeros((1, 4), "float32"))
    change = WeightChange("kernel", 0, (4, 3), np.ones(2, "float32"), np.array([0, 7]))
    head = [
        WeightChange(v.path, 2 + n, tuple(v.shape), array(v) + 1)
        for n, v in enumerate(model.head.weights)
    ]
    base = model.layer.weights
    delta = kbp.TaskDelta((change,), head, fingerprint(base), 15, 4)
    with pytest.raises(ValueError, match="`base` .* made again.*apply_in_place"):
        delta.apply(model)
    before = state(model)
    delta.apply_in_place(model)
    kernel = array(model.layer.kernel).reshape(-1)
    assert kernel[[0, 7]].tolist() == [1.0, 1.0]
    assert int((kernel != before[0].reshape(-1)).sum()) == 2
    np.testing.assert_array_equal(array(model.head.bias), before[3] + 1)
    delta.remove(model)
    assert identical(before, state(model))
