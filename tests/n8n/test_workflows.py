"""What people do to workflows of a real n8n: switch off, rename, archive."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.n8n


def test_an_agent_that_is_switched_off_stays_and_the_change_is_counted(line, wait_for):
    """Unpublished in the editor or by anybody: it is off, not gone; published again it is on, and both were changes."""

    def switches() -> tuple[float | None, ...]:
        changed = [line.value("handrail_agent_enabled_changes_total", agent="switched-agent", to=to) for to in OFF_ON]
        return (line.value("handrail_agent_enabled", agent="switched-agent"), *changed)

    wait_for("it is on", lambda: switches() == (1, 0, 0))
    path = f"/workflows/{line.workflows['switched']}"
    version = line.n8n.api("GET", path)["activeVersionId"]
    line.n8n.api("POST", f"{path}/unpublish", {})
    wait_for("it is off", lambda: switches() == (0, 1, 0))
    line.n8n.api("POST", f"{path}/publish", {"versionId": version})
    wait_for("it is on again", lambda: switches() == (1, 1, 1))


OFF_ON = ("false", "true")


def test_a_renamed_workflow_keeps_its_series(line, wait_for):
    """The agent is the workflow's id: calls under the new name are added to those under the old one."""
    assert line.n8n.call("renamed").status_code == 200
    wait_for("a call under the old name", lambda: line.ended("renamed-agent") == (1, 0))
    path = f"/workflows/{line.workflows['renamed']}"
    workflow = line.n8n.api("GET", path)
    kept = {key: workflow[key] for key in ("nodes", "connections", "settings")}
    line.n8n.api("PUT", path, kept | {"name": "Another name altogether"})
    wait_for("it answers again", lambda: line.n8n.call("renamed").status_code == 200)
    wait_for("a call under the new name", lambda: line.ended("renamed-agent") == (2, 0))
    assert line.ended("another-name-altogether") == (None, None)


def test_an_archived_workflow_takes_its_series_with_it(line, wait_for):
    """It is gone, unlike one that is switched off: nothing alerts about it any more."""
    assert line.n8n.call("archived").status_code == 200
    wait_for("a call", lambda: line.ended("archived-agent") == (1, 0))
    line.n8n.api("POST", f"/workflows/{line.workflows['archived']}/archive", {})
    wait_for("no series is left", lambda: 'agent="archived-agent"' not in line.metrics())
