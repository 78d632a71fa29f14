"""A section of a document that is made from the code, between the markers `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations


def replace_section(document: str, name: str, content: str) -> str:
    """Return the document with this content between the markers. Raises ValueError if a marker is missing."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, found_start, rest = document.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        raise ValueError(f"the document has no markers for {name!r}")
    return f"{before}{start}{content}{end}{after}"
