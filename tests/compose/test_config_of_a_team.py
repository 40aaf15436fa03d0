"""A team's own file in containers: with TLS and client certificates between the parts, and with data that stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handrail.http import build_client
from stack import docker
from stack.runtime import recall
from tests.alerting.receiver.certificates import Authority
from tests.compose import breaking, stand_ins
from tests.compose.line import OURS, ROOT, Line

pytestmark = [pytest.mark.compose, pytest.mark.usefixtures("drill")]
HOST = "handrail.example.com"
PORTS = {name: 14800 + number for number, name in enumerate(OURS)}
CONFIG = """\
sources: {{n8n: [{{name: main, url: "https://n8n.example.com", api_key_file: {folder}/key}}]}}
notify: {{group_wait: 1s}}
receiver:
  listen: "127.0.0.1:{receiver}"
  public_url: "https://{host}"
  webhook_token_file: {state}/secrets/webhook
  operator_token_file: {state}/secrets/operator
  handoff_token_file: {state}/secrets/handoff
  tls:
    {{cert_file: {cert}, key_file: {key}, client_ca_file: {ca}, ca_file: {ca}, client_cert_file: {client_cert},
     client_key_file: {client_key}}}
exporter: {{listen: "127.0.0.1:{exporter}"}}
prometheus: {{listen: "127.0.0.1:{prometheus}", scrape_interval: 1s, evaluation_interval: 1s}}
alertmanager: {{listen: "127.0.0.1:{alertmanager}"}}
"""


@pytest.fixture(scope="module")
def grafana(engine):
    """Something stands in for Grafana meanwhile, which otherwise is left out."""
    if not engine.own:
        yield False
        return
    tag = stand_ins.grafana(ROOT / ".handrail" / "containers")
    yield True
    docker.run("image", "rm", "--force", tag)


@pytest.fixture(scope="module")
def team(grafana, tmp_path_factory, say):
    """What `make up` makes of the file, and gone afterwards with its data."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "key").write_text("n8n-key\n")
    authority = Authority(folder / "certificates")
    (cert, key), (client_cert, client_key) = authority.sign("receiver", HOST), authority.sign("client")
    files = {"cert": cert, "key": key, "ca": authority.cert, "client_cert": client_cert, "client_key": client_key}
    config = folder / "handrail.yaml"
    made = Line(folder / "handrail-team" / ".handrail", 0, say)
    made.state.parent.mkdir()
    config.write_text(CONFIG.format(folder=folder, state=made.state, host=HOST, **files, **PORTS))
    say("make up with a team's file")
    done = made.command("stack", "up", "--config", str(config), "--state", str(made.state), timeout_s=600)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("its password" in done.stdout) == ("grafana" not in made.chosen.without)
        yield made
    finally:
        made.down()
        made.close()
        if recall(made.state) and (volumes := volumes_of(made)):
            docker.run("volume", "rm", *volumes)


def test_grafana_has_its_password_dashboards_and_data_source_as_files(team, grafana):
    """As the user it runs as, who may change none of them; strangers on the machine cannot read them."""
    if not grafana:
        pytest.skip("the engine is the machine's own, where nothing stands in for Grafana")
    status = team.status()
    assert "grafana" in status.stdout
    password = (team.state / "secrets" / "grafana_admin_password").read_text().strip()
    script = "id -u; cat /run/secrets/admin_password; ls /var/lib/handrail/dashboards /etc/grafana/provisioning"
    said = docker.run("exec", team.name("grafana"), "sh", "-c", script).split()
    assert said[:2] == ["472", password]
    assert {"overview.json", "datasources", "dashboards"} <= set(said)
    team.compose.feed("grafana", "touch /var/lib/grafana/x", b"", timeout_s=20)
    with pytest.raises(docker.DockerFailed, match="Read-only file system"):
        team.compose.feed("grafana", "touch /var/lib/handrail/dashboards/x", b"", timeout_s=20)


def test_a_part_that_hangs_is_seen_by_its_health_check(team):
    """Every check can fail: each container runs and says that it is unhealthy, until its program goes on."""
    team.say("hang all of them")
    with breaking.hung(team, *(one.service for one in team.compose.containers())):
        team.until(
            "every container is unhealthy",
            lambda: {(one.status, one.health) for one in team.compose.containers()} == {("running", "unhealthy")},
        )
        assert team.status().returncode == 1
    team.until_healthy()


def test_a_team_has_tls_between_the_parts_and_keeps_its_data(team):
    """Prometheus and Alertmanager come in with their certificate, the health check too; `make down` keeps volumes."""
    assert team.chosen.runtime == "docker"
    status = team.status()
    assert status.returncode == 0, status.stdout
    assert f"https://127.0.0.1:{PORTS['receiver']}" in status.stdout
    alert = {"labels": {"alertname": "AgentSlowCallStreak", "agent": "x"}, "startsAt": datetime.now(UTC).isoformat()}
    with build_client(timeout_s=5) as client:

        def value(query):
            answer = client.get(f"http://127.0.0.1:{PORTS['prometheus']}/api/v1/query", params={"query": query})
            return sum(float(row["value"][1]) for row in answer.json()["data"]["result"])

        team.until("Prometheus reads the receiver", lambda: value('up{job="handrail-receiver"}') == 1)
        client.post(f"http://127.0.0.1:{PORTS['alertmanager']}/api/v2/alerts", json=[alert]).raise_for_status()
        team.until(
            "Alertmanager tells the receiver", lambda: value("handrail_notifications_total{outcome='accepted'}") > 0
        )
        denied = client.post(f"http://127.0.0.1:{PORTS['prometheus']}/api/v1/admin/tsdb/clean_tombstones")
        assert "admin APIs disabled" in denied.text
    kept = volumes_of(team)
    assert team.down().returncode == 0
    assert team.compose.containers() == []
    assert volumes_of(team) == kept
    assert len(kept) >= len(OURS)


def volumes_of(team):
    """The named volumes of its project."""
    mine = f"label=com.docker.compose.project={team.chosen.project}"
    return docker.run("volume", "ls", "--quiet", "--filter", mine).split()
