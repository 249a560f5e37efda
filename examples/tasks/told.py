"""What the examples print."""


def tell(result):
    """Prints the table of a search, and each metric before and after."""
    print(result.report)
    print(f"\n{result.details['loss_statement']}")
    for name, (before, after) in result.scores.items():
        print(f"{name.replace('_', ' ')}: {before:.4g} before, {after:.4g} after")
