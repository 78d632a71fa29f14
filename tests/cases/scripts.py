"""The script of each case that is described in prose, by case id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.cases import scripts_of_answers as answers
from tests.cases import scripts_of_commands as commands
from tests.cases import scripts_of_the_sdk as sdk
from tests.cases.stage import Script

SCRIPTS: Mapping[str, Script] = MappingProxyType(
    {
        "RC-012": sdk.one_event_among_a_hundred,
        "RC-304": answers.days_around_one_of_25_hours,
        "RC-305": answers.a_tab_left_open_overnight,
        "RC-306": answers.a_session_longer_than_a_day,
        "RC-317": answers.a_token_whose_subject_is_a_number,
        "RC-318": answers.an_address_that_is_too_long,
        "RC-333": commands.the_same_line_in_two_files,
        "RC-334": commands.gzip_with_an_end_of_line_behind_it,
        "RC-336": commands.gzip_with_zeros_behind_it,
        "RC-337": commands.send_from_standard_input,
        "RC-339": commands.a_terminal_that_cannot_show_it,
        "RC-343": commands.tail_at_ingest,
        "RC-344": sdk.a_short_script_with_a_wrong_key,
        "RC-345": sdk.ids_of_other_types,
    }
)
