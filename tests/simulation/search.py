"""Runs a state machine on a world: to find faults, or to show that a planted fault is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


class Search:
    """Random interleavings of the rules of a machine whose `world` is given."""

    def __init__(self, machine: type[RuleBasedStateMachine], world: Any, steps: int) -> None:
        """`steps`: maximum number of rules in one interleaving."""
        self._machine = type("Machine", (machine,), {"world": world})
        self._unhurried = hypothesis_settings(
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            stateful_step_count=steps,
            print_blob=True,
        )

    def run(self, examples: int) -> None:
        """Try this many interleavings. Raises the error of the first that fails."""
        settings = hypothesis_settings(self._unhurried, max_examples=examples)
        run_state_machine_as_test(self._machine, settings=settings)

    def assert_noticed(self, examples: int) -> None:
        """Fail unless one of the interleavings, the same in each run, fails."""
        settings = hypothesis_settings(
            self._unhurried, max_examples=examples, phases=[Phase.generate], derandomize=True
        )
        with pytest.raises((AssertionError, BaseExceptionGroup)):
            run_state_machine_as_test(self._machine, settings=settings)
