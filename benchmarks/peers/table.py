"""Prints the rows of the comparison as Markdown tables.

    python -m benchmarks.peers.table --rows=rows.json

Rows whose surgery was timed compare channels with channels; the seconds of the largest
share are in a separate table.
"""

import json

from absl import app, flags

_ROWS = flags.DEFINE_list("rows", None, "JSON written by the runs.", required=True)

_NAMES = {"network": "network", "method": "method", "criterion": "criterion"}
_SHARES = {"flops": "FLOPs", "params": "params"}
_BASES = {
    "before": "before recovery",
    "new_statistics": "before, new statistics",
    "after": "after recovery",
}
_CHANNELS = {
    "before": "pruned",
    "new_statistics": "new statistics",
    "compensated": "compensated",
    "after": "after recovery",
}
_SECONDS = {
    "select_seconds": "graph, scores, choice",
    "surgery_seconds": "surgery",
    "compensate_seconds": "compensate",
}


def _cell(row: dict, key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if key in _SHARES:
        return f"{value:.1%}"
    if key in _SECONDS:
        return " / ".join(f"{seconds:.2f}" for seconds in value)
    return value if key in _NAMES else f"{value:.4f}"


def _table(rows: list[dict], columns: dict[str, str]) -> str:
    rules = ["---" if key in _NAMES else "---:" for key in columns]
    lines = [columns.values(), rules, *([_cell(r, k) for k in columns] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    rows = []
    for path in _ROWS.value:
        with open(path) as file:
            rows += json.load(file)
    rows.sort(key=lambda row: (row["network"], -row["wanted"], row["method"]))
    timed = [row for row in rows if "surgery_seconds" in row]
    others = [row for row in rows if "surgery_seconds" not in row]
    if others:
        print(_table(others, _NAMES | _SHARES | _BASES))
    if timed:
        timed.sort(key=lambda r: (r["network"], -r["wanted"], r["criterion"]))
        print("\n" + _table(timed, _NAMES | _SHARES | _CHANNELS))
        most = max(row["wanted"] for row in timed)
        first = [row for row in timed if row["wanted"] == most]
        print("\n" + _table(first, _NAMES | {"flops": "FLOPs"} | _SECONDS))


if __name__ == "__main__":
    app.run(main)
