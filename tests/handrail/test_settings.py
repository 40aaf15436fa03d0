"""`handrail.yaml`: strict, and every mistake is said with its line and how to mend it."""

from __future__ import annotations

import pathlib
from datetime import timedelta
from decimal import Decimal

import pytest

from handrail.agent_settings import EnvFileSwitch
from handrail.secret import SecretError
from handrail.settings import Settings, SettingsError, load, parse
from handrail.source_settings import CloudflareAnalytics

BAD = pathlib.Path(__file__).resolve().parents[1] / "config" / "bad"
MINIMAL = 'sources: {n8n: [{name: main, url: "http://127.0.0.1:5678", api_key_env: KEY}]}\n'


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_broken_rule_has_its_exact_message(path):
    """One broken rule per file; the text beside it is the whole report."""
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(caught.value) == path.with_suffix(".txt").read_text().rstrip("\n")


def test_the_example_shows_every_setting_with_its_default(root):
    """What the example says is what holds when nothing is said."""
    example = load(root / "handrail.example.yaml")
    assert isinstance(example, Settings)
    bare = parse(MINIMAL)
    for part in ("slas", "credentials", "receiver", "exporter", "prometheus", "alertmanager", "notify"):
        shown, default = getattr(example, part), getattr(bare, part)
        if part == "notify":
            shown = shown.model_copy(update={"slack": None})
        assert shown == default, part
    (cloudflare,) = example.sources.cloudflare
    assert cloudflare.analytics == CloudflareAnalytics()


def test_numbers_are_exact():
    """2% is two hundredths, not the nearest float."""
    sla = parse(MINIMAL + "slas: {default: {errors: {ratio: 2.5%}, latency: {threshold: 1m30s}}}\n").slas["default"]
    assert sla.errors.ratio == Decimal("0.025")
    assert sla.latency.threshold == timedelta(seconds=90)


def test_several_mistakes_are_reported_together_in_the_order_of_lines():
    """One run says everything."""
    text = MINIMAL + "slas: {default: {errors: {ratio: 2}}}\nreceiver: {listen: nowhere}\nx: 1\n"
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


def test_a_secret_is_read_late_prints_as_stars_and_says_where_it_is_missing(tmp_path):
    """From the environment or a file, without its surrounding white space."""
    settings = parse(MINIMAL, environ={})
    secret = settings.sources.n8n[0].api_key
    assert str(secret) == "***"
    file = tmp_path / "key"
    file.write_text("  value \n")
    named = parse(MINIMAL.replace("api_key_env: KEY", f"api_key_file: {file}")).sources.n8n[0].api_key
    assert named.read() == "value"
    assert "value" not in repr(named)
    file.write_text("\n")
    with pytest.raises(SecretError, match=f"file {file} is empty"):
        named.read()


def test_an_agent_is_found_by_name_and_has_its_own_sla():
    """A discovered agent is held to the default."""
    text = MINIMAL + (
        "slas: {default: {}, fast: {latency: {threshold: 1s}}}\n"
        "agents: [{name: a, from: {n8n: main, workflow: A}, sla: fast, kill_switch: {env_file: /srv/a.env}}]\n"
    )
    settings = parse(text)
    assert settings.sla_of("a").latency.threshold == timedelta(seconds=1)
    assert settings.sla_of("discovered").latency.threshold == timedelta(seconds=5)
    agent = settings.agent("a")
    assert agent is not None
    assert isinstance(agent.kill_switch, EnvFileSwitch)
    assert settings.agent("b") is None
