"""The configuration inside the containers is the native one but for hosts and folders; obstacles are told."""

from __future__ import annotations

import stat

import pytest
import yaml

from alerting.render import SecretFiles, render
from handrail.ports import Ports
from handrail.settings import load, parse
from stack import mounts, native, simulated
from stack.containers import environment, inside, obstacles
from stack.in_containers import Wanted

TEAM = """\
sources:
  n8n: [{name: main, url: 'https://n8n.example.com', api_key_env: N8N_KEY}]
notify: {slack: {webhook_url_file: SLACK, channel: '#x'}}
tickets: {jira: {url: 'https://example.atlassian.net', project: OPS, user: a@example.com, token_file: JIRA}}
exporter: {listen: '0.0.0.0:7001'}
prometheus: {retention: 732h}
"""
WORLD = Ports(offset=100)
OWN_TOKENS = ("webhook_token", "operator_token", "handoff_token")


@pytest.fixture
def team(tmp_path, monkeypatch):
    """A team's file with its secrets, one of them in the environment."""
    monkeypatch.setenv("N8N_KEY", "n8n-secret")
    text = TEAM
    for name in ("SLACK", "JIRA"):
        (tmp_path / name).write_text(f"{name.lower()}-secret\n")
        text = text.replace(name, str(tmp_path / name))
    state = tmp_path / ".handrail"
    text += f"receiver: {{webhook_token_file: {state}/secrets/w, operator_token_file: {state}/secrets/o, "
    text += f"handoff_token_file: {state}/secrets/h}}\n"
    config = tmp_path / "handrail.yaml"
    config.write_text(text)
    settings = load(config)
    native.make_tokens(settings, state)
    return settings, config, state


