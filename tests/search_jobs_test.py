"""Searches as jobs: shared, resumed, repeated; and storages that go away."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types

import digits_model
import jobs_worker
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.search.jobs import _job_search as module
from keras_basisprune.search.jobs._progress import is_surplus, progress_of, undrawn
from keras_basisprune.search.jobs._storage import open_storage
from keras_basisprune.search.jobs.choices import Choices
from keras_basisprune.search.locked import FolderInUse

optuna = pytest.importorskip("optuna")
HERE = pathlib.Path(__file__).resolve().parent
CHOICES = {"methods": [["basis"], ["channels"]], "seed": range(3)}
LEFT = {(("basis",), 0): 0.5, (("channels",), 2): 0.2}


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs))
    x = keras.layers.Dropout(0.1)(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


class Searches:
    """Stands for `compress`: answers at once, and remembers what was asked."""

    def __init__(self):
        self.calls, self.fails = [], {}

    def __call__(self, model, train, validation, **given):
        key = tuple(given["methods"]), given["seed"]
        self.calls.append(given)
        errors = self.fails.get(key, [])
        if errors:
            error = errors.pop(0)
            if callable(error) and not isinstance(error, type):
                error()
            else:
                raise error
        left = LEFT.get(key, 0.6)
        return types.SimpleNamespace(
            details={"stopped": None},
            scores={"accuracy": (0.9, 0.89)},
            metric="accuracy",
            met_budget=key != (("basis",), 1),
            report=types.SimpleNamespace(flops_ratio=left, params_ratio=left / 2),
        )


@pytest.fixture
def searches(monkeypatch):
    found = Searches()
    monkeypatch.setattr(module, "compress", found)
    monkeypatch.setattr(module, "_POLL", 0.05)
    monkeypatch.setattr(module, "checked_call", lambda **given: None)
    return found


def run(model, folder, **given):
    given = {"choices": CHOICES, "max_drop": 0.02, **given}
    return kbp.search.search_jobs(model, None, None, output_dir=folder, **given)


def states(found):
    return [job.state for job in found.jobs]


def test_all_combinations_are_tried_once(model, searches, tmp_path):
    found = run(model, tmp_path)
    asked = {(tuple(c["methods"]), c["seed"]) for c in searches.calls}
    assert len(searches.calls) == 6 and len(asked) == 6
    assert sorted(states(found)) == [*["done"] * 5, "over budget"]
    assert found.best.values == {"methods": "channels", "seed": 2}
    assert (found.best.left, found.best.score, found.best.baseline) == (0.2, 0.89, 0.9)
    folder = pathlib.Path(found.best.folder)
    assert folder.parent == tmp_path / "jobs"
    assert folder.name.startswith("methods=channels,seed=2-")
    assert {str(c["output_dir"].absolute()) for c in searches.calls} == {
        job.folder for job in found.jobs
    }
    assert all(c["max_drop"] == 0.02 for c in searches.calls)
    assert "channels" in repr(found) and "20.0%" in repr(found)
    # The same call again asks nothing, and knows the same.
    assert repr(run(model, tmp_path)) == repr(found)
    assert len(searches.calls) == 6


def test_the_sampler_chooses_some(model, searches, tmp_path):
    found = run(model, tmp_path, jobs=4, objective="params")
    assert len(searches.calls) == 4 and len(found.jobs) == 4
    assert len({(tuple(c["methods"]), c["seed"]) for c in searches.calls}) == 4
    again = run(model, tmp_path, jobs=5, objective="params", sampler=None)
    assert len(searches.calls) == 5 and len(again.jobs) == 5
    sampler = optuna.samplers.RandomSampler(seed=0)
    assert len(run(model, tmp_path / "b", jobs=3, sampler=sampler).jobs) == 3


def test_two_at_a_time_share_the_work(model, searches, tmp_path):
    def slowly(*args, original=searches.__call__, **given):
        time.sleep(0.05)
        return Searches.__call__(searches, *args, **given)

    module.compress = slowly  # undone by the fixture
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(run(model, tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(searches.calls) == 6
    assert sorted(states(found[0])) == sorted(states(found[1]))
    assert [job.left for job in found[0].jobs if job.state == "done"].count(0.2) == 1


def test_a_trial_is_begun_once(tmp_path):
    both = [open_storage(None, tmp_path, 60, 5) for _ in range(2)]
    study = optuna.create_study(storage=both[0], study_name="one")
    running, begun = optuna.trial.TrialState.RUNNING, []
    for _ in range(20):
        study.enqueue_trial({"x": 1})
    ids = [trial._trial_id for trial in study.get_trials()]
    barrier = threading.Barrier(2)

    def begin(storage):
        for one in ids:
            barrier.wait()
            begun.append(storage.set_trial_state_values(one, running))

    threads = [threading.Thread(target=begin, args=(one,)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == [False] * 20 + [True] * 20


def test_a_combination_that_is_half_drawn_is_waited_for():
    """The earlier trial may be about to draw what the later one was given."""
    choices = Choices(CHOICES, {})
    given = choices.row(4)
    drawing = optuna.samplers.PartialFixedSampler(
        given, optuna.samplers.RandomSampler()
    )
    study = optuna.create_study(sampler=drawing)
    first = study.ask()
    study.enqueue_trial(given)
    later = study.ask()
    for name in given:
        later.suggest_categorical(name, choices.labels[name])
    for name in given:
        trials = study.get_trials()
        assert undrawn(later, trials, choices) == {0}
        assert undrawn(first, trials, choices) == set()
        assert not is_surplus(later, trials, choices, 6)
        assert progress_of(trials, choices, 0).taken == {choices.key(given)}
        first.suggest_categorical(name, choices.labels[name])
    trials = study.get_trials()
    assert undrawn(later, trials, choices) == set()
    assert is_surplus(later, trials, choices, 6)
    assert not is_surplus(first, trials, choices, 6)


def test_trials_that_failed_before_they_drew_are_none():
    choices, study = Choices(CHOICES, {}), optuna.create_study()
    for _ in range(3):
        study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    found = progress_of(study.get_trials(), choices, 1)
    assert (found.ended, found.taken) == (set(), set())
    assert (found.active, found.again) == (0, [])


def test_what_fails_is_begun_again_and_what_is_refused_is_not(
    model, searches, tmp_path
):
    searches.fails = {
        (("basis",), 0): [OSError("the disk is full"), FolderInUse("in use")],
        (("basis",), 2): [MemoryError("too large")] * 9,
        (("channels",), 1): [ValueError("Expected `recover` to be otherwise.")],
    }
    found = run(model, tmp_path, retries=2)
    by = {}
    for job in found.jobs:
        by.setdefault(tuple(job.values.values()), []).append(job)
    one = by["basis", 0]
    assert [job.state for job in one] == ["failed", "failed", "done"]
    assert one[0].error == "OSError: the disk is full"
    assert len({job.folder for job in one}) == 1  # where it continues
    assert [job.state for job in by["basis", 2]] == ["failed"] * 3
    (refused,) = by["channels", 1]
    assert refused.state == "refused" and "`recover`" in refused.error
    assert np.isnan(refused.left) and found.best.left == 0.2
    searches.fails = {(("basis",), 0): [ValueError("Expected `recover` ...")]}
    with pytest.raises(ValueError, match="with which a job can run.*`recover`"):
        run(model, tmp_path / "b", choices={"methods": [["basis"]], "seed": [0]})


def test_a_job_that_others_gave_up_is_begun_again(model, searches, tmp_path):
    def others():
        url = f"sqlite:///{tmp_path}/jobs.db"
        study = optuna.load_study(study_name="keras_basisprune", storage=url)
        (ours,) = (t for t in study.get_trials() if t.state.name == "RUNNING")
        study.tell(ours.number, state=optuna.trial.TrialState.FAIL)

    searches.fails = {(("channels",), 1): [others]}
    with pytest.warns(UserWarning, match="given up by other processes"):
        found = run(model, tmp_path)
    assert len(searches.calls) == 7
    assert sorted(states(found)) == [*["done"] * 5, "failed", "over budget"]


def test_a_job_that_was_told_already_is_not_begun_again(model, searches, tmp_path):
    # As if the answer to the first attempt to tell it was lost with the connection.
    def told():
        url = f"sqlite:///{tmp_path}/jobs.db"
        study = optuna.load_study(study_name="keras_basisprune", storage=url)
        (ours,) = (t for t in study.get_trials() if t.state.name == "RUNNING")
        study.tell(ours.number, 0.6)

    # The remaining lines of the job fail, since nothing can be added to it any more.
    searches.fails = {(("channels",), 1): [told]}
    found = run(model, tmp_path)
    assert len(searches.calls) == 6
    assert sorted(states(found)) == [*["done"] * 5, "over budget"]


def test_a_job_without_any_sign_of_life_is_given_up(model, searches, tmp_path):
    # As if its process was killed between taking it and the first sign of life.
    run(model, tmp_path, jobs=1)
    url = f"sqlite:///{tmp_path}/jobs.db"
    study = optuna.load_study(study_name="keras_basisprune", storage=url)
    study.ask()  # what the sampler would choose
    study.enqueue_trial({"methods": "channels", "seed": 0})
    study.ask()
    found = run(model, tmp_path, heartbeat=1)
    ended = [state for state in states(found) if state in ("done", "over budget")]
    assert len(ended) == 6 and "running" not in states(found)


def test_a_study_of_something_else_is_refused(model, searches, tmp_path):
    url = f"sqlite:///{tmp_path}/jobs.db"
    study = optuna.create_study(study_name="keras_basisprune", storage=url)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="to be one of `search_jobs`.*1 trials"):
        run(model, tmp_path)
    # One without heartbeats: no waiting for processes that may have ended.
    storage = optuna.storages.RDBStorage(url)
    first = optuna.create_study(study_name="other", storage=storage)
    assert len(run(model, tmp_path, storage=storage, name="other").jobs) == 6
    assert len(first.get_trials()) == 6


def test_an_interrupt_ends_the_process_and_is_no_failure(model, searches, tmp_path):
    searches.fails = {(("channels",), 1): [KeyboardInterrupt()]}
    with pytest.raises(KeyboardInterrupt):
        run(model, tmp_path, retries=0)
    found = run(model, tmp_path, retries=0)
    assert sorted(states(found)) == [*["done"] * 5, "over budget"]


def test_a_worker_of_another_version_or_search_is_refused(
    model, searches, tmp_path, monkeypatch
):
    run(model, tmp_path)
    with pytest.raises(ValueError, match="another choices and arguments"):
        run(model, tmp_path, max_drop=0.03)
    with pytest.raises(ValueError, match="another objective"):
        run(model, tmp_path, objective="params")
    model.save(tmp_path / "model.keras")  # as another process loads it
    again = keras.models.load_model(tmp_path / "model.keras")
    assert len(run(again, tmp_path).jobs) == 6
    changed = keras.models.clone_model(model)
    with pytest.raises(ValueError, match="`storage` to be this one.*another model"):
        run(changed, tmp_path)
    assert len(run(model, tmp_path, max_drop=0.03, name="other").jobs) == 6
    monkeypatch.setattr(module, "__version__", "9.9")
    with pytest.raises(ValueError, match=r"one version.*9\.9 here, and"):
        run(model, tmp_path)
    assert len(searches.calls) == 12


def test_a_version_that_changes_meanwhile_is_named(model, searches, tmp_path):
    def other_process():
        url = f"sqlite:///{tmp_path}/jobs.db"
        study = optuna.load_study(study_name="keras_basisprune", storage=url)
        study.set_user_attr("about", {**study.user_attrs["about"], "version": "9.9"})

    searches.fails = {(("channels",), 1): [other_process]}
    with pytest.raises(ValueError, match=r"one version.* here, and 9\.9"):
        run(model, tmp_path)


def test_a_storage_that_cannot_be_reached_is_named_at_the_start(
    model, searches, tmp_path
):
    (tmp_path / "text.db").write_text("this is not a database" * 100)
    for storage, told in (
        (tmp_path / "nowhere" / "jobs.db", "in a folder that exists"),
        (tmp_path / "text.db", "that can be reached.*not a database"),
        (
            f"sqlite:///{tmp_path}/nowhere/jobs.db",
            "that can be reached.*unable to open",
        ),
        ("nosuch://me:secret@host/name", "that can be reached"),
        (3, "`storage` to be a URL"),
    ):
        with pytest.raises(ValueError, match=told) as caught:
            run(model, tmp_path / "out", storage=storage)
        assert "secret" not in str(caught.value)
    assert not searches.calls and not (tmp_path / "out").exists()


def test_a_search_goes_on_when_its_storage_is_back(model, searches, tmp_path):
    (tmp_path / "net").mkdir()
    away = []

    def lose():
        (tmp_path / "net").rename(tmp_path / "gone")
        back = lambda: (tmp_path / "gone").rename(tmp_path / "net")  # noqa: E731
        away.append(threading.Timer(1.5, back))
        away[-1].start()

    searches.fails = {(("channels",), 1): [lose], (("basis",), 0): [lose]}
    begin = time.monotonic()
    found = run(model, tmp_path / "out", storage=tmp_path / "net" / "jobs.db")
    assert time.monotonic() - begin > 2.5 and len(away) == 2
    assert sorted(states(found)) == [*["done"] * 5, "over budget"]
    assert len(searches.calls) == 6


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_every_call_of_a_study_waits_for_the_storage(tmp_path, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)  # Optuna's own, short pauses
    (tmp_path / "net").mkdir()
    storage = open_storage(tmp_path / "net" / "jobs.db", tmp_path, 60, 30)
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"x": 1})

    def calls():
        yield lambda: study.enqueue_trial({"x": 2})
        yield study.ask
        yield lambda: asked[0].suggest_categorical("x", [1, 2])
        yield lambda: study.tell(0, 0.5)
        yield study.get_trials
        yield storage.get_all_studies

    asked = []
    for call in calls():
        (tmp_path / "net").rename(tmp_path / "gone")
        back = threading.Timer(0.3, (tmp_path / "gone").rename, [tmp_path / "net"])
        back.start()
        asked.append(call())
        back.join()
        asked = [one for one in asked if isinstance(one, optuna.Trial)]
    states = [trial.state.name for trial in study.get_trials()]
    assert states == ["COMPLETE", "WAITING"]


def test_patience_ends(model, searches, tmp_path):
    (tmp_path / "net").mkdir()

    def lose():
        (tmp_path / "net").rename(tmp_path / "gone")

    searches.fails = {(("channels",), 1): [lose]}
    with pytest.raises(ConnectionError, match="`storage` to be back within 1 seconds"):
        run(model, tmp_path, storage=tmp_path / "net" / "jobs.db", patience=1)
    (tmp_path / "gone").rename(tmp_path / "net")
    # The job that was lost shows no sign of life.
    found = run(model, tmp_path, storage=tmp_path / "net" / "jobs.db", heartbeat=1)
    assert sorted(set(states(found))) == ["done", "failed", "over budget"]
    assert states(found).count("done") == 5


def test_other_storages_of_optuna(model, searches, tmp_path):
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "log"))
    storage = optuna.storages.JournalStorage(backend)
    found = run(model, tmp_path, storage=storage)
    assert sorted(states(found)) == [*["done"] * 5, "over budget"]
    assert run(model, tmp_path, storage=storage).best == found.best


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"choices": {}}, "`choices` to be a dict"),
        ({"choices": {"method": [1]}}, "`choices` to name arguments.*'method'"),
        ({"choices": {"config.keep": [1]}}, "'config.keep'.*config.margin"),
        ({"choices": {"seed": 3}}, "lists of different values.*'seed'"),
        ({"choices": {"seed": [1, 1]}}, "lists of different values"),
        ({"choices": {"max_drop": [0.1]}}, "max_drop in `choices` or as an argument"),
        ({"keep": 0.5}, "to be those of `compress`.*`keep`"),
        ({"objective": "size"}, "`objective` to be"),
        ({"objective": 3}, "`objective` to be"),
        ({"jobs": 0}, "`jobs`"),
        ({"name": ""}, "`name` to be a text"),
        ({"sampler": "tpe"}, "`sampler` to be of"),
        ({"retries": -1}, "`retries`"),
        ({"heartbeat": 0}, "`heartbeat`"),
        ({"patience": "soon"}, "`patience`"),
    ],
)
def test_bad_arguments_write_nothing(model, searches, tmp_path, given, told):
    with pytest.raises(ValueError, match=told):
        run(model, tmp_path, **given)
    assert not list(tmp_path.iterdir())


def test_fields_of_records(model, tmp_path):
    choices = kbp.search.jobs.choices.Choices(
        {"recover": [None, "all"], "recover.temperature": [1.0, 4.0]},
        {"config": kbp.SearchOptions(rounds=1)},
    )
    labels = [choices.row(number) for number in range(choices.count)]
    rows = [choices.arguments(one) for one in labels]
    assert [row["recover"] and row["recover"].temperature for row in rows] == [
        None,
        None,
        1.0,
        4.0,
    ]
    assert all(row["config"].rounds == 1 for row in rows)
    assert len({choices.key(one) for one in labels}) == 4


def test_few_of_very_many_combinations(model, searches, tmp_path):
    choices = {
        "methods": [["basis"], ["channels"]],
        "seed": range(1000),
        "epochs": range(1, 1000),
        "config.margin": np.linspace(0, 3, 1000).tolist(),
    }
    found = run(model, tmp_path, choices=choices, jobs=12)
    assert len(found.jobs) == len(searches.calls) == 12
    assert len({tuple(job.values.values()) for job in found.jobs}) == 12


def test_without_optuna(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "keras-basisprune\[optuna\]"'):
        run(model, tmp_path)


def started(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    return subprocess.Popen(
        [sys.executable, HERE / "jobs_worker.py", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_two_processes_share_one_file_and_one_is_killed(digits, tmp_path):
    digits_model.trained(digits, epochs=3).save(tmp_path / "model.keras")
    given = tmp_path / "model.keras", tmp_path / "out"
    one = started(*given)
    while not list((tmp_path / "out").glob("jobs/*/state/state.json")):
        assert one.poll() is None
        time.sleep(0.1)
    one.send_signal(signal.SIGKILL)
    one.wait()
    both = [started(*given), started(*given)]
    texts = [process.communicate(timeout=500)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert texts[0].partition("job")[2] == texts[1].partition("job")[2]
    found = jobs_worker.take_part(*map(str, given))  # asks nothing any more
    assert sorted(states(found)) == ["done"] * 4 + ["failed"]
    (killed,) = (job for job in found.jobs if job.state == "failed")
    assert killed.error == "the process that ran it has ended"
    done = {
        tuple(job.values.values()): job for job in found.jobs if job.state == "done"
    }
    assert len(done) == 4
    again = done[tuple(killed.values.values())]
    assert again.folder == killed.folder
    processes = set()
    study = optuna.load_study(
        study_name="keras_basisprune", storage=f"sqlite:///{tmp_path}/out/jobs.db"
    )
    for trial in study.get_trials():
        if trial.state.name == "COMPLETE":
            processes.add(trial.user_attrs["process"])
    assert processes == {process.pid for process in both}
    # What a job found is what its folder says, and what the best one made.
    for job in found.jobs[1:]:
        report = json.loads((pathlib.Path(job.folder) / "report.json").read_text())
        chosen = report["trials"][report["chosen"]]
        assert (job.left, job.score) == (chosen["kept"], chosen["score"])
        assert job.score >= job.baseline - 0.05
    small = found.load()
    ratio = (
        kbp.measure.cost(small).flops
        / kbp.measure.cost(keras.models.load_model(given[0])).flops
    )
    assert ratio == pytest.approx(found.best.left)
    assert found.best.left == min(job.left for job in done.values())


def test_storage_calls_are_repeated_only_while_it_is_away(tmp_path):
    storage = open_storage(None, tmp_path, 5, 0.5)
    study = optuna.create_study(storage=storage, study_name="one")
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(storage=storage, study_name="one")
    assert storage.get_heartbeat_interval() == 5
    assert study.study_name == "one"
