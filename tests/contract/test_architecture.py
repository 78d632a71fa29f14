"""The architecture document is current: its drawing matches its source, and the files it names exist."""

from __future__ import annotations

import html
import re
from pathlib import Path

from telemetry.roles import Role

ROOT = Path(__file__).parents[2]
DRAWING = ROOT / "docs" / "architecture" / "pipeline.dot"
PACKAGES = (
    "attack|bench|cli|dashboard|deploy|ingest|migrations|processors|runtime|schemas|sdk|storage|stream|telemetry|web"
)
MADE_BY_OPERATORS = {"deploy/.env"}
NAMED = re.compile(rf"`((?:{PACKAGES}|docs|examples|tests)/[\w./-]*)`")


def source_texts(source: str) -> list[str]:
    """Return the texts of the labels, sorted."""
    labels = re.findall(r"label=<(.*)>[,\]]", source)
    parts = [part for label in labels for part in re.split(r"<[^>]+>", label)]
    return sorted(html.unescape(part) for part in parts if part)


def drawn_texts(drawing: str) -> list[str]:
    return sorted(html.unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", drawing))


def test_the_drawing_has_the_texts_of_its_source() -> None:
    texts = source_texts(DRAWING.read_text(encoding="utf-8"))

    assert len(texts) > 40
    assert drawn_texts(DRAWING.with_suffix(".svg").read_text(encoding="utf-8")) == texts, "run neato, see the source"


def test_the_drawing_has_the_nodes_and_edges_of_its_source() -> None:
    source = DRAWING.read_text(encoding="utf-8")
    names = re.findall(r"^    (?!graph|node|edge)(\w+(?: -> \w+)?) +\[", source, flags=re.MULTILINE)
    titles = re.findall(r"<title>(.*?)</title>", DRAWING.with_suffix(".svg").read_text(encoding="utf-8"))

    assert sorted(name.replace(" -> ", "->") for name in names) == sorted(
        set(map(html.unescape, titles)) - {"pipeline"}
    )


def test_every_folder_in_the_drawing_is_there() -> None:
    folders = [text for text in source_texts(DRAWING.read_text(encoding="utf-8")) if text.endswith("/")]

    assert len(folders) > 10
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_the_drawing_has_every_kind_of_process() -> None:
    source = DRAWING.read_text(encoding="utf-8")

    assert set(re.findall(r'class="process".*?<b>(.*?)</b>', source)) == {role.value for role in Role}


def test_every_file_that_a_document_names_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    named = {(page.name, path) for page in pages for path in NAMED.findall(page.read_text(encoding="utf-8"))}

    assert len(named) > 50
    missing = {(page, path) for page, path in named if not (ROOT / path).exists()}
    assert sorted((page, path) for page, path in missing if path not in MADE_BY_OPERATORS) == []
