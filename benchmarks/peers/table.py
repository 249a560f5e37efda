"""Prints the rows of the comparison as one Markdown table.

python -m benchmarks.peers.table --rows=rows.json
"""

import json

from absl import app, flags

_ROWS = flags.DEFINE_string("rows", None, "JSON written by the runs.", required=True)

TITLE = (
    "network | method | criterion | FLOPs | params | before recovery | "
    "before, new statistics | after recovery"
)


def _line(row: dict) -> str:
    new = row.get("new_statistics")
    return (
        f"{row['network']} | {row['method']} | {row['criterion']} | "
        f"{row['flops']:.1%} | {row['params']:.1%} | {row['before']:.4f} | "
        f"{'' if new is None else f'{new:.4f}'} | {row['after']:.4f}"
    )


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    with open(_ROWS.value) as file:
        rows = json.load(file)
    rows.sort(key=lambda row: (row["network"], -row["wanted"], row["method"]))
    lines = [TITLE, " | ".join(["---"] * 3 + ["---:"] * 5), *map(_line, rows)]
    print("\n".join(f"| {line} |" for line in lines))


if __name__ == "__main__":
    app.run(main)
