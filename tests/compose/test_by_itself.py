"""The image by itself: its receiver stores in a PostgreSQL that is elsewhere."""

from __future__ import annotations

import contextlib
import pathlib
import re

import psycopg
import pytest

from stack import docker, mounts
from stack.in_containers import IMAGE

pytestmark = [pytest.mark.compose, pytest.mark.usefixtures("drill")]
NAME = "handrail-test-postgresql"
TELL = """\
import http.client, json
token = open("/run/secrets/receiver.webhook_token").read().strip()
alert = {"status": "firing", "labels": {"alertname": "AgentSlowCallStreak", "agent": "x"}, "annotations": {},
         "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "a"}
body = {"version": "4", "groupKey": "g", "status": "firing", "receiver": "handrail", "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": [alert]}
connection = http.client.HTTPConnection("127.0.0.1", 9096, timeout=5)
connection.request("POST", "/v1/alerts", json.dumps(body), {"authorization": "Bearer " + token})
print(connection.getresponse().status)
"""


def test_the_receiver_stores_in_a_postgresql_that_is_named(line, postgresql, tmp_path):
    """As the same user in the same read-only file system; what it acknowledges is in that database."""
    url = postgresql()
    folder = pathlib.Path(url.partition("host=")[2])
    folder.chmod(0o711)  # whoever knows the socket may use it
    mounted = mounts.folder(line.state)
    config = (mounted / "etc" / "handrail.yaml").read_text()
    (tmp_path / "handrail.yaml").write_text(config.replace("sqlite:////data/receiver.sqlite", url))
    tmp_path.chmod(0o755)
    volumes = {tmp_path: "/etc/handrail:ro", mounted / "secrets" / "handrail": "/run/secrets:ro", folder: folder}
    options = [word for source, target in volumes.items() for word in ("--volume", f"{source}:{target}")]
    # Without a network, as it is not to open tickets in the world that the stack watches.
    options += ["--network", "none", "--read-only", "--cap-drop", "ALL"]
    options += ["--env", "HANDRAIL_CONFIG=/etc/handrail/handrail.yaml"]
    command = ("receiver", "--listen", "127.0.0.1:9096")
    docker.run("run", "--detach", "--name", NAME, *options, IMAGE, *command, timeout_s=30)
    try:
        told = ("exec", NAME, "python", "-c", TELL)
        line.until("it acknowledges", lambda: docker.run(*told).strip() == "200", within_s=30)
        with psycopg.connect(re.sub(r"\+psycopg", "", url)) as connection:
            row = connection.execute("SELECT count(*) FROM inbox").fetchone()
        assert row == (1,)
    finally:
        with contextlib.suppress(docker.DockerFailed):
            docker.run("rm", "--force", NAME, timeout_s=30)
