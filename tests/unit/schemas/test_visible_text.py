"""No text of others steers a terminal, and JSON stays the same JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from cli import output
from schemas.text.visible_text import visible, visible_json
from tests.support.hostile import HOSTILE, steering


def test_a_text_becomes_one_line_that_steers_nothing() -> None:
    shown = visible(HOSTILE)

    assert steering(shown) == []
    assert "\n" not in shown
    assert shown.startswith(r"x\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\x85\u202e\u2066\u061c\u200f\u200b\ufeff")
    assert visible("Καλημέρα 日本語 مرحبا 😀 'a' [b]") == "Καλημέρα 日本語 مرحبا 😀 'a' [b]"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_json_stays_the_same_json(ensure_ascii: bool, indent: int | None) -> None:
    document = {"text": [HOSTILE, "日本語"], HOSTILE: 1}
    shown = visible_json(json.dumps(document, ensure_ascii=ensure_ascii, indent=indent))

    assert json.loads(shown) == document
    assert steering(shown) == []


def test_every_way_to_write_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(HOSTILE)
    output.note(HOSTILE)
    output.show(HOSTILE, output.joined(HOSTILE, output.coloured(HOSTILE, "red")))
    output.show_json({HOSTILE: HOSTILE})
    output.show_json_text(json.dumps(HOSTILE, ensure_ascii=False))
    output.show_table([output.Column(HOSTILE)], [output.Row([HOSTILE], style="red")], width=1000)
    output.show_traceback(ValueError, ValueError(HOSTILE.replace("\n", "")), None)
    with output.byte_bar() as bar:
        bar.add_task(HOSTILE, total=1, facts=HOSTILE)
    said = "".join(capsys.readouterr())

    assert steering(said) == []
    assert "\nanalytics: all is well" not in said
    assert "[red]b[/red][link=http://x]c[/]:smile:" in said


def test_a_terminal_gets_no_sequence_but_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, color_system="truecolor", soft_wrap=True)
    monkeypatch.setattr(output, "_console", lambda _width=None: terminal)
    output.show_table([output.Column("a")], [output.Row([output.coloured(HOSTILE, "red")])])

    assert "\x1b[31mx\\x1b]0;title" in screen.getvalue()
    assert "\x1b]" not in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
