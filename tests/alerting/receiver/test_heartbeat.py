"""The dead man's switch: a service outside is called while the watchdog comes, and by nothing else."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from fastapi import FastAPI
from sqlalchemy import Engine, func, select

from alerting.receiver.app import Loop, assemble
from alerting.receiver.heartbeat import Heart
from alerting.receiver.schema import inbox
from alerting.render import SecretFiles, render
from drill.simulators.wire import Response, Router, answer, serve, text_response
from handrail import logs
from handrail.clock import SystemClock
from handrail.http import HttpClient, build_client
from handrail.secret import Secret
from handrail.settings import parse
from tests.alerting.conftest import MINIMAL
from tests.alerting.running_alertmanager import alert, free_port, started, until

PATH = "/ping/the-secret-of-the-url"
WATCHDOG = {"alertname": "HandrailWatchdog", "severity": "info"}
OTHER = {"alertname": "Other", "severity": "critical"}


class Outside:
    """A service that counts how often it is called."""

    def __init__(self) -> None:
        self.beats = 0
        self.status = 200
        self._router = Router(text_response("no such check", 404))
        self._router.add("GET", PATH, self._beat)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return answer(self._router, environ, start_response)

    def _beat(self, request: object) -> Response:
        self.beats += self.status == 200
        return text_response("OK", self.status)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Outside, Secret]]:
    """The service, and the file that holds its URL."""
    here = Outside()
    with serve(here) as server:
        (tmp_path / "heartbeat_url").write_text(f"{server.url}{PATH}\n")
        yield here, Secret(file=tmp_path / "heartbeat_url")


def heart_of(bench, url: Secret, *, every: timedelta = timedelta(minutes=5)) -> Heart:
    """A heart that listens to the bench's receiver."""
    return Heart(
        url,
        build_client,
        bench.clock,
        every_s=every.total_seconds(),
        heard=lambda: bench.receiver.intake.heartbeats.last,
        count=lambda outcome: None,
        logger=logs.get_logger("receiver"),
    )


def watchdog(bench, notification, status: str = "firing") -> None:
    """Alertmanager tells the watchdog, and it is decided."""
    bench.alert(notification(status, alertname="HandrailWatchdog", severity="info"))
    bench.drain()


def test_one_beat_in_the_time_that_was_asked_for(bench, notification, service):
    """The watchdog comes each minute, the beat each fifth, and none without a watchdog."""
    outside, url = service
    heart = heart_of(bench, url)
    assert not heart.beat_if_due()
    beats = []
    for minute in range(11):
        watchdog(bench, notification)
        if heart.beat_if_due():
            beats.append(minute)
        assert not heart.beat_if_due()
        bench.clock.advance(60)
    assert beats == [0, 5, 10]
    assert outside.beats == 3


def test_when_the_watchdog_stops_the_beat_stops(bench, notification, service):
    """However long one waits, and its end is no sign of life either."""
    _, url = service
    heart = heart_of(bench, url)
    watchdog(bench, notification)
    assert heart.beat_if_due()
    watchdog(bench, notification, "resolved")
    for _ in range(20):
        bench.clock.advance(60)
        assert not heart.beat_if_due()
    assert bench.metric("handrail_watchdog_last_heard_timestamp_seconds") == bench.clock.now().timestamp() - 1200


def test_a_watchdog_that_waited_for_a_restart_is_no_sign_of_life(bench, notification, service):
    """It counts from when it came, and it came too long ago."""
    _, url = service
    bench.alert(notification(alertname="HandrailWatchdog", severity="info"))
    bench.clock.advance(600)
    bench.restart()
    bench.drain()
    assert bench.metric("handrail_watchdog_last_heard_timestamp_seconds") == bench.clock.now().timestamp() - 600
    assert not heart_of(bench, url).beat_if_due()


@pytest.mark.parametrize("trouble", ["status", "nobody listens", "no file", "no url"])
def test_a_beat_that_fails_is_tried_with_the_next_watchdog_and_tells_no_secret(bench, notification, service, trouble):
    """The URL stands in no log: who has it can keep the service quiet."""
    outside, url = service
    good = url.file.read_text()
    outside.status = 503 if trouble == "status" else 200
    broken = {"nobody listens": f"http://127.0.0.1:{free_port()}{PATH}", "no file": "", "no url": PATH}
    url.file.write_text(broken.get(trouble, good))
    said = io.StringIO()
    logs.configure(said)
    heart = heart_of(bench, url)
    watchdog(bench, notification)
    assert not heart.beat_if_due()
    assert '"subject": "heartbeat"' in said.getvalue()
    assert "the-secret" not in said.getvalue()
    outside.status = 200
    url.file.write_text(good)
    assert not heart.beat_if_due()
    bench.clock.advance(60)
    watchdog(bench, notification)
    assert heart.beat_if_due()


