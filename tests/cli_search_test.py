"""The command `search`: what it asks of `compress`, and what it refuses."""

import types

import digits_model
import pytest
from command_lines import refused, run

import keras_basisprune as kbp
from keras_basisprune.search.jobs import _job_search as module

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def path(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "model.keras"
    digits_model.trained(digits, epochs=1).save(path)
    return path


@pytest.fixture
def asked(monkeypatch):
    """What `compress` was asked; it answers at once."""
    found = []

    def compress(model, train, validation, **given):
        found.append(given)
        left = 0.5 if given["recover"] is None else 0.25
        return types.SimpleNamespace(
            details={"stopped": None},
            scores={"accuracy": (0.9, 0.89)},
            metric="accuracy",
            met_budget=given["max_drop"] is None,
            report=types.SimpleNamespace(flops_ratio=left, params_ratio=left),
        )

    monkeypatch.setattr(module, "compress", compress)
    monkeypatch.setattr(module, "checked_call", lambda **given: None)
    return found


def test_flags_are_arguments_of_jobs(capsys, path, asked, tmp_path):
    words = ["search", f"--model={path}", "--data=digits", f"--output_dir={tmp_path}"]
    words += ["--choose=methods=basis,basis+channels", "--choose=recover=none,all"]
    words += ["--choose=rounds=2", "--margin=0.5", "--learning_rate=0.01", "--seed=3"]
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert len(asked) == 4
    methods = sorted("+".join(given["methods"]) for given in asked)
    assert methods == ["basis", "basis", "basis+channels", "basis+channels"]
    assert all(g["config"] == kbp.SearchOptions(rounds=2, margin=0.5) for g in asked)
    assert all(given["seed"] == 3 for given in asked)
    trained = [given["recover"] for given in asked if given["recover"]]
    assert [r.weights for r in trained] == ["all"] * 2
    assert trained[0].learning_rate == 0.01
    assert "25.0%" in out and "Best: " in out and "basis+channels" in out
    # Another process finds everything done.
    assert run(capsys, *words) == (0, out, "")
    assert len(asked) == 4
    code, text = refused(capsys, *words, "--metric=auc")
    assert code == 1 and "to be this one" in text
    code, out, _ = run(capsys, *words, "--study=two", "--max_drop=0.1", "--jobs=2")
    assert code == 0 and "No network is within the budget." in out
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "--choose=FLAG=VALUE,VALUE"),
        (("--choose=seed",), "--choose=FLAG=VALUE"),
        (("--choose=colour=red",), "FLAG is one of"),
        (("--choose=seed=0,1", "--choose=seed=2"), "each flag once"),
        (("--choose=seed=0,1", "--seed=2"), "not both"),
        (("--choose=seed=0,a",), "Expected values of --seed"),
        (("--choose=epochs=0",), "0 is out of range"),
        (("--choose=methods=basis,magic",), "'magic' is none of"),
        (("--choose=recover=some",), "'some' is none of"),
        (("--choose=distill=maybe",), "Expected values of --distill"),
        (("--choose=seed=0", "--flip=horizontal"), "--flip with --recover=none"),
        (
            ("--choose=seed=0", "--tensorboard=x"),
            "--tensorboard, which is for compress",
        ),
    ],
)
def test_refusals(capsys, words, text):
    code, err = refused(capsys, "search", "--model=a.keras", "--data=digits", *words)
    assert code == 2 and text in err


def test_only_files_and_reachable_storages(capsys, path, asked, tmp_path):
    code, err = refused(
        capsys, "search", "--model=MobileNet", "--data=digits", "--choose=seed=0"
    )
    assert code == 2 and "--model of search to be a .keras file" in err
    words = ["search", f"--model={path}", "--data=digits", "--choose=seed=0"]
    words.append(f"--output_dir={tmp_path / 'out'}")
    code, err = refused(capsys, *words, "--storage=/no/such/folder/jobs.db")
    assert code == 1 and "a folder that exists" in err
    assert not asked and not (tmp_path / "out").exists()
