"""Who comes in: over TLS only with the right certificate, in bounded numbers, and not as slowly as they like."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import yaml
from structlog.testing import capture_logs

from alerting.receiver import server
from alerting.receiver.api import body
from alerting.receiver.app import assemble
from alerting.receiver.schema import inbox
from alerting.receiver.server import CannotServe, Renewal, context_of
from alerting.render import SecretFiles, render
from handrail import logs
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.settings import Settings, parse
from handrail.tls_settings import ReceiverTls
from stack.health import is_healthy
from tests.alerting.conftest import MINIMAL
from tests.alerting.receiver.certificates import Authority
from tests.alerting.running_alertmanager import alert, free_port, started, until

HOST = "handrail.test"


def settings_in(folder, port: int, tls: str = "") -> Settings:
    """With tokens, a database and, if asked for, `tls`."""
    (folder / "token").write_text("token")
    return parse(
        MINIMAL + "notify: {group_wait: 0s, group_interval: 1s}\n"
        f"receiver: {{listen: '127.0.0.1:{port}', database_url: 'sqlite:///{folder}/receiver.sqlite', "
        f"public_url: '{'https' if tls else 'http'}://{HOST}:{port}', "
        f"webhook_token_file: {folder}/token, operator_token_file: {folder}/token{tls}}}\n"
    )


@contextmanager
def running(settings: Settings) -> Iterator[object]:
    """The receiver behind its server, on a real socket."""
    with build_client() as silent:
        receiver = assemble(settings, clock=SystemClock(), port=None, switches={}, prometheus=silent, exporter=silent)
        serving = server.server(receiver.app, settings)
        thread = threading.Thread(target=serving.run)
        thread.start()
        try:
            until(lambda: serving.started, "the server")
            yield receiver, serving
        finally:
            serving.should_exit = True
            thread.join()
            receiver.engine.dispose()


def stored(receiver) -> list[str]:
    with receiver.engine.begin() as connection:
        return [json.loads(row.body)["groupLabels"]["alertname"] for row in connection.execute(inbox.select())]


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path / "certificates")


@pytest.fixture
def mutual(authority, tmp_path) -> Settings:
    """A receiver that asks for certificates, and the clients' certificate of the same authority."""
    cert, key = authority.sign("receiver", HOST)
    client_cert, client_key = authority.sign("alertmanager")
    return settings_in(
        tmp_path,
        free_port(),
        f", tls: {{cert_file: {cert}, key_file: {key}, client_ca_file: {authority.cert}, ca_file: {authority.cert}, "
        f"client_cert_file: {client_cert}, client_key_file: {client_key}}}",
    )


def rendered(settings: Settings, folder) -> None:
    render(settings, folder, SecretFiles.of(settings, lambda _, secret: secret.file or folder))


@pytest.mark.tools
def test_a_real_alertmanager_comes_in_with_its_certificate_only(own_alertmanager, mutual, tmp_path):
    """With the rendered configuration it is taken; without a certificate, or with another authority's, it is not."""
    rendered(mutual, tmp_path)
    stranger_cert, stranger_key = Authority(tmp_path / "others", "other").sign("stranger")
    posted = alert({"alertname": "Posted", "severity": "critical"}, "x")
    with running(mutual) as (receiver, _), build_client() as client:
        for change in ({}, {"cert_file": str(stranger_cert), "key_file": str(stranger_key)}):
            configuration = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())
            for it in configuration["receivers"]:
                for webhook in it.get("webhook_configs", []):
                    tls = webhook["http_config"]["tls_config"]
                    assert tls["server_name"] == HOST
                    del tls["cert_file"], tls["key_file"]
                    tls |= change
            (tmp_path / f"refused-{len(change)}").mkdir()
            changed = tmp_path / f"refused-{len(change)}" / "alertmanager.yml"
            changed.write_text(yaml.safe_dump({**configuration, "templates": []}))
            with started(own_alertmanager, changed, client) as url:
                client.post(f"{url}/api/v2/alerts", json=[posted]).raise_for_status()
                until(lambda url=url: failed(client, url), "a refusal")
            assert stored(receiver) == []
        health = f"https://{mutual.receiver.listen}/-/healthy"
        assert is_healthy(client, health), "make up asks no more of it than that it listens"
        with started(own_alertmanager, tmp_path / "alertmanager.yml", client) as url:
            client.post(f"{url}/api/v2/alerts", json=[posted]).raise_for_status()
            until(lambda: "Posted" in stored(receiver), "the notification")


def failed(client, url: str) -> bool:
    """Has Alertmanager failed to reach the webhook?"""
    name = 'alertmanager_notification_requests_failed_total{integration="webhook"'
    lines = [line for line in client.get(f"{url}/metrics").text.splitlines() if line.startswith(name)]
    return any(float(line.split()[-1]) > 0 for line in lines)


@pytest.mark.tools
def test_a_real_prometheus_takes_the_configuration(promtool, mutual, tmp_path):
    """The scrape job of the receiver speaks TLS with the same files, and no other job does."""
    rendered(mutual, tmp_path)
    done = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]
    (receiver,) = [job for job in jobs if job.get("scheme") == "https"]
    assert receiver["job_name"] == "handrail-receiver"
    assert receiver["tls_config"].keys() == {"server_name", "ca_file", "cert_file", "key_file"}


