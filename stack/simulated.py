"""The simulated world's configuration and the secrets it names: written so that `make up` needs no file at all."""

from __future__ import annotations

import secrets as random_secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from handrail.ports import Ports
from stack.files import write_atomic, write_secret

_HEADER = """\
# Written by `make up`, which finds no handrail.yaml: the simulated world, not a file to edit.
# To watch your own agents, copy handrail.example.yaml to handrail.yaml.
"""
ACCOUNT_ID = "0123456789abcdef0123456789abcdef"
# What the simulators accept; they stand in for n8n, Cloudflare, Jira and Slack on this machine only.
_CONSTANT = {
    "n8n_api_key": "n8n-key",
    "cloudflare_api_token": "cf-token",
    "jira_token": "jira-token",
    "slack_bot_token": "xoxb-simulated",
}
_RANDOM = ("support_bot_handoff_token", "refund_desk_handoff_token")
_OWN = ("webhook_token", "operator_token", "handoff_token")


def config_file(state: Path) -> Path:
    """Where the simulated world's configuration is written."""
    return state / "simulated" / "handrail.yaml"


def write(state: Path, ports: Ports) -> Path:
    """Writes the configuration and every secret it names; random ones are kept once they exist. The file's path."""
    state = state.resolve()
    secrets = state / "secrets"
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Apart from the team's own secrets, so that trying the simulated world never overwrites a real key.
    constants = secrets / "simulated"
    for name, value in {**_CONSTANT, "slack_webhook_url": _slack_url(ports)}.items():
        write_secret(constants / name, value)
    for path in [*(constants / name for name in _RANDOM), *(secrets / name for name in _OWN)]:
        keep_or_make(path)
    env_file = state / "simulated" / "support-bot.env"
    if not env_file.exists():
        write_atomic(env_file, "AGENT_ENABLED=true\n")
    text = _HEADER + yaml.safe_dump(_document(state, ports), sort_keys=False, allow_unicode=True, width=120)
    target = config_file(state)
    write_atomic(target, text)
    write_atomic(state / "simulated" / "port-offset", f"{ports.offset}\n")
    return target


def keep_or_make(path: Path) -> None:
    """A random secret in this file, readable by its owner only; one that is already there stays."""
    if not path.exists() or not path.read_text(encoding="utf-8").strip():
        write_secret(path, random_secrets.token_urlsafe(32))


def forget(state: Path) -> None:
    """Deletes what was measured and decided in the simulated world, which begins anew whenever it starts.

    Its simulators number their executions and tickets from the beginning; kept, the old rows would hide the new ones.
    """
    for folder in (state / "prometheus", state / "alertmanager", state / "simulated" / "database"):
        shutil.rmtree(folder, ignore_errors=True)


def _slack_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.slack}/services/T000/B000/simulated"


def _document(state: Path, ports: Ports) -> Mapping[str, Any]:
    return {
        "team": {"name": "Simulated team", "contact": {"name": "Automation on-call", "slack": "#ai-incidents"}},
        "sources": _sources(state / "secrets" / "simulated", ports),
        "slas": {"default": {"latency": {"hold": "1m"}, "tokens": {"for": "0s"}}},
        "agents": _agents(state),
        "notify": {
            "slack": {
                "webhook_url_file": str(state / "secrets" / "simulated" / "slack_webhook_url"),
                "channel": "#ai-incidents",
                "bot_token_file": str(state / "secrets" / "simulated" / "slack_bot_token"),
                "channel_id": "C0SIMULATED",
                "api_url": f"http://127.0.0.1:{ports.slack}/api",
            },
            "group_wait": "1s",
            "group_interval": "10s",
            "repeat_interval": "4h",
        },
        "tickets": {
            "jira": {
                "url": f"http://127.0.0.1:{ports.jira}",
                "project": "OPS",
                "user": "handrail@example.com",
                "token_file": str(state / "secrets" / "simulated" / "jira_token"),
            }
        },
        **_parts(state, ports),
    }


def _sources(secrets: Path, ports: Ports) -> Mapping[str, Any]:
    n8n = {
        "name": "main",
        "url": f"http://127.0.0.1:{ports.n8n}",
        "api_key_file": str(secrets / "n8n_api_key"),
        "discover": True,
        "poll_interval": "2s",
    }
    cloudflare = {
        "name": "main",
        "url": f"http://127.0.0.1:{ports.cloudflare}/client/v4",
        "account_id": ACCOUNT_ID,
        "api_token_file": str(secrets / "cloudflare_api_token"),
        "gateways": ["prod"],
        "poll_interval": "2s",
        "hold_back": "2s",
        # Read every 2 s, a gateway takes more than the usual share, and then nothing is seen for a minute or more.
        "request_share": "50%",
    }
    return {"n8n": [n8n], "cloudflare": [cloudflare]}


def _agents(state: Path) -> list[Mapping[str, Any]]:
    secrets = state / "secrets" / "simulated"
    return [
        {
            "name": "invoice-summary",
            "from": {"n8n": "main", "workflow": "Invoice summary"},
            "owner": "finance-ops",
            "confidence": "$.confidence",
            "kill_switch": {"n8n": "deactivate"},
        },
        {
            "name": "support-bot",
            "from": {"ai_gateway": "main", "metadata": {"agent": "support-bot"}},
            "owner": "support",
            "kill_switch": {"env_file": str(state / "simulated" / "support-bot.env")},
            "kill_on": ["AgentSlowCallStreak"],
            "handoff_token_file": str(secrets / "support_bot_handoff_token"),
        },
        {
            "name": "refund-desk",
            "from": {"ai_gateway": "main", "metadata": {"agent": "refund-desk"}},
            "owner": "support",
            "handoff_token_file": str(secrets / "refund_desk_handoff_token"),
        },
    ]


def _parts(state: Path, ports: Ports) -> Mapping[str, Any]:
    database = state / "simulated" / "database"
    return {
        "receiver": {
            "listen": f"127.0.0.1:{ports.receiver}",
            "public_url": f"http://127.0.0.1:{ports.receiver}",
            "webhook_token_file": str(state / "secrets" / "webhook_token"),
            "operator_token_file": str(state / "secrets" / "operator_token"),
            "handoff_token_file": str(state / "secrets" / "handoff_token"),
            "database_url": f"sqlite:///{database}/receiver.sqlite",
            "proof_window": "5s",
        },
        "exporter": {
            "listen": f"127.0.0.1:{ports.exporter}",
            "database_url": f"sqlite:///{database}/ledger.sqlite",
        },
        "prometheus": {
            "listen": f"127.0.0.1:{ports.prometheus}",
            "scrape_interval": "5s",
            "evaluation_interval": "5s",
        },
        "alertmanager": {"listen": f"127.0.0.1:{ports.alertmanager}"},
    }
