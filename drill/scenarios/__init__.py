"""The scenarios, in the order in which the drill plays them."""

from __future__ import annotations

from drill.scenario import Scenario
from drill.scenarios.error_rate import ErrorRate
from drill.scenarios.fallback import Fallback
from drill.scenarios.slow_calls import SlowCalls
from drill.scenarios.token_jump import TokenJump

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (SlowCalls(), ErrorRate(), TokenJump(), Fallback())
}
