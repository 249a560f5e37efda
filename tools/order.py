"""The rooms of the package, from the bottom up; those on one floor are one list.

A room imports rooms on the floors below it. `tests/imports_test.py` holds that, and
`tools/write_build.py` makes the visibility of Bazel's targets of it.
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
