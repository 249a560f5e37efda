"""Says that a search ended before it was done."""

_WHY = {
    "time": "The search ended at its time limit",
    "interrupt": "The search was interrupted",
}


def ended_early(rounds, state) -> str:
    """Returns a warning that says what the result is, and how to go on.

    Args:
        rounds: `Rounds` whose `stopped` is not empty.
        state: The folder of the search's state, or `None`.

    Returns:
        A string.
    """
    tried = len(rounds.trials)
    what = f"{_WHY[rounds.stopped]} after {tried} network{'s' * (tried != 1)}"
    if rounds.results:
        found = "the smallest one that was good enough so far is returned"
    else:
        found = "none was good enough so far, and the original is returned, folded"
    if state is None:
        how = "No state was kept: with an `output_dir`, another call would go on."
    elif rounds.stopped == "time":
        how = f"The same call with more time goes on: state in {state}."
    else:
        how = f"The same call goes on where it stopped: state in {state}."
    return f"{what}; {found}. {how}"
