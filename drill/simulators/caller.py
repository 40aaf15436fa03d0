"""The applications around the simulated agents: the support bot that asks the model, and who hands a case over."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog

from handrail.http import NotJson, build_client, read_json

_log = structlog.get_logger()

SWITCHED_OFF = "Our assistant is switched off at the moment. A colleague will answer you."
FALLBACK = "I cannot answer that right now. A colleague will answer you."


def agent_enabled(env_file: Path) -> bool:
    """What the env file says; an agent without a file, or without the line, is on."""
    try:
        lines = env_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return True
    values = [line.partition("=")[2].strip(" '\"") for line in lines if line.strip().startswith("AGENT_ENABLED=")]
    return not values or values[-1].lower() not in ("false", "0", "no", "off")


class HandoffClient:
    """Hands cases of one agent over to a person, through the receiver."""

    def __init__(self, receiver_url: str, *, agent: str, token: str) -> None:
        self._agent = agent
        self._client = build_client(base_url=receiver_url, timeout_s=5.0, headers={"authorization": f"Bearer {token}"})

    def close(self) -> None:
        """Close the connection to the receiver."""
        self._client.close()

    def post(self, *, task: str, reason: str, **facts: Any) -> str | None:
        """The id of the hand-off; None if nobody needs to take over, or if the receiver did not accept it."""
        body = {"agent": self._agent, "task": task, "reason": reason} | facts
        headers = {"idempotency-key": secrets.token_hex(16)}
        try:
            response = self._client.post("/v1/handoffs", json=body, headers=headers)
            found = read_json(response)
        except (httpx.HTTPError, NotJson) as error:
            _log.warning("handoff_not_delivered", agent=self._agent, error=str(error))
            return None
        if response.status_code >= 400 or not isinstance(found, dict):
            _log.warning("handoff_refused", agent=self._agent, status=response.status_code)
            return None
        return str(found["id"]) if found.get("handoff") and found.get("id") else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a customer is told; `fallback` when it was not the model that answered."""

    fallback: bool
    answer: str
    handoff_id: str | None = None


class SupportBot:
    """Asks the model through the gateway with a time-out of its own.

    A customer always gets an answer: the model's, or the fallback together with a hand-off to a person. Before every
    call it reads its env file; switched off, it makes no call at all.
    """

    name = "support-bot"

    def __init__(self, gateway_url: str, *, handoffs: HandoffClient, env_file: Path, timeout_s: float = 6.0) -> None:
        self._handoffs = handoffs
        self._env_file = env_file
        self._timeout_s = timeout_s
        headers = {
            "cf-aig-metadata": json.dumps({"agent": self.name}),
            # The gateway gives up when the caller does, and so logs how long the caller waited.
            "cf-aig-request-timeout": str(round(timeout_s * 1000)),
        }
        self._client = build_client(base_url=gateway_url, timeout_s=timeout_s, headers=headers)

    @property
    def enabled(self) -> bool:
        """May it make calls?"""
        return agent_enabled(self._env_file)

    def close(self) -> None:
        """Close the connection to the gateway."""
        self._client.close()

    def ask(self, question: str) -> Answer:
        """The answer to one question."""
        if not self.enabled:
            return Answer(fallback=True, answer=SWITCHED_OFF)
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
        try:
            response = self._client.post("/openai/chat/completions", json=body)
            if response.status_code == 408:
                return self._hand_over(question, "model timeout")
            if response.status_code >= 400:
                return self._hand_over(question, f"model answered HTTP {response.status_code}")
            return Answer(fallback=False, answer=_content(read_json(response)))
        except httpx.TimeoutException:
            return self._hand_over(question, "model timeout")
        except (httpx.TransportError, NotJson) as error:
            return self._hand_over(question, f"model unreachable: {type(error).__name__}")

    def _hand_over(self, question: str, tool_error: str) -> Answer:
        handoff_id = self._handoffs.post(
            task="Answer a customer", reason="tool_error", tool_error=tool_error, prompt=question
        )
        return Answer(fallback=True, answer=FALLBACK, handoff_id=handoff_id)


def _content(completion: Any) -> str:
    try:
        return str(completion["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError) as error:
        raise NotJson("the model's answer has another shape") from error
