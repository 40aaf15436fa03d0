"""Which workflow is which agent: an agent is an id, so that names may change and series go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from drill.simulators.n8n import N8nSimulator
from exporter.sources.n8n_watch import Memory, watch
from exporter.sources.n8n_workflows import Workflow
from exporter.watch import Wiring
from handrail.settings import parse
from tests.exporter.n8n_reading import CONFIG, DISCOVER, Reading

Open = Callable[..., Reading]


@pytest.fixture
def restarted(open_reading: Open) -> Callable[..., Reading]:
    """The exporter after a restart, with what it had stored, and perhaps another configuration."""

    def restart(reading: Reading, config: str) -> Reading:
        again = open_reading(config, reading.n8n)
        again.state = json.loads(json.dumps(reading.state))
        return again

    return restart


def events(logs: Any, name: str) -> list[dict[str, Any]]:
    return [entry for entry in logs if entry["event"] == name]


def test_a_renamed_workflow_stays_the_agent_that_it_was(open_reading: Open, restarted: Callable[..., Reading]) -> None:
    """The label is given once, also over restarts; the log says once how to get another one."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    reading.poll()
    reading.n8n.workflow(key).name = "Clerk"
    with capture_logs() as logs:
        assert reading.poll().agents == {"helper"}
        again = restarted(reading, DISCOVER)
        assert again.poll().agents == {"helper"}
    (said,) = events(logs, "workflow_renamed")
    assert (said["agent"], said["workflow"], said["name"]) == ("helper", key, "Clerk")
    assert key in said["what_to_do"]
    reading.n8n.call(key)
    assert [call.agent for call in again.poll().calls] == ["helper"]


def test_a_new_name_is_configured_by_id(open_reading: Open, restarted: Callable[..., Reading]) -> None:
    """Who wants the new name names the workflow by its id: the old agent goes and the new one comes."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    reading.poll()
    again = restarted(reading, f"{DISCOVER}  - {{name: clerk, from: {{n8n: main, workflow: {key}}}}}\n")
    batch = again.poll()
    assert (batch.agents, batch.enabled) == (frozenset(), {"clerk": True})
    # Without that configuration it is what it was.
    assert restarted(again, DISCOVER).poll().agents == {"helper"}


def test_a_configured_agent_follows_its_workflow_to_another_name(
    reading: Reading, restarted: Callable[..., Reading]
) -> None:
    """An agent that is configured by name was found once, and stays the workflow with that id."""
    key = reading.workflow()
    reading.n8n.workflow(key).name = "Invoice summary 2"
    with capture_logs() as logs:
        assert reading.poll().enabled == {"invoices": True}
        again = restarted(reading, CONFIG)
        reading.n8n.call(key)
        assert [call.agent for call in again.poll().calls] == ["invoices"]
    assert [said["agent"] for said in events(logs, "workflow_renamed")] == ["invoices"]
    assert not events(logs, "failed")


def test_another_configured_name_is_looked_for_anew(reading: Reading, restarted: Callable[..., Reading]) -> None:
    """What was found under one name says nothing about another one."""
    other = reading.n8n.add_workflow("Something else")
    again = restarted(reading, CONFIG.replace("Invoice summary", "Something else"))
    reading.n8n.call(other)
    assert [call.agent for call in again.poll().calls] == ["invoices"]
    missing = restarted(reading, CONFIG.replace("Invoice summary", "Never made"))
    assert missing.poll().enabled == {}


def test_a_workflow_with_the_name_takes_the_place_of_the_one_that_had_it(reading: Reading) -> None:
    """The old one was renamed and a new one made under the configured name: that is the agent."""
    reading.n8n.workflow(reading.workflow()).name = "Invoice summary (old)"
    new = reading.n8n.add_workflow("Invoice summary")
    reading.n8n.call(new)
    assert len(reading.poll().calls) == 1


def test_an_agent_that_is_off_is_not_taken_for_one_that_is_on(reading: Reading, clock: Any) -> None:
    """Of two workflows of one name the one of before stays, switched off or not; the log says that there are two."""
    key = reading.workflow()
    reading.n8n.add_workflow("Invoice summary")
    reading.n8n.workflow(key).switch(None, now=clock.now(), at=clock.monotonic())
    with capture_logs() as logs:
        assert [reading.poll().enabled for _ in range(2)] == [{"invoices": False}] * 2
    assert [said["reason"] for said in events(logs, "failed")] == ["several_workflows"]


def test_an_archived_workflow_makes_room_for_one_of_its_name(reading: Reading) -> None:
    """A copy that is in use goes before the original in the archive."""
    reading.n8n.archive(reading.workflow())
    assert reading.poll().enabled == {"invoices": False}
    reading.n8n.add_workflow("Invoice summary")
    assert reading.poll().enabled == {"invoices": True}


def test_two_agents_of_one_workflow_are_said_to_be(open_reading: Open) -> None:
    """Calls count for one of them only; the other one is named in the log."""
    reading = open_reading(f"{CONFIG}  - {{name: again, from: {{n8n: main, workflow: Invoice summary}}}}\n")
    reading.n8n.add_workflow("Invoice summary")
    with capture_logs() as logs:
        assert reading.poll().enabled == {"invoices": True}
    (said,) = events(logs, "failed")
    assert (said["subject"], said["reason"]) == ("agent again", "workflow_of_another_agent")


def test_an_agent_that_comes_back_from_the_archive_has_its_name(open_reading: Open) -> None:
    """Nobody else got it meanwhile."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    reading.poll()
    reading.n8n.archive(key)
    reading.n8n.add_workflow("Helper")
    (other,) = reading.poll().agents
    assert other != "helper"
    reading.n8n.workflow(key).archived = False
    assert reading.poll().agents == {"helper", other}


