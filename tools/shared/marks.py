"""Tables that a command writes into a document, between two comments that mark their place."""


def replace_between_marks(document: str, name: str, table: str) -> str:
    """The document with `table` between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.

    Raises ValueError if the document does not have both, in this order.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, opened, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"expected the lines {begin.strip()} and {end.strip()}, found not both")
    return f"{before}{begin}\n{table}\n\n{end}{after}"