def mounted(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def natively(settings, state, target):
    render(settings, target, SecretFiles.of(settings, lambda name, secret: secret.file or state / name))
    return mounted(target)


def test_rules_are_the_native_ones_to_the_byte(team, tmp_path):
    """Prometheus and Alertmanager are told the same, but for where the parts and secrets are."""
    settings, config, state = team
    mounts.write(settings, config, state, world=None)
    inner = mounted(state / "docker" / "rendered")
    outer = natively(settings, state, tmp_path / "native")
    assert inner.keys() == outer.keys()
    assert inner["rules/handrail.yml"] == outer["rules/handrail.yml"]
    for old, new in (("127.0.0.1:9090", "prometheus:9090"), ("127.0.0.1:9093", "alertmanager:9093")):
        outer = {name: text.replace(old, new) for name, text in outer.items()}
    outer = {name: text.replace("0.0.0.0:7001", "exporter:9095") for name, text in outer.items()}
    assert inner["prometheus.yml"] == outer["prometheus.yml"].replace("127.0.0.1:9096", "receiver:9096")
    expected = outer["alertmanager.yml"].replace("http://127.0.0.1:9096/v1/alerts", "http://receiver:9096/v1/alerts")
    expected = expected.replace(str(state / "secrets" / "w"), "/run/secrets/receiver.webhook_token")
    assert inner["alertmanager.yml"] == expected.replace(
        str(tmp_path / "SLACK"), "/run/secrets/notify.slack.webhook_url"
    )


def test_every_secret_is_a_file_in_the_containers_and_alertmanager_gets_its_own_only(team):
    """Those from the environment too; nobody else on the machine can reach them."""
    settings, config, state = team
    mounts.write(settings, config, state, world=None)
    secrets = state / "docker" / "secrets"
    assert mounted(secrets / "handrail") == {
        "sources.n8n.0.api_key": "n8n-secret\n",
        "notify.slack.webhook_url": "slack-secret\n",
        "tickets.jira.token": "jira-secret\n",
        **{f"receiver.{name}": getattr(settings.receiver, name).read() + "\n" for name in OWN_TOKENS},
    }
    assert set(mounted(secrets / "alertmanager")) == {"receiver.webhook_token", "notify.slack.webhook_url"}
    assert stat.S_IMODE((state / "docker").stat().st_mode) == 0o700
    for path in (secrets / "handrail").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert "secret" not in (state / "docker" / "etc" / "handrail.yaml").read_text().replace("/run/secrets", "")
    copied = secrets / "handrail" / "tickets.jira.token"
    assert round(copied.stat().st_mtime, 3) == round(settings.tickets.jira.token.file.stat().st_mtime, 3)


def test_a_secret_that_is_named_no_more_is_gone_and_a_changed_one_needs_no_restart(team):
    """The digest is of what has to be read anew; secrets are read when used."""
    settings, config, state = team
    before = mounts.write(settings, config, state, world=None)
    settings.tickets.jira.token.file.write_text("rotated\n")
    assert mounts.write(settings, config, state, world=None) == before
    assert (state / "docker" / "secrets" / "handrail" / "tickets.jira.token").read_text() == "rotated\n"
    config.write_text(config.read_text().replace("tickets:", "tickets: {}\n#"))
    assert mounts.write(load(config), config, state, world=None) != before
    assert not (state / "docker" / "secrets" / "handrail" / "tickets.jira.token").exists()


def test_the_file_inside_says_the_same_but_for_hosts_and_folders(team):
    """It is parsed as any other, and its parts reach each other by their names."""
    settings, config, _ = team
    made = inside(yaml.safe_load(config.read_text()), settings, world=None)
    held = parse(yaml.safe_dump(dict(made.document)))
    assert held.slas == settings.slas
    assert held.sources.n8n[0].url == "https://n8n.example.com"
    assert held.receiver.public_url == settings.receiver.public_url
    listening = [held.exporter.listen, held.receiver.listen, held.prometheus.listen, held.alertmanager.listen]
    assert listening == ["exporter:9095", "receiver:9096", "prometheus:9090", "alertmanager:9093"]
    assert held.receiver.database_url == "sqlite:////data/receiver.sqlite"
    assert held.exporter.database_url == "sqlite:////data/ledger.sqlite"


def test_a_postgresql_that_is_elsewhere_stays_the_database(team):
    """Each part by itself: the other one keeps its file in its volume."""
    _, config, _ = team
    url = "postgresql+psycopg://handrail:secret@db.example.com/handrail"
    config.write_text(config.read_text().replace("receiver: {", f"receiver: {{database_url: '{url}', "))
    document = yaml.safe_load(config.read_text())
    assert list(obstacles(document)) == []
    held = parse(yaml.safe_dump(dict(inside(document, load(config), world=None).document)))
    assert held.receiver.database_url == url
    assert held.exporter.database_url == "sqlite:////data/ledger.sqlite"


TLS = ("cert_file", "key_file", "client_ca_file", "ca_file", "client_cert_file", "client_key_file")


def test_certificates_are_where_each_part_needs_them(team, tmp_path):
    """The receiver's key is its own; Prometheus and Alertmanager have what they check it by and what they show."""
    _, config, state = team
    for name in TLS:
        (tmp_path / name).write_text(f"pem of {name}\n")
    tls = ", ".join(f"{name}: {tmp_path / name}" for name in TLS)
    named = f"receiver: {{public_url: 'https://handrail.example.com', tls: {{{tls}}}, "
    config.write_text(config.read_text().replace("receiver: {", named))
    assert list(obstacles(yaml.safe_load(config.read_text()))) == []
    settings = load(config)
    mounts.write(settings, config, state, world=None)
    secrets = state / "docker" / "secrets"
    shown = {f"receiver.tls.{name}" for name in ("ca", "client_cert", "client_key")}
    assert set(mounted(secrets / "prometheus")) == shown
    assert set(mounted(secrets / "alertmanager")) == {*shown, "receiver.webhook_token", "notify.slack.webhook_url"}
    assert mounted(secrets / "handrail")["receiver.tls.key"] == "pem of key_file\n"
    for name, path in (("prometheus.yml", "scrape_configs"), ("alertmanager.yml", "receivers")):
        rendered = yaml.safe_load((state / "docker" / "rendered" / name).read_text())
        assert "'ca_file': '/run/secrets/receiver.tls.ca', 'cert_file': '/run/secrets/receiver.tls.client_cert'" in str(
            rendered[path]
        )
    found = environment(settings, state=tmp_path, digest="d", version="1", world=None, grafana=None)
    assert found["HANDRAIL_RECEIVER_SCHEME"] == "https"


def test_what_lies_in_files_here_was_measured_natively(team):
    """Of the receiver or of the exporter; what is in a PostgreSQL is not left behind by containers."""
    settings, config, state = team

    def measured(**parts):
        named = {name: getattr(settings, name).model_copy(update={"database_url": url}) for name, url in parts.items()}
        return Wanted(settings.model_copy(update=named), config, state, None).measured_natively

    file, elsewhere = f"sqlite:///{config}", "postgresql+psycopg://h@db/handrail"
    absent = f"sqlite:///{state}/none"
    assert measured(receiver=file, exporter=absent)
    assert measured(receiver=elsewhere, exporter=file)
    assert not measured(receiver=elsewhere, exporter=absent)


def test_the_simulated_world_is_reached_by_its_name_wherever_its_ports_are_outside(tmp_path):
    """Also by the address that stands in a secret."""
    config = simulated.write(tmp_path, WORLD)
    made = inside(yaml.safe_load(config.read_text()), load(config), world=WORLD)
    held = parse(yaml.safe_dump(dict(made.document)))
    assert held.sources.n8n[0].url == "http://world:18101"
    assert held.sources.cloudflare[0].url == "http://world:18102/client/v4"
    assert held.tickets.jira.url == "http://world:18104"
    assert made.value("notify.slack.webhook_url").startswith("http://world:18105/services/")
    assert held.notify.slack.api_url == "http://world:18105/api"
    assert str(held.agent("support-bot").kill_switch.env_file) == "/switches/support-bot.env"
    assert held.receiver.public_url == "http://127.0.0.1:9196"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("sources: {n8n: [{url: 'http://localhost:5678'}]}", "sources.n8n[0].url"),
        ("sources: {n8n: [{url: 'http://[::1]:5678/n8n'}]}", "sources.n8n[0].url"),
        ("notify: {email: {smarthost: '127.0.0.1:25'}}", "notify.email.smarthost"),
        ("receiver: {database_url: 'postgresql+psycopg://h:p@localhost/handrail'}", "receiver.database_url"),
        ("exporter: {database_url: 'postgresql+psycopg://127.0.0.1:5433/handrail'}", "exporter.database_url"),
        (
            "receiver: {tls: {cert_file: /etc/a.pem, key_file: /etc/a.key}, public_url: 'https://localhost:9096'}",
            "receiver.public_url",
        ),
        ("agents: [{kill_switch: {env_file: /srv/agent.env}}]", "agents[0].kill_switch.env_file"),
    ],
)
def test_what_a_container_cannot_reach_is_told_with_its_place(text, where):
    """One reason, which begins with the setting."""
    (found,) = obstacles(yaml.safe_load(text))
    assert found.startswith(f"{where} is ")


