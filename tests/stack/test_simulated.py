"""The simulated world's configuration: right without a hand on it, private, and stable over restarts."""

from __future__ import annotations

import stat
from datetime import timedelta

from drill.simulators.slack_channel import BOT_TOKEN, CHANNEL_ID
from handrail.agent_settings import EnvFileSwitch
from handrail.ports import Ports
from handrail.settings import load
from stack import simulated


def test_it_loads_and_every_secret_it_names_can_be_read(tmp_path):
    """What `make up` writes on a machine without a handrail.yaml passes the check it gives a team's file."""
    settings = load(simulated.write(tmp_path, Ports()))
    assert [agent.name for agent in settings.agents] == ["invoice-summary", "support-bot", "refund-desk"]
    assert settings.sources.n8n[0].api_key.read() == "n8n-key"
    assert settings.sources.cloudflare[0].api_token.read() == "cf-token"
    assert settings.tickets.jira is not None
    assert settings.tickets.jira.token.read() == "jira-token"
    assert settings.notify.slack is not None
    assert settings.notify.slack.webhook_url.read() == "http://127.0.0.1:18105/services/T000/B000/simulated"
    assert (settings.notify.slack.bot_token.read(), settings.notify.slack.channel_id) == (BOT_TOKEN, CHANNEL_ID)
    assert settings.slas["default"].latency.hold == timedelta(minutes=1)
    assert settings.slas["default"].tokens.for_ == timedelta(0)
    assert settings.agent("support-bot").handoff_token.read() != settings.agent("refund-desk").handoff_token.read()
    assert settings.receiver.webhook_token.read() != settings.receiver.operator_token.read()


def test_every_port_moves_by_the_offset(tmp_path):
    """No address of the default world is left in the file of a world that was moved."""
    text = simulated.write(tmp_path, Ports(offset=100)).read_text()
    settings = load(simulated.config_file(tmp_path))
    listening = [settings.receiver, settings.exporter, settings.prometheus, settings.alertmanager]
    assert [part.listen for part in listening] == [f"127.0.0.1:{port}" for port in (9196, 9195, 9190, 9193)]
    assert settings.receiver.public_url == "http://127.0.0.1:9196"
    assert settings.sources.n8n[0].url == "http://127.0.0.1:18201"
    assert ":909" not in text
    assert ":1810" not in text


def test_paths_are_absolute_and_inside_the_state_folder(tmp_path, monkeypatch):
    """The parts may be started from any folder."""
    monkeypatch.chdir(tmp_path)
    settings = load(simulated.write(tmp_path.relative_to(tmp_path) / "state", Ports()))
    state = tmp_path / "state"
    switch = settings.agent("support-bot").kill_switch
    assert isinstance(switch, EnvFileSwitch)
    assert switch.env_file == state / "simulated" / "support-bot.env"
    assert switch.env_file.read_text() == "AGENT_ENABLED=true\n"
    assert settings.exporter.database_url.startswith(f"sqlite:///{state}/simulated/")
    assert settings.receiver.database_url.startswith(f"sqlite:///{state}/simulated/")
    assert settings.receiver.webhook_token.file == state / "secrets" / "webhook_token"


def test_secrets_are_private_and_kept(tmp_path):
    """Only the owner reads them, and a second start does not change them."""
    simulated.write(tmp_path, Ports())
    files = [path for path in (tmp_path / "secrets").rglob("*") if path.is_file()]
    before = {path: path.read_text() for path in files}
    assert len(files) == 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    simulated.write(tmp_path, Ports())
    assert {path: path.read_text() for path in files} == before


def test_an_agent_that_was_switched_off_stays_off(tmp_path):
    """A restart of the world never switches an agent on again."""
    simulated.write(tmp_path, Ports())
    switch = tmp_path / "simulated" / "support-bot.env"
    switch.write_text("AGENT_ENABLED=false\n")
    simulated.forget(tmp_path)
    simulated.write(tmp_path, Ports())
    assert switch.read_text() == "AGENT_ENABLED=false\n"


def test_forgetting_the_world_leaves_the_teams_own_data(tmp_path):
    """What a team measured lies elsewhere and is not touched."""
    for kept in ("real/prometheus", "exporter", "receiver", "secrets", "drills"):
        (tmp_path / kept).mkdir(parents=True)
    for forgotten in ("prometheus", "alertmanager", "simulated/database"):
        (tmp_path / forgotten).mkdir(parents=True)
    simulated.forget(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "real",
        "exporter",
        "receiver",
        "secrets",
        "drills",
        "simulated",
    }
    assert list((tmp_path / "simulated").iterdir()) == []
