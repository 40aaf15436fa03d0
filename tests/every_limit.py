"""An SLA that sets every limit which is off by default, and its rules: rendered once for all tests of a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alerting.alert_rules import Rules, rules_of
from handrail.settings import Settings, load, parse
from handrail.sla import Sla

LIMITS = """{
  percentiles: {median: 2s, p95: 8s},
  slowdown: {increase: 100%},
  cost: {increase: 20%, per_call_increase: 20%, per_day: 20 USD},
  tokens: {per_call: 1200},
}"""
EVERY_LIMIT = f"slas: {{default: {LIMITS}}}\n"
_SOURCES = "sources: {n8n: [{name: main, url: http://n8n.test, api_key_env: N8N_KEY}]}\n"


def sla() -> Sla:
    """The SLA."""
    return parse(_SOURCES + EVERY_LIMIT, environ={}).slas["default"]


@cache
def every_limit(root: Path) -> Settings:
    """The example, whose default SLA sets them all."""
    return load(root / "handrail.example.yaml").model_copy(update={"slas": {"default": sla()}})


@cache
def every_rule(root: Path) -> Rules:
    """What is rendered for it."""
    return rules_of(every_limit(root))