def test_a_file_that_names_only_what_is_elsewhere_has_no_obstacle(team):
    """Where parts listen and what browsers are told is no obstacle."""
    text = team[1].read_text() + "alertmanager: {listen: '127.0.0.1:7002'}\n"
    assert list(obstacles(yaml.safe_load(text))) == []
    assert list(obstacles({"receiver": {"public_url": "http://127.0.0.1:9096"}})) == []
    assert list(obstacles({"sources": {"n8n": [{"url": "https://localhost.example.com"}]}})) == []


def test_what_the_compose_file_leaves_open_comes_from_the_file(team, tmp_path):
    """Ports are published where the parts listen natively; only the simulated world may delete series."""
    found = environment(team[0], state=tmp_path, digest="d", version="1", world=None, grafana=None)
    assert found["HANDRAIL_EXPORTER_LISTEN"] == "0.0.0.0:7001"
    assert found["HANDRAIL_PROMETHEUS_LISTEN"] == "127.0.0.1:9090"
    assert found["HANDRAIL_RETENTION"] == "30d12h"
    assert found["HANDRAIL_ADMIN_API"] == "no-"
    assert "COMPOSE_PROFILES" not in found
    world = environment(
        load(simulated.write(tmp_path, WORLD)), state=tmp_path, digest="d", version="1", world=WORLD, grafana="h:1"
    )
    assert world["COMPOSE_PROFILES"] == "simulated"
    assert world["HANDRAIL_ADMIN_API"] == ""
    assert [world[f"HANDRAIL_WORLD_PORT_{number}"] for number in range(6)] == [str(18200 + n) for n in range(6)]


def test_grafanas_password_is_made_once_and_told_once(tmp_path):
    """The second start knows nothing to tell, and mounts the same."""
    (tmp_path / "docker").mkdir()
    made = mounts.grafana_password(tmp_path)
    assert len(made) > 20
    assert mounts.grafana_password(tmp_path) is None
    assert (tmp_path / "docker" / "secrets" / "grafana" / "admin_password").read_text() == f"{made}\n"
    assert stat.S_IMODE((tmp_path / "secrets" / "grafana_admin_password").stat().st_mode) == 0o600