def shown(port: int, authority: Authority) -> bytes:
    """The certificate that the server shows now."""
    context = ssl.create_default_context(cafile=authority.cert)
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as made,
    ):
        found = made.getpeercert(binary_form=True)
        assert found is not None
        return found


def test_a_renewed_certificate_is_taken_up_without_a_restart(authority, tmp_path):
    """Both files, when they fit; until then, and when they do not, the old one holds and the log says why."""
    cert, key = authority.sign("receiver", HOST)
    settings = settings_in(tmp_path, port := free_port(), f", tls: {{cert_file: {cert}, key_file: {key}}}")
    with running(settings) as (_, serving), capture_logs() as said:
        renewal = Renewal(serving.config.ssl, settings.receiver.tls, logs.get_logger("receiver"))
        before = shown(port, authority)
        assert not renewal.look()
        new_cert, new_key = authority.sign("renewed", HOST)
        new_cert.replace(cert)
        assert not renewal.look()
        assert shown(port, authority) == before, "half of a pair is not taken"
        new_key.replace(key)
        assert renewal.look()
        assert shown(port, authority) != before
        assert not renewal.look()
    assert [event["event"] for event in said] == ["failed", "recovered", "certificate_loaded"]
    assert str(cert) in said[0]["reason"]


def test_certificates_that_cannot_be_used_are_said_before_anything_is_served(authority, tmp_path):
    """Which file and why; a key with a password does not make it wait at a terminal."""
    cert, key = authority.sign("receiver", HOST)
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked],
        check=True,
        capture_output=True,
    )
    for files in ((cert, tmp_path / "nothing"), (cert, locked), (key, key), (cert, authority.sign("other", HOST)[1])):
        with pytest.raises(CannotServe, match=f"{files[0]} and {files[1]} cannot be used"):
            context_of(ReceiverTls(cert_file=files[0], key_file=files[1]))
    with pytest.raises(CannotServe, match="nothing cannot be used"):
        context_of(
            ReceiverTls(
                cert_file=cert,
                key_file=key,
                client_ca_file=tmp_path / "nothing",
                client_cert_file=cert,
                client_key_file=key,
            )
        )
    settings = settings_in(tmp_path, free_port(), f", tls: {{cert_file: {cert}, key_file: {tmp_path}/nothing}}")
    with pytest.raises(CannotServe), running(settings):
        pass


def closed(connection: socket.socket) -> bool:
    connection.settimeout(5)
    return connection.recv(65536) == b""


@pytest.mark.parametrize("sent", [b"", b"POST /v1/alerts HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=["nothing", "half"])
def test_who_does_not_finish_a_request_is_sent_away(tmp_path, monkeypatch, sent):
    """At the beginning, and after a request that was answered."""
    monkeypatch.setattr(server, "HEADERS_WITHIN_S", 0.3)
    settings = settings_in(tmp_path, port := free_port())
    with running(settings):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
            assert closed(connection)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.settimeout(5)
            answer = b""
            while not answer.endswith(b'{"status":"healthy"}'):
                answer += connection.recv(65536)
            connection.sendall(sent or b"GET")
            assert closed(connection)


def test_a_body_that_comes_too_slowly_is_given_up(tmp_path, monkeypatch):
    """Each byte in time, and the whole not: answered 408, and counted."""
    monkeypatch.setattr(body, "READ_WITHIN_S", 0.3)
    settings = settings_in(tmp_path, port := free_port())
    head = b"POST /v1/alerts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token\r\nContent-Length: 1000\r\n\r\n"
    with running(settings), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head)
        connection.settimeout(0.05)
        answer, end = b"", time.monotonic() + 10
        while not answer:
            assert time.monotonic() < end
            connection.sendall(b"x")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")


def test_more_connections_than_there_is_room_for_are_told_503(tmp_path, monkeypatch):
    """Alertmanager tries it again; when the others are gone there is room again."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 5)
    settings = settings_in(tmp_path, port := free_port())
    with running(settings), build_client(base_url=f"http://127.0.0.1:{port}") as client:
        others = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        until(lambda: client.get("/-/healthy").status_code == 503, "no room")
        for other in others:
            other.close()
        until(lambda: client.get("/-/healthy").status_code == 200, "room")


def test_sigterm_ends_it_in_good_order(tmp_path, root, notification):
    """What is under way is finished, the end of the audit log is said, and the exit code is 0."""
    settings_in(tmp_path, port := free_port())
    (tmp_path / "handrail.yaml").write_text(
        MINIMAL + f"receiver: {{listen: '127.0.0.1:{port}', database_url: 'sqlite:///{tmp_path}/r.sqlite', "
        f"webhook_token_file: {tmp_path}/token, operator_token_file: {tmp_path}/token}}\n"
    )
    command = [sys.executable, "-m", "cli", "receiver", "--config", str(tmp_path / "handrail.yaml")]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=root, stderr=log, env={**os.environ, "N8N_KEY": "x"}) as process,
        build_client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        try:
            until(lambda: process.poll() is not None or reaches(client), "the receiver")
            headers = {"authorization": "Bearer token"}
            client.post("/v1/alerts", json=notification(), headers=headers).raise_for_status()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert events[-1]["event"] == "audit_anchor", events
    assert events[-1]["anchor"].startswith("1:")
    assert "Traceback" not in (tmp_path / "log").read_text()


def reaches(client) -> bool:
    try:
        return client.get("/-/healthy").is_success
    except httpx.TransportError:
        return False
