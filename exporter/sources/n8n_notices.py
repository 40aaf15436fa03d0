"""What a person should know about the workflows of one n8n, said once in the log, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.sources.n8n_changes import Changes
from exporter.sources.n8n_rows import KNOWN_STATUSES
from exporter.sources.n8n_watch import Missing, Watch
from exporter.sources.n8n_workflows import Workflow
from handrail.logs import LogOnce, get_logger

_LONGEST_STATUS = 40
_MISSING: dict[Missing, str] = {
    "workflow_not_found": "no workflow that the key sees has this id or exactly this name",
    "workflow_of_another_agent": "another agent is configured with the same workflow; one of the two sees no calls",
}


class Notices:
    """Says what is wrong when it begins and when it ends."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._logger = get_logger("n8n")
        self._once = LogOnce(self._logger)
        self._said: set[str] = set()

    def counted_anew(self, epoch: int) -> None:
        """n8n gives its ids once more."""
        self._logger.warning("executions_are_counted_anew", source=self._source, epoch=epoch)

    def about(self, watched: Watch, changed: Changes, workflows: Sequence[Workflow]) -> None:
        """Agents without a workflow, or with several; workflows with a new name, or that do not save."""
        for agent, key, name in changed.renamed:
            mend = f"the agent keeps its name; for another one configure an agent with `workflow: {key}`"
            self._logger.warning(
                "workflow_renamed", source=self._source, agent=agent, workflow=key, name=name, what_to_do=mend
            )
        wrong: dict[str, tuple[str, str]] = {}
        for agent, reason in watched.missing.items():
            wrong[f"agent {agent}"] = reason, _MISSING[reason]
        for agent in watched.ambiguous:
            wrong[f"agent {agent}"] = "several_workflows", "several workflows have this name; configure one by its id"
        for workflow in workflows:
            if workflow.hidden and (watching := watched.agents.get(workflow.id)):
                hidden = sorted(workflow.hidden)
                mend = f"in the workflow's settings in n8n, save executions that end with {' and '.join(hidden)}"
                wrong[f"agent {watching.name} saves"] = f"hidden_{'_'.join(hidden)}", mend
        self._say(wrong)

    def _say(self, wrong: dict[str, tuple[str, str]]) -> None:
        for subject in self._said - wrong.keys():
            self._once.succeeded(subject)
        for subject, (reason, mend) in wrong.items():
            self._once.failed(subject, reason, source=self._source, what_to_do=mend)
        self._said = set(wrong)

    def of_statuses(self, statuses: Iterable[str]) -> None:
        """A status that this release does not know: such executions stay open and count as running."""
        for status in sorted({*statuses} - KNOWN_STATUSES):
            self._once.failed("status", repr(status[:_LONGEST_STATUS]), source=self._source)
