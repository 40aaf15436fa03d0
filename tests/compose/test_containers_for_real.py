"""The stack in real containers: the drill passes; whatever breaks, nothing is lost and it heals by itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from stack import docker, mounts
from stack.in_containers import IMAGE
from tests.compose.line import OURS, ROOT

pytestmark = pytest.mark.compose
BREAK_S = 5


def test_the_stack_runs_confined_and_says_so(line):
    """No container is root or writes outside its volumes; `make status` shows every part, `make logs` each log."""
    done = line.command("stack", "status", "--state", str(line.state))
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r" yes ", done.stdout)) == 5
    for one in line.compose.containers():
        status = (ROOT / f"/proc/{one.pid}/status").read_text()
        assert "Uid:\t0" not in status
        assert re.search(r"CapEff:\t0+\n", status)
        assert re.search(r"NoNewPrivs:\t1\n", status)
    with pytest.raises(docker.DockerFailed, match="Read-only file system"):
        line.compose.feed("exporter", "touch /app/x", b"", timeout_s=20)
    assert '"started"' in line.command("stack", "logs", "exporter", "--state", str(line.state)).stdout


def test_a_second_up_changes_nothing_and_says_so(line):
    """No container is made anew."""
    before = {one.pid for one in line.compose.containers()}
    done = line.up()
    assert "running already" in done.stdout
    assert {one.pid for one in line.compose.containers()} == before


def test_the_drill_passes_in_containers(line):
    """All of it: two at a time, as each scenario has an agent of its own."""
    scenarios = (["token-jump"], ["slow-calls", "error-rate", "model-timeout"])
    running = []
    for names in scenarios:
        only = [word for name in names for word in ("--only", name)]
        config = str(line.state / "simulated" / "handrail.yaml")
        world = ["--config", config, "--port-offset", str(line.offset), "--state", str(line.state)]
        command = [sys.executable, "-m", "cli", "drill", *world, *only]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for process in running:
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
        line.say(said.strip().splitlines()[-1].split(" Journal")[0])


def test_what_is_killed_comes_back_and_nothing_is_lost(line):
    """Each part by itself, then two at once, each time with an incident under way."""
    faults = [(name,) for name in OURS] + [("exporter", "receiver"), ("receiver", "alertmanager")]
    incidents = line.agents([f"killed-{'-'.join(fault)}" for fault in faults])
    for fault, incident in zip(faults, incidents, strict=True):
        line.say(f"kill {' and '.join(fault)}")
        restarts = {name: line.container(name).restarts for name in fault}
        line.happen(incident)
        line.kill(*fault)
        line.until(
            "started again",
            lambda before=restarts: all(line.container(name).restarts == before[name] + 1 for name in before),
        )
        line.until_healthy()
        # Before the next fault: an alert that lasts a minute is not to meet two of them.
        line.nothing_lost([incident])


def test_what_freezes_and_thaws_goes_on_and_nothing_is_lost(line):
    """Each part and the simulated world by itself, then two at once."""
    faults = [(name,) for name in (*OURS, "world")] + [("prometheus", "alertmanager")]
    incidents = line.agents([f"frozen-{'-'.join(fault)}" for fault in faults])
    for fault, incident in zip(faults, incidents, strict=True):
        line.say(f"freeze {' and '.join(fault)}")
        line.happen(incident)
        with line.frozen(*fault):
            line.pass_time(BREAK_S)
        line.until_healthy()
        line.nothing_lost([incident])


def test_a_network_that_is_cut_and_mended_loses_nothing(line):
    """Packets vanish, as with a broken cable."""
    names = (*OURS, "world")
    incidents = line.agents([f"unplugged-{name}" for name in names])
    for name, incident in zip(names, incidents, strict=True):
        line.say(f"unplug {name}")
        line.happen(incident)
        with line.unplugged(name):
            line.pass_time(BREAK_S)
        line.until_healthy()
        line.nothing_lost([incident])


def test_volumes_that_are_full_and_freed_lose_nothing(line):
    """The exporter's and the receiver's at once, with two incidents under way."""
    with line.small("exporter", "/data", "24m") as ledger, line.small("receiver", "/data", "24m") as inbox:
        line.until_healthy()
        before, meanwhile = line.agents(["full-before", "full-meanwhile"])
        line.say("fill the volumes of exporter and receiver")
        line.happen(before)
        for name, folder in (("exporter", ledger), ("receiver", inbox)):
            line.compose.feed(name, "dd if=/dev/zero of=/data/filler bs=64k 2>/dev/null || true", b"", timeout_s=60)
            assert shutil.disk_usage(folder).free == 0
        line.happen(meanwhile)
        line.pass_time(BREAK_S)
        for folder in (ledger, inbox):
            (folder / "filler").unlink()
        line.until_healthy()
        line.nothing_lost([before, meanwhile])


def test_an_engine_that_starts_again_brings_everything_back(line, engine):
    """Containers come back by themselves with all that they had counted and decided."""
    # The simulated n8n forgets its agents with its container, all but the demo's.
    total = 'sum(handrail_calls_total{agent="invoice-summary"})'
    line.until("calls are counted", lambda: line.probes.value(total))
    counted = line.probes.value(total)
    line.say("stop the engine and start it")
    engine.stop()
    engine.start()
    line.until_healthy()
    line.until("it counts on from what it had", lambda: (line.probes.value(total) or 0) > counted)
    assert line.probes.value('sum(resets(handrail_calls_total{agent="invoice-summary"}[10m]))') == 0
    line.compose.feed("receiver", "python -m cli audit verify", b"", timeout_s=60)
    assert line.command("stack", "status", "--state", str(line.state)).returncode == 0


def test_size_and_memory_are_within_bounds(line, measured):
    """The image adds little to its base, and every part has room below its limit."""
    base = re.search(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE).group(1)
    size = {tag: int(docker.run("image", "inspect", "--format", "{{.Size}}", tag)) for tag in (IMAGE, base)}
    measured.append(f"image: {size[IMAGE] / size[base]:.2f} of its base")
    assert size[IMAGE] - size[base] < 120 * 1024**2
    ids = docker.run("ps", "--quiet", "--filter", f"label=com.docker.compose.project={project(line)}").split()
    said = docker.run("stats", "--no-stream", "--format", "{{json .}}", *ids, timeout_s=30)
    for row in map(json.loads, said.splitlines()):
        share = float(row["MemPerc"].rstrip("%")) / 100
        measured.append(f"memory: {row['Name']} {share:.2f} of its limit")
        assert share < 0.8, row["Name"]


def project(line) -> str:
    """As `make up` named it."""
    text = mounts.env_file(line.state).read_text()
    return re.search(r"^COMPOSE_PROJECT_NAME='(.*)'$", text, re.MULTILINE).group(1)
