"""Jira Cloud (v3) and Data Center (v2) through the `jira` library, without any retry of its own.

The library would send a creation again after a lost connection; retrying is the outbox's business, which first
searches for what it may have created. The token needs the project permissions Browse, Create, Edit, Transition and
Add Comments, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from jira import JIRA, JIRAError

from alerting.receiver.text import Document, to_adf, to_wiki
from alerting.receiver.tickets import Ambiguous, Gone
from alerting.receiver.worker import Permanent, Transient
from handrail.clock import Clock
from handrail.redact import redact
from handrail.secret import SecretError
from handrail.settings import Jira

TIMEOUT_S = (5.0, 20.0)


class JiraTickets:
    """The TicketPort on Jira. The token is read for each call, so that a rotated one is used at once."""

    def __init__(self, settings: Jira, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._cloud = settings.deployment == "cloud"

    def create(self, summary: str, description: Document, labels: tuple[str, ...]) -> str:
        """The key of a new ticket; Ambiguous when the answer was lost."""
        fields = {
            "project": {"key": self._settings.project},
            "issuetype": {"name": self._settings.issue_type},
            "summary": summary,
            "description": self._markup(description),
            "labels": list(labels),
        }
        with self._client(ambiguous=True) as client:
            return str(client.create_issue(fields=fields, prefetch=False).key)

    def find(self, label: str) -> str | None:
        """The key of the ticket that carries the label, as far as the search knows."""
        # The label is made of our own prefix and hexadecimal digits, so that nothing of it can be JQL.
        jql = f'project = "{self._settings.project}" AND labels = "{label}" ORDER BY created ASC'
        with self._client() as client:
            search: Callable[..., Any] = client.enhanced_search_issues if self._cloud else client.search_issues
            found = search(jql, maxResults=1, fields=["summary"])
            return str(found[0].key) if found else None

    def comment(self, key: str, document: Document) -> None:
        """Add a comment."""
        with self._client(ambiguous=True) as client:
            client.add_comment(key, self._markup(document))

    def has_comment(self, key: str, marker: str) -> bool:
        """Does a comment of the ticket contain the marker?"""
        with self._client() as client:
            return any(marker in str(comment.raw) for comment in client.comments(key))

    def close(self, key: str) -> bool:
        """Move the ticket to a status of the category done, whatever it is called here; False when it already was."""
        with self._client() as client:
            issue = client.issue(key, fields="status")
            if issue.raw["fields"]["status"]["statusCategory"]["key"] == "done":
                return False
            done = [t for t in client.transitions(key) if t["to"]["statusCategory"]["key"] == "done"]
            if not done:
                raise Permanent(f"ticket {key} has no transition to a status of the category done; close it by hand")
            client.transition_issue(key, done[0]["id"])
            return True

    def _markup(self, document: Document) -> Any:
        return to_adf(document) if self._cloud else to_wiki(document)

    @contextmanager
    def _client(self, *, ambiguous: bool = False) -> Iterator[JIRA]:
        """A client for one call, whose errors come out as the outbox understands them."""
        client = None
        try:
            client = self._connect()
            yield client
        except SecretError as error:
            raise Transient(f"Jira's token: {error}", retry_after_s=60) from error
        except JIRAError as error:
            raise self._translated(error, ambiguous=ambiguous) from error
        except requests.ConnectTimeout as error:
            raise Transient("Jira cannot be reached: no connection in time") from error
        except requests.RequestException as error:
            raise _unanswered(error, ambiguous=ambiguous) from error
        finally:
            if client is not None:
                client.close()  # type: ignore[no-untyped-call]

    def _connect(self) -> JIRA:
        settings = self._settings
        token = settings.token.read()
        options: dict[str, Any] = {"server": settings.url, "rest_api_version": "3" if self._cloud else "2"}
        credentials: dict[str, Any] = {"basic_auth": (settings.user, token)} if settings.user else {"token_auth": token}
        client = JIRA(options=options, max_retries=0, timeout=TIMEOUT_S, get_server_info=False, **credentials)
        client.deploymentType = "Cloud" if self._cloud else "Server"
        return client

    def _translated(self, error: JIRAError, *, ambiguous: bool) -> Exception:
        status = error.status_code
        if status is None:
            return Ambiguous("Jira did not answer") if ambiguous else Transient("Jira did not answer")
        said = redact(_said(error.response))
        if status in (429, 503):
            return Transient(f"Jira answered HTTP {status}", retry_after_s=self._retry_after(error.response))
        if status >= 500:
            text = f"Jira answered HTTP {status}"
            return Ambiguous(text) if ambiguous else Transient(text)
        if status in (401, 403):
            return Transient(
                f"Jira refuses the token (HTTP {status}); renew it in {self._settings.token.where}", retry_after_s=60
            )
        if status == 404:
            return Gone(f"Jira does not know it (HTTP 404): {said}")
        return Permanent(f"Jira refused it (HTTP {status}): {said}")

    def _retry_after(self, response: requests.Response | None) -> float | None:
        value = response.headers.get("Retry-After") if response is not None else None
        if not value:
            return None
        if value.isdigit():
            return min(float(value), 3600.0)
        try:
            moment: datetime = parsedate_to_datetime(value)
            return max(0.0, (moment - self._clock.now()).total_seconds())
        except (ValueError, TypeError):
            return None


def _unanswered(error: requests.RequestException, *, ambiguous: bool) -> Exception:
    text = f"Jira did not answer ({type(error).__name__})"
    refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
    if refused or not ambiguous:
        return Transient(text)
    return Ambiguous(text)


def _said(response: requests.Response | None) -> str:
    """What Jira says is wrong, from the answer itself: the library's text leaves out the names of the fields."""
    if response is None:
        return "no answer"
    try:
        body = response.json()
        parts = [*body.get("errorMessages", []), *(f"{k}: {v}" for k, v in body.get("errors", {}).items())]
        return "; ".join(map(str, parts))[:500] or "no reason given"
    except (ValueError, AttributeError):
        return "no reason given"
