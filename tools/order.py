"""The rooms of the package, from the bottom up, one list per floor.

A room imports only rooms on the floors below it. `tests/imports_test.py` checks that,
and `tools/write_build.py` writes it as the visibility of Bazel targets.
"""

ORDER = [
    ["version", "utils"],
    ["linalg", "plan", "layers", "data"],
    ["graph"],
    ["export", "scores", "surgery"],
    ["measure"],
    ["plans", "report"],
    ["training"],
    ["methods"],
    ["search"],
    ["cli"],
    ["api"],
]
