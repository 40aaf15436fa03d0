"""The stack in real containers: the drill passes; whatever breaks, nothing is lost and it heals by itself."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from stack import docker, mounts
from tests.compose import breaking
from tests.compose.breaking import FAULTS

pytestmark = pytest.mark.compose


def test_the_drill_passes_in_containers(line, drill):
    """All of it."""
    for name, process in drill.items():
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        line.say(f"{name} passed")


@pytest.mark.parametrize("parts", FAULTS["killed"], ids=" and ".join)
def test_what_is_killed_comes_back_and_nothing_is_lost(quick, incidents, parts):
    """With an incident under way."""
    incident = incidents("killed", parts)
    before = {name: quick.container(name).restarts for name in parts}
    quick.say(f"kill {' and '.join(parts)}")
    quick.happen(incident)
    breaking.kill(quick, *parts)
    quick.until("started again", lambda: all(quick.container(name).restarts == before[name] + 1 for name in parts))
    quick.nothing_lost([incident])
    quick.until_healthy()


@pytest.mark.parametrize("parts", FAULTS["frozen"], ids=" and ".join)
def test_what_freezes_and_thaws_goes_on_and_nothing_is_lost(quick, incidents, parts):
    """For as long as it takes to be in an incident's way."""
    incident = incidents("frozen", parts)
    quick.say(f"freeze {' and '.join(parts)}")
    quick.happen(incident)
    if "world" in parts:
        quick.until("it is counted", lambda: quick.counted(incident))
    with breaking.frozen(quick, *parts):
        quick.until("it is felt", lambda: breaking.felt(quick, parts[0], incident))
    quick.nothing_lost([incident])
    quick.until_healthy()


@pytest.mark.parametrize("parts", FAULTS["unplugged"], ids=" and ".join)
def test_a_network_that_is_cut_and_mended_loses_nothing(quick, incidents, parts):
    """Packets vanish, as with a broken cable, until it is felt."""
    incident, (name,) = incidents("unplugged", parts), parts
    quick.say(f"unplug {name}")
    quick.happen(incident)
    if name == "world":
        quick.until("it is counted", lambda: quick.counted(incident))
    with breaking.unplugged(quick, name):
        quick.until("it is felt", lambda: breaking.felt(quick, name, incident))
    quick.nothing_lost([incident])
    quick.until_healthy()


def test_volumes_that_are_full_and_freed_lose_nothing(quick):
    """The exporter's and the receiver's at once, with two incidents under way."""
    with (
        breaking.small(quick, "exporter", "/data", "24m") as ledger,
        breaking.small(quick, "receiver", "/data", "24m") as inbox,
    ):
        quick.until_healthy()
        before, meanwhile = quick.agents(["full-before", "full-meanwhile"])
        quick.say("fill the volumes of exporter and receiver")
        quick.happen(before)
        for name, folder in (("exporter", ledger), ("receiver", inbox)):
            quick.compose.feed(name, "dd if=/dev/zero of=/data/filler bs=64k 2>/dev/null || true", b"", timeout_s=60)
            assert shutil.disk_usage(folder).free == 0
        quick.happen(meanwhile)
        quick.until("it is felt", lambda: quick.served("exporter", "handrail_ledger_up") == 0)
        for folder in (ledger, inbox):
            (folder / "filler").unlink()
        quick.until_healthy()
        quick.nothing_lost([before, meanwhile])
    quick.until_healthy()


def test_a_signal_takes_over_a_changed_file_and_the_exporter_still_comes_back(quick):
    """With the command of docs/running.md. To an engine, any signal of its own is a wish that the part should end."""
    page = (docker.ROOT / "docs" / "running.md").read_text()
    command = re.search(r"^\| SIGHUP to the exporter \| `docker (compose [^`]+)`", page, re.MULTILINE).group(1)
    words = shlex.split(command.replace(".handrail/docker/compose.env", str(mounts.env_file(quick.state))))
    reloaded = "handrail_config_last_reload_success_timestamp_seconds"
    before, restarts = quick.served("exporter", reloaded), quick.container("exporter").restarts
    quick.say(" ".join(words))
    docker.run(*words[:-4], "--no-TTY", *words[-4:], timeout_s=30)
    quick.until("the file is read anew", lambda: quick.served("exporter", reloaded) > before)
    breaking.kill(quick, "exporter")
    quick.until("started again", lambda: quick.container("exporter").restarts == restarts + 1)
    quick.until_healthy()


def test_an_engine_that_starts_again_brings_everything_back(quick, engine):
    """Containers come back by themselves with all that they had counted and decided."""
    if not engine.own:
        pytest.skip("the engine is the machine's own, which is not ended here")
    # The simulated n8n forgets its agents with its container, all but the demo's.
    total = 'sum(handrail_calls_total{agent="invoice-summary"})'
    quick.until("calls are counted", lambda: quick.probes.value(total))
    counted = quick.probes.value(total)
    quick.say("stop the engine and start it")
    engine.stop()
    engine.start()
    quick.until_healthy()
    quick.until("it counts on from what it had", lambda: (quick.probes.value(total) or 0) > counted)
    assert quick.probes.value('sum(resets(handrail_calls_total{agent="invoice-summary"}[10m]))') == 0
    quick.compose.feed("receiver", "python -m cli audit verify", b"", timeout_s=60)
    assert quick.status().returncode == 0
