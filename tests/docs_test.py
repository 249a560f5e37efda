"""README, CONTRIBUTING and docs: what they name is there.

Links and anchors, names of the package, arguments in examples, and commands with their
flags; and examples run.
"""

import ast
import inspect
import pathlib
import re
import tomllib

import keras
import pytest

import keras_basisprune as kbp
from keras_basisprune.cli._table import COMMANDS, FLAGS

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PEERS = ROOT / "benchmarks" / "peers" / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", PEERS, *DOCS]
SCRIPTS = ("benchmarks", "examples", "tools")


def text_of(page):
    return page.read_text(encoding="utf-8")


def prose(text):
    """A page without its fenced and indented blocks of code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^(?: {4}|\t)[^|\n]*$", "", text, flags=re.MULTILINE)


def blocks(text):
    """The blocks of Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def targets(text):
    """Where the links and images of a page point to."""
    found = re.findall(r"\]\(([^()\s]+(?:\([^()\s]*\))?)\)", prose(text))
    return found + re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.MULTILINE)


def anchors(text):
    """The anchors that GitHub makes of the headings of a page."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        same = sum(
            re.fullmatch(rf"{re.escape(slug)}(-\d+)?", a) is not None for a in found
        )
        found.append(f"{slug}-{same}" if same else slug)
    return found


def broken(page, text):
    """The relative links of a page that lead nowhere."""
    found = []
    for target in targets(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            found.append(target)
        elif anchor and re.match(r"L\d", anchor) is None:
            if anchor not in anchors(text if file == page else text_of(file)):
                found.append(target)
    return found


def names(text):
    """Yields `(name, called)` of all that a page names as `kbp.<name>`."""
    for match in re.finditer(r"\bkbp((?:\.[A-Za-z_]\w*)+)(\()?", text):
        yield match[1][1:], match[2] is not None


def missing(text):
    """The names on a page that the package does not have, or that can't be called."""
    found = set()
    for name, called in names(text):
        place = kbp
        for part in name.split("."):
            place = getattr(place, part, None)
        if place is None or called and not callable(place):
            found.add(name)
    return sorted(found)


def wrong_arguments(text):
    """Calls `kbp.<name>(...)` in the blocks of a page that don't fit the signature."""
    found = []
    for block in blocks(text):
        for node in ast.walk(ast.parse(block)):
            name = isinstance(node, ast.Call) and ast.unparse(node.func)
            if not name or not re.fullmatch(r"kbp(\.\w+)+", name):
                continue
            place = kbp
            for part in name.split(".")[1:]:
                place = getattr(place, part, None)
            starred = any(isinstance(arg, ast.Starred) for arg in node.args)
            if not callable(place) or starred or isinstance(place, type(ast)):
                continue
            given = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            try:
                inspect.signature(place).bind(*node.args, **given)
            except TypeError as error:
                found.append(f"{name}: {error}")
    return found


def commands(text):
    """Yields the command lines on a page, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"^\S+/bin/", "", line.strip())
        if line.startswith(("python -m ", "keras-basisprune ")):
            yield line.partition("  #")[0]


def imported(path):
    """The scripts whose functions a script imports, and their flags."""
    names = re.findall(
        r"^from ((?:benchmarks|examples)\.\w+) import", text_of(path), re.M
    )
    paths = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names]
    return [path for path in paths if path.exists()]


def wrong_commands(text):
    """What the command lines of a page name that is not there."""
    found = []
    for line in commands(text):
        words = line.split()
        flags = re.findall(r" --(\w+)", line)
        if words[0] == "keras-basisprune":
            known = {flag.name for flag in FLAGS if words[1] in flag.commands} | {
                "help"
            }
            if words[1] not in (*COMMANDS, "--help", "COMMAND"):
                found.append(words[1])
        elif words[2].partition(".")[0] in SCRIPTS:
            path = ROOT.joinpath(*words[2].split(".")).with_suffix(".py")
            if not path.exists():
                found.append(words[2])
                continue
            sources = [path, *path.parent.glob("*flags*.py"), *imported(path)]
            known = set(re.findall(r'"(\w+)"', "".join(map(text_of, sources))))
        else:
            continue
        found += [
            f"{words[1 if words[0] != 'python' else 2]} --{flag}"
            for flag in flags
            if not {flag, flag.removeprefix("no")} & known
        ]
    return found


def test_the_readme_is_short():
    assert len(text_of(README).splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page, text_of(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_are_in_the_package(page):
    assert missing(text_of(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_fit_the_signatures(page):
    assert wrong_arguments(text_of(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_there(page):
    assert wrong_commands(text_of(page)) == []


def test_every_page_is_linked_from_the_readme():
    linked = {target.partition("#")[0] for target in targets(text_of(README))}
    assert {str(page.relative_to(ROOT)) for page in [PEERS, *DOCS]} <= linked


def test_every_public_name_is_on_the_page_of_names():
    text = text_of(ROOT / "docs" / "api.md")
    rooms = {name for name in kbp.__all__ if inspect.ismodule(getattr(kbp, name))}
    left = set(kbp.__all__) - rooms - {"__version__"}
    assert sorted(name for name in left if f"`{name}`" not in text) == []


def test_the_page_of_names_is_true_of_the_rooms():
    text = text_of(ROOT / "docs" / "api.md")
    tables = re.findall(r"^\| `kbp\.(\w+)\.` .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert {"measure", "scores", "plans", "methods", "graph"} <= {t[0] for t in tables}
    listed = [
        (room, name)
        for room, rows in tables
        for row in rows.splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert len(listed) > 20
    gone = [(r, n) for r, n in listed if not hasattr(getattr(kbp, r), n)]
    assert gone == []


def test_images_are_absolute_once_there_is_an_address():
    """PyPI shows no relative images; the base stands at the end of the README."""
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    images = re.findall(r"^!\[[^\]]*\]\[(\S+)\]$", text_of(README), re.MULTILINE)
    bases = dict(re.findall(r"^\[(\S+)\]:\s*(\S+)$", text_of(README), re.MULTILINE))
    assert images
    assert set(images) <= set(bases)
    if "Repository" in project["urls"]:
        assert all(bases[image].startswith("https://") for image in images)


def test_what_is_wrong_is_found(tmp_path):
    page = tmp_path / "page.md"
    text = """# A page → 1

