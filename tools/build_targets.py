"""Makes the Bazel targets of each kind of folder."""

from tools.build_imports import PACKAGE, SCRIPTS
from tools.build_text import LOAD, list_text, rule_text

RUNNER = "//tools:pytest_main.py"
# Targets that read the code besides importing it.
READERS = ("build_test", "docs_test", "imports_test")
DATA = {"report": 'glob(["*.j2", "*.js.gz"])', PACKAGE: '["py.typed"]'}


def package_targets(parsed, order):
    """Returns targets of modules directly in the package, and groups of the floors."""
    text = LOAD.format('"py_library"')
    for floor in range(1, len(order) + 1):
        text += rule_text(
            "package_group",
            name=f"floor_{floor}_up",
            packages=_on_floor(parsed.root, order, floor),
            includes=[f":floor_{floor + 1}_up"] if floor < len(order) else [],
        )
    for path in sorted((parsed.root / PACKAGE).glob("*.py")):
        name = PACKAGE if path.stem == "__init__" else path.stem
        own = f"//{PACKAGE}:{name}" if name != PACKAGE else f"//{PACKAGE}"
        text += rule_text(
            "py_library",
            name=name,
            srcs=[path.name],
            data=DATA.get(name, []),
            visibility=_visibility(order, name),
            deps=parsed([path], own),
        )
    return text


def room_targets(parsed, order, room, inner):
    """Returns one library for a room, with the files of the folders inside it."""
    folder = parsed.root / PACKAGE / room
    sources = 'glob(["*.py"])'
    if inner:
        sources += f" + {list_text([f'//{name}:sources' for name in inner])}"
    return LOAD.format('"py_library"') + rule_text(
        "py_library",
        name=room,
        srcs=sources,
        data=DATA.get(room, []),
        visibility=_visibility(order, room),
        deps=parsed(sorted(folder.rglob("*.py")), f"//{PACKAGE}/{room}"),
    )


def scripts_targets(parsed, folder):
    """Returns one library for a folder of scripts."""
    text = LOAD.format('"py_library"')
    if folder == "tools":
        text += '\nexports_files(["pytest_main.py"])\n'
    return text + rule_text(
        "py_library",
        name=folder.rpartition("/")[2],
        srcs='glob(["*.py"])',
        visibility=["//visibility:public"],
        deps=parsed(sorted((parsed.root / folder).glob("*.py")), f"//{folder}"),
    )


def tests_targets(parsed):
    """Returns a library of what tests share, and a target for each test file."""
    text = LOAD.format('"py_library", "py_test"')
    paths = sorted((parsed.root / "tests").glob("*.py"))
    shared = [path for path in paths if not path.stem.endswith("_test")]
    support = "//tests:test_support"
    if shared:
        text += rule_text(
            "py_library",
            name="test_support",
            testonly=True,
            srcs=[path.name for path in shared],
            deps=parsed(shared, support),
        )
    for path in paths:
        if path in shared:
            continue
        deps = set(parsed([path], None)) | {"//tools", "@pypi//pytest"}
        deps |= {support} if shared else set()
        text += rule_text(
            "py_test",
            name=path.stem,
            srcs=[path.name, RUNNER],
            args=[f"tests/{path.name}"],
            data=["//:files" if path.stem in READERS else "//:pyproject.toml"],
            main=RUNNER,
            legacy_create_init=0,  # for pytest, `tests` is not a package
            deps=sorted(deps, key=lambda label: (label.startswith("@"), label)),
        )
    return text.replace(f'"{support}"', '":test_support"')


def top_targets(folders):
    """Returns the package by its name, and all files, for tests that read them."""
    return (
        '\nexports_files(["pyproject.toml"])\n'
        + rule_text(
            "alias",
            name=PACKAGE,
            actual=f"//{PACKAGE}",
            visibility=["//visibility:public"],
        )
        + rule_text(
            "filegroup",
            name="files",
            testonly=True,
            srcs='glob(["*"]) + ' + list_text([f"//{name}:files" for name in folders]),
            visibility=["//tests:__pkg__"],
        )
    )


def _on_floor(root, order, floor):
    """Returns package specifications of the rooms on a floor; scripts are on top."""
    if floor == len(order):
        above = (*SCRIPTS, "tests")
        return [f"//{name}" for name in above if any((root / name).glob("*.py"))]
    rooms = [f"//{PACKAGE}/{room}/..." for room in order[floor]]
    modules = any((root / PACKAGE / f"{room}.py").exists() for room in order[floor])
    rooms = [r for r in rooms if (root / r.strip("/.")).is_dir()]
    return [f"//{PACKAGE}"] * modules + rooms


def _visibility(order, room):
    if room == PACKAGE:
        return ["//visibility:public"]
    (floor,) = (i for i, rooms in enumerate(order) if room in rooms)
    return [f"//{PACKAGE}:floor_{floor + 1}_up", f"//{PACKAGE}:__pkg__"]
