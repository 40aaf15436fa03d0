"""docker-compose.yml and the Dockerfile: every service is confined, watched and pinned, and listens on loopback."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from stack import docker

DECLARED = yaml.safe_load(docker.COMPOSE_FILE.read_text())
SERVICES = DECLARED["services"]
ALL = pytest.mark.parametrize("name", SERVICES)


def test_every_part_and_two_profiles_are_there():
    """The simulated world and n8n start only when they are asked for."""
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "exporter",
        "receiver",
        "prometheus",
        "alertmanager",
        "grafana",
    }
    assert {name: SERVICES[name]["profiles"] for name in ("world", "n8n")} == {"world": ["simulated"], "n8n": ["n8n"]}


@ALL
def test_a_container_can_do_no_more_than_its_work(name):
    """Not root, nothing to write but its volume, no capability, none to gain, bounded in memory and processes."""
    service = SERVICES[name]
    uid = int(service["user"].partition(":")[0])
    assert uid > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not {"cap_add", "privileged", "network_mode", "pid", "devices"} & service.keys()
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0


@ALL
def test_a_container_is_watched_restarted_and_its_log_rotated(name):
    """What hangs is seen, what ends comes back, and no log fills the disk."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert service["restart"] == "unless-stopped"
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert service["labels"]["handrail.configuration"] == "${HANDRAIL_DIGEST:-}"


@ALL
def test_a_port_is_published_on_loopback_unless_the_file_says_otherwise(name):
    """As natively."""
    for port in SERVICES[name]["ports"]:
        assert re.match(r"\$\{HANDRAIL_[A-Z0-9]+_LISTEN:-127\.0\.0\.1:\d+\}:\d+$|127\.0\.0\.1:\$\{", port), port


@ALL
def test_an_image_is_pinned_to_a_version(name):
    """By its tag; our own to the version of this checkout."""
    image = SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        assert image == "handrail:${HANDRAIL_VERSION:-latest}"
    else:
        assert re.search(r":v?\d+\.\d+\.\d+$", image), image


@ALL
def test_secrets_come_as_files_and_what_is_mounted_from_here_is_read_only(name):
    """Only named volumes are written to, and no secret is in the environment."""
    for volume in SERVICES[name].get("volumes", ()):
        source, target, *mode = re.sub(r"\$\{[^}]*\}", ".", volume).split(":")
        assert mode == ["ro"] if source.startswith(".") else source in DECLARED["volumes"], volume
        assert target.startswith("/")
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|KEY|TOKEN|SECRET", key):
            assert key.endswith("FILE"), key
            assert value.startswith("/run/secrets/")


def test_grafana_shows_nothing_to_strangers_and_finds_prometheus(root):
    """No anonymous viewing; data source and dashboards are provisioned."""
    grafana = SERVICES["grafana"]
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/admin_password"
    folder = root / "stack" / "deploy" / "grafana"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "$PROMETHEUS_URL")
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((folder / "dashboards" / "handrail.yml").read_text())["providers"]
    assert f"./dashboards/rendered:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./stack/deploy/grafana:/etc/grafana/provisioning:ro" in grafana["volumes"]


def test_the_exporter_waits_for_the_simulated_world_where_there_is_one():
    """And starts without it where there is none."""
    for name in ("exporter", "receiver"):
        assert SERVICES[name]["depends_on"]["world"] == {"condition": "service_healthy", "required": False}
    assert SERVICES["grafana"]["depends_on"]["prometheus"] == {"condition": "service_healthy"}


def test_the_image_is_built_from_locked_wheels_on_a_pinned_base_and_runs_as_nobody(root):
    """The last stage has no installer's leftovers: it copies what the stage before it made."""
    text = (root / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases[0])
    last = text.split("FROM ")[-1]
    assert "pip" not in last
    assert "USER 10001:10001" in last
    assert "HEALTHCHECK" not in text
    assert "--require-hashes --only-binary=:all: -r /build/requirements-image.lock" in text


def test_every_package_is_in_the_image_and_nothing_else_is_sent_to_the_engine(root):
    """No secret or data of a checkout can get into a layer."""
    packages = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    dockerfile = (root / "Dockerfile").read_text()
    assert all(f"COPY {name} /app/{name}\n" in dockerfile for name in packages["packages"])
    ignored = (root / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {line.removeprefix("!") for line in rules if line.startswith("!")}
    assert allowed == set(re.findall(r"^COPY ([a-z]\S*) /", dockerfile, re.MULTILINE))
