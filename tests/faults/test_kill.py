"""The exporter is killed hundreds of times while calls come: each is counted once, and Prometheus sees no counter fall.

The places of the kills follow from a seed that is printed. HANDRAIL_KILLS and HANDRAIL_SEED play it longer or again.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

from drill.simulators.wire import serve
from exporter.families import AGENT_COUNTERS, SOURCE_COUNTERS
from stack.tools import ToolMissing, find
from tests.faults.processes import Exporter, Prometheus, free_port, prometheus
from tests.faults.traffic import GATEWAY_AGENTS, N8N_AGENTS, Traffic, Truth

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("HANDRAIL_KILLS", "200"))
# A process that has served so long has polled several times.
LONGEST_LIFE_S = 1.0
STARTS_WITHIN_S = 1.5
SETTLES_WITHIN_S = 120
CONFIG = """
sources:
  n8n: [{name: main, url: "N8N", api_key_file: FOLDER/n8n-key, poll_interval: 200ms}]
  cloudflare:
    - {name: main, url: "CLOUDFLARE/client/v4", account_id: 0123456789abcdef0123456789abcdef, gateways: [prod],
       api_token_file: FOLDER/cf-token, poll_interval: 400ms, hold_back: 500ms, request_share: "100%", logs: legacy,
       analytics: {enabled: false}}
agents: [AGENTS]
exporter: {listen: "127.0.0.1:PORT", database_url: "sqlite:///FOLDER/ledger.sqlite"}
"""
# Kept in the ledger and shown under these names; the rest begins anew with each process.
STORED = [
    *(f"handrail_{family.name}_total" for family in (*AGENT_COUNTERS, *SOURCE_COUNTERS)),
    "handrail_slow_streak_breaches_total",
    *(
        f"handrail_{name}_{part}"
        for name in ("call_duration_seconds", "call_confidence_ratio")
        for part in ("bucket", "count", "sum")
    ),
]


@pytest.fixture
def program(root: Path) -> Path:
    try:
        return find("prometheus", state=root / ".handrail")
    except ToolMissing as error:
        pytest.skip(str(error))


def configured(folder: Path, port: int, n8n: str, cloudflare: str) -> Path:
    (folder / "n8n-key").write_text("n8n-key")
    (folder / "cf-token").write_text("cf-token")
    agents = [f"{{name: {agent}, from: {{n8n: main, workflow: {agent.capitalize()}}}}}" for agent in N8N_AGENTS]
    agents += [f"{{name: {a}, from: {{ai_gateway: main, metadata: {{agent: {a}}}}}}}" for a in GATEWAY_AGENTS]
    text = CONFIG.replace("N8N", n8n, 1).replace("CLOUDFLARE", cloudflare).replace("AGENTS", ", ".join(agents))
    (folder / "handrail.yaml").write_text(text.replace("FOLDER", str(folder)).replace("PORT", str(port)))
    return folder / "handrail.yaml"


def eventually(condition: Callable[[], bool], within_s: float = SETTLES_WITHIN_S) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def counted(metrics: dict[str, float]) -> Truth:
    """What a scrape says, in the form of the truth."""
    found: Truth = Counter()
    text = "\n".join(f"{name} {value}" for name, value in metrics.items() if name.startswith("handrail_"))
    for family in text_string_to_metric_families(text + "\n"):
        for sample in family.samples:
            kind = {"handrail_calls_total": "outcome", "handrail_tokens_total": "token_type"}.get(sample.name)
            if kind:
                found[sample.labels["agent"], sample.labels[kind]] += int(sample.value)
    return +found


def both_up(exporter: Exporter) -> bool:
    up = [value for name, value in exporter.metrics().items() if name.startswith("handrail_source_up")]
    return up == [1.0, 1.0]


def say(text: str) -> None:
    click.echo(text, err=True)


def killed(exporter: Exporter, rng: random.Random) -> int:
    """Start and kill it KILLS times, a quarter of them while it starts; how many served when they were killed."""
    served, pause = 0, threading.Event()
    began = time.monotonic()
    for number in range(1, KILLS + 1):
        exporter.start()
        if rng.random() < 0.25:
            pause.wait(rng.uniform(0, STARTS_WITHIN_S))
        else:
            assert eventually(exporter.answers), exporter.last_words()
            pause.wait(rng.uniform(0, LONGEST_LIFE_S))
            served += 1
        exporter.kill()
        if number % 20 == 0:
            seconds = time.monotonic() - began
            say(f"  {seconds:4.0f} s: killed {number} of {KILLS} times, {served} of them while it served")
    return served


def test_each_call_is_counted_once_however_often_the_exporter_is_killed(
    program: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts and tokens equal the simulators' truth for every agent, and resets() of every stored counter is 0."""
    seed = int(os.environ.get("HANDRAIL_SEED", str(random.SystemRandom().randrange(10**6))))
    rng, port = random.Random(seed), free_port()  # noqa: S311 - no secret
    traffic = Traffic(random.Random(seed + 1), pause_s=0.08)  # noqa: S311 - as above
    with capsys.disabled(), serve(traffic.n8n) as n8n, serve(traffic.cloudflare) as cloudflare:
        say(f"\n  HANDRAIL_SEED={seed} HANDRAIL_KILLS={KILLS}")
        exporter = Exporter(configured(tmp_path, port, n8n.url, cloudflare.url), port, root=root, folder=tmp_path)
        try:
            with prometheus(program, port, tmp_path) as prom:
                # Counting begins at the first successful poll, so no call may end before it.
                exporter.start()
                assert eventually(lambda: both_up(exporter)), exporter.last_words()
                exporter.kill()
                traffic.start()
                try:
                    served = killed(exporter, rng)
                finally:
                    traffic.stop()
                exporter.start()
                assert eventually(lambda: counted(exporter.metrics()) == +traffic.truth), difference(exporter, traffic)
                say(f"  {sum_of_calls(traffic.truth)} calls, each counted once")
                assert served > KILLS // 2
                # Some polls more: what was counted is not counted again.
                polls = polled(exporter)
                assert eventually(lambda: polled(exporter) >= polls + 6)
                assert counted(exporter.metrics()) == +traffic.truth, difference(exporter, traffic)
                fallen = {name: found for name in STORED if (found := prom.query(f"resets({name}[1h]) > 0"))}
                assert not fallen
                # That a fall would be seen, and that what Prometheus sees is the truth, as soon as a scrape succeeds.
                assert prom.query("resets(handrail_source_polls_total[1h]) > 0")
                assert eventually(lambda: seen(prom) == sum_of_calls(traffic.truth)), seen(prom)
            assert exporter.stop() == 0
        finally:
            exporter.close()


def polled(exporter: Exporter) -> float:
    """Polls that ended in this process."""
    return sum(v for name, v in exporter.metrics().items() if name.startswith("handrail_source_polls_total"))


def seen(prom: Prometheus) -> float | None:
    """The calls that Prometheus knows; None while it has just failed to scrape."""
    totals = prom.query("sum(handrail_calls_total)")
    return float(totals[0]["value"][1]) if totals else None


def sum_of_calls(truth: Truth) -> int:
    return sum(count for (_, kind), count in truth.items() if kind in ("success", "error"))


def difference(exporter: Exporter, traffic: Traffic) -> str:
    found = counted(exporter.metrics())
    wrong = {key: (found[key], true) for key, true in traffic.truth.items() if found[key] != true}
    return f"counted, true: {wrong}\n{exporter.last_words()}"