def test_beats_are_counted_and_only_a_team_that_wants_them_has_them(bench, notification, service, tmp_path):
    """The settings alone make the receiver beat."""
    outside, url = service
    assert "heartbeat" not in bench.receiver.loops
    assert bench.metric('handrail_heartbeats_total{outcome="sent"}') == 0
    heartbeat = parse(MINIMAL + f"notify: {{heartbeat: {{url_file: {url.file}}}}}\n").notify.heartbeat
    notify = bench.settings.notify.model_copy(update={"heartbeat": heartbeat})
    bench.settings = bench.settings.model_copy(update={"notify": notify})
    bench.restart()
    watchdog(bench, notification)
    stop = threading.Event()
    thread = threading.Thread(target=bench.receiver.loops["heartbeat"], args=(stop,))
    thread.start()
    try:
        until(lambda: bench.metric('handrail_heartbeats_total{outcome="sent"}'), "the beat")
    finally:
        stop.set()
        thread.join()
    assert outside.beats == 1


@pytest.mark.tools
def test_the_beat_follows_a_real_alertmanager(own_alertmanager: Path, tmp_path: Path, service) -> None:
    """From the alert that Prometheus keeps posting to the service outside; when it stops posting, the beat ends."""
    service_outside, url = service
    (tmp_path / "token").write_text("token")
    port = free_port()
    settings = parse(
        MINIMAL + "notify: {group_wait: 0s, group_interval: 1s}\n"
        f"receiver: {{listen: '127.0.0.1:{port}', database_url: 'sqlite:///{tmp_path}/receiver.sqlite', "
        f"webhook_token_file: {tmp_path}/token, operator_token_file: {tmp_path}/token}}\n"
    )
    render(settings, tmp_path, SecretFiles.of(settings, lambda _, secret: secret.file or tmp_path))
    hurry(tmp_path / "alertmanager.yml")
    with build_client() as client:
        receiver = assemble(settings, clock=SystemClock(), port=None, switches={}, prometheus=client, exporter=client)
        intake = receiver.intake
        heart = Heart(
            url,
            build_client,
            SystemClock(),
            every_s=1,
            heard=lambda: intake.heartbeats.last,
            count=lambda outcome: None,
            logger=logs.get_logger("receiver"),
        )
        loops = {**receiver.loops, "heartbeat": heart.run}
        with running(receiver.app, port, loops), started(own_alertmanager, tmp_path / "alertmanager.yml", client) as at:
            for _ in range(2):
                before = service_outside.beats
                until(lambda before=before: keep_alive(client, at) and service_outside.beats > before, "a beat")
            # Prometheus is gone: what it posted last ends by itself.
            until(lambda: not client.get(f"{at}/api/v2/alerts").json(), "the end of the alert")
            until(lambda: all_decided(receiver.engine), "the decision on what it told until then")
            last = intake.heartbeats.last
            # What begins and ends after that takes two looks of Alertmanager, and the watchdog would come at either.
            for ended in (False, True):
                taken = accepted(client, port)
                client.post(f"{at}/api/v2/alerts", json=[alert(OTHER, "later", ended=ended)]).raise_for_status()
                until(lambda taken=taken: accepted(client, port) > taken, "another notification")
                until(lambda: all_decided(receiver.engine), "the decision on it")
            assert intake.heartbeats.last == last
        receiver.engine.dispose()


def hurry(configuration: Path) -> None:
    """The watchdog every second instead of every minute."""
    document = yaml.safe_load(configuration.read_text())
    (route,) = (route for route in document["route"]["routes"] if route["receiver"] == "watchdog")
    route |= {"group_interval": "1s", "repeat_interval": "500ms"}
    configuration.write_text(yaml.safe_dump(document))


def keep_alive(client: HttpClient, at: str) -> bool:
    """Post the watchdog as Prometheus does: it ends by itself unless it is posted again."""
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    said = alert(WATCHDOG, "alive") | {"endsAt": soon}
    return client.post(f"{at}/api/v2/alerts", json=[said]).is_success


def accepted(client: HttpClient, port: int) -> float:
    """How many notifications the receiver took."""
    lines = client.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if 'notifications_total{outcome="accepted"}' in line)


def all_decided(engine: Engine) -> bool:
    """Is nothing left in the inbox?"""
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).where(inbox.c.processed_at.is_(None))) == 0


@contextmanager
def running(app: FastAPI, port: int, loops: Mapping[str, Loop]) -> Iterator[None]:
    """The receiver on its port, with everything that runs beside it."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))
    stop = threading.Event()
    threads = [threading.Thread(target=server.run)]
    threads += [threading.Thread(target=loop, args=(stop,)) for loop in loops.values()]
    for thread in threads:
        thread.start()
    try:
        until(lambda: server.started, "the receiver")
        yield
    finally:
        server.should_exit = True
        stop.set()
        for thread in threads:
            thread.join()