def test_a_workflow_that_is_imported_anew_goes_on_with_the_series(open_reading: Open) -> None:
    """Deleted and imported again it has another id; its name is free, and no two workflows ever share one."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper")
    reading.poll()
    deleted = reading.n8n.workflows.pop(key)
    reading.n8n.workflows["imported"] = copy_of(deleted, "imported")
    assert reading.poll().agents == {"helper"}
    reading.n8n.workflows[key] = deleted
    names = reading.poll().agents
    assert (len(names), "helper" in names) == (2, True)


def copy_of(workflow: Any, key: str) -> Any:
    """The same workflow with another id."""
    values = {name: getattr(workflow, name) for name in ("name", "path", "ai", "confidence", "created", "updated")}
    other = type(workflow)(id=key, **values)
    other.new_version(workflow.created)
    other.switch(other.version_id, now=workflow.created, at=float("-inf"))
    return other


def test_what_is_live_decides_and_not_a_draft(open_reading: Open) -> None:
    """A published workflow that gets its first agent in a draft is none yet."""
    reading = open_reading(DISCOVER)
    key = reading.n8n.add_workflow("Helper", ai=False)
    workflow = reading.n8n.workflow(key)
    live = workflow.row()["activeVersion"]
    workflow.ai = True
    drafted = workflow.row() | {"activeVersion": live}
    workflow.row = lambda: drafted  # type: ignore[method-assign]
    assert reading.poll().agents == frozenset()


def test_two_n8n_with_equal_ids_have_agents_of_their_own(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of an n8n has the same workflows: the names of the second one say where they are."""
    monkeypatch.setenv("KEY", "n8n-key")
    sources = [f'{{name: {name}, url: "http://{name}.test", api_key_env: KEY, discover: true}}' for name in ("a", "b")]
    config = parse(f"sources: {{n8n: [{', '.join(sources)}]}}\n")
    n8n = N8nSimulator(clock)
    n8n.add_workflow("Helper")
    with ExitStack() as stack:
        wiring = Wiring(config, clock, stack=stack, transport=httpx.WSGITransport(app=n8n))
        assert [each.source.poll({}).agents for each in wiring.watched()] == [{"helper"}, {"helper-b"}]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "rename", "archive", "restore", "delete", "unpublish", "publish"]),
        st.integers(0, 5),
        st.sampled_from(["Helper", "helper", "Clerk", "taken", "", "x" * 80]),
    ),
    max_size=25,
)


@settings(max_examples=100)
@given(steps=STEPS)
def test_whatever_happens_names_are_unique_and_stay(steps: list[tuple[str, int, str]]) -> None:
    """A workflow keeps the name that it got for as long as it exists, and no two of them have the same."""
    workflows: dict[str, Workflow] = {}
    memory, given_names = Memory(), {}
    for number, (step, which, name) in enumerate(steps):
        key = list(workflows)[which % len(workflows)] if workflows else ""
        if step == "add":
            key = f"id{number}"
            workflows[key] = Workflow(key, name, published=True, archived=False, has_ai_root=True)
        elif step == "delete":
            workflows.pop(key, None)
            given_names.pop(key, None)
        elif key:
            old = workflows[key]
            workflows[key] = Workflow(
                key,
                name if step == "rename" else old.name,
                published={"unpublish": False, "publish": True}.get(step, old.published),
                archived={"archive": True, "restore": False}.get(step, old.archived),
                has_ai_root=True,
            )
        found = watch([*workflows.values()], [], discover=True, exclude=(), taken={"taken"}, memory=memory)
        memory = Memory.load(json.loads(json.dumps(Memory(names=found.names).dump())))
        assert all(found.discovered[key] == name for key, name in given_names.items() if key in found.discovered)
        given_names |= found.discovered
        names = [agent.name for agent in found.agents.values()]
        assert len(names) == len(set(names))
        assert "taken" not in names
        assert all(0 < len(name) <= 63 for name in names)