[a](#a-page--1), [b](#b), [c](c.md), [d](page.md#a-page--1), [e](https://nowhere.at)
`kbp.compress(`, `kbp.nothing`, `kbp.scores(`

```python
kbp.fold(kbp.prune(model, depth=3))
print("[f](f.md)")
```

    keras-basisprune squeeze --model=a
    keras-basisprune measure --data=b --noruns --help
    python -m benchmarks.nothing
    python -m benchmarks.recipe --rates=1 \\
        --heat=2

[g]: g.md
"""
    page.write_text(text, encoding="utf-8")
    assert broken(page, text) == ["#b", "c.md", "g.md"]
    assert missing(text) == ["nothing", "scores"]
    assert wrong_arguments(text) == [
        "kbp.prune: got an unexpected keyword argument 'depth'"
    ]
    assert wrong_commands(text) == [
        "squeeze",
        "squeeze --model",
        "measure --data",
        "benchmarks.nothing",
        "benchmarks.recipe --heat",
    ]
    assert anchors("# A\n## A\n### b, c!") == ["a", "a-1", "b-c"]


def small_network(data):
    """A trained network for digits whose convolutions are wider than they need be."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(data.train[0].shape[1:])
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for width, name in ((16, "Conv1"), (64, "conv2"), (64, "conv3")):
        x = keras.layers.Conv2D(width, 3, name=name, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*data.train, epochs=8, verbose=0)
    return model


@pytest.mark.filterwarnings("ignore:.*has masked nothing")  # ten epochs are few
def test_the_examples_run(digits, tmp_path, monkeypatch, capsys):
    """Those of README and docs/steps.md, but for the first of each, which loads."""
    monkeypatch.chdir(tmp_path)
    model = small_network(digits)
    names = {"keras": keras, "kbp": kbp, "model": model, "data": digits}
    cut = {}
    for page in (README, ROOT / "docs" / "steps.md"):
        names["images"] = digits.train[0][:300]
        for block in blocks(text_of(page))[1:]:
            exec(compile(block, str(page), "exec"), names)
            cut |= {
                name: names[name] for name in ("thin", "slim", "fast") & names.keys()
            }
        if page == README:
            thin, slim = (kbp.compare(model, names[name]) for name in ("thin", "slim"))
            assert thin.flops_ratio == pytest.approx(0.25, abs=0.03)
            assert slim.flops_ratio == pytest.approx(0.5, abs=0.03)
    before = kbp.measure.accuracy(model, digits.test)
    assert before > 0.9
    for name, network in cut.items():
        assert kbp.measure.accuracy(network, digits.test) > before - 0.1, name
    kept = kbp.measure.predicted_latency(cut["fast"], names["table"])
    assert kept < kbp.measure.predicted_latency(model, names["table"])
    assert set(names["spectra"]) == {"Conv1", "conv2", "conv3"}
    assert {p.name for p in tmp_path.iterdir()} >= {
        "latency.json",
        "small",
        "small.keras",
        "small.tflite",
        "small_int8.tflite",
    }
    assert "FLOPs" in capsys.readouterr().out
