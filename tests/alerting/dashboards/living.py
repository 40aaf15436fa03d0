"""A simulated world that goes on: a real Prometheus with the rendered rules scrapes it, a real Alertmanager is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import yaml

from alerting.render import render
from alerting.secret_files import SecretFiles
from drill.simulators.wire import serve
from handrail.http import HttpClient, build_client, read_json
from tests.alerting.dashboards.boards import EVERYTHING, Chosen, Query
from tests.alerting.dashboards.past import EXPORTER, RECEIVER, target
from tests.alerting.dashboards.recorded import running
from tests.alerting.dashboards.world import World
from tests.alerting.receiver.conftest import TOKENS
from tests.alerting.running_alertmanager import free_port, started


class Asked:
    """Puts the dashboards' questions to a Prometheus, as Grafana does."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client

    def __call__(self, query: Query, at: float, chosen: Chosen = EVERYTHING) -> list[dict[str, Any]]:
        """The series that it gives; an error fails the test."""
        form = {"query": query.filled(chosen=chosen)}
        # The last step is now.
        start = at - query.span_s // query.step_s * query.step_s
        times = {"time": at} if query.instant else {"start": start, "end": at, "step": query.step_s}
        path = "/api/v1/query" if query.instant else "/api/v1/query_range"
        found = read_json(self.client.post(path, data=form | times))
        assert found["status"] == "success", (query.where, found, form)
        return list(found["data"]["result"])


@contextmanager
def living(world: World, prometheus: Path, alertmanager: Path, storage: Path, folder: Path) -> Iterator[Asked]:
    """The world while the machine's clock is its own; asks Prometheus, which had `storage` from before."""
    folder.mkdir(parents=True, exist_ok=True)
    world.clock.time = None
    with ExitStack() as stack:
        served = {job: stack.enter_context(serve(_page(world, job))).url for job in (EXPORTER, RECEIVER)}
        (folder / "alertmanager").mkdir()
        told = folder / "alertmanager" / "alertmanager.yml"
        told.write_text(yaml.safe_dump(_telling(served[RECEIVER])))
        telling = stack.enter_context(started(alertmanager, told, stack.enter_context(build_client())))
        configuration = folder / "prometheus.yml"
        settings = world.bench.settings
        secrets = SecretFiles.of(settings, lambda _, secret: secret.file or folder)
        render(settings, folder / "rendered", secrets)
        own = free_port()
        urls = served | {"alertmanager": telling, "prometheus": f"http://127.0.0.1:{own}"}
        configuration.write_text(yaml.safe_dump(_watching(urls, folder / "rendered")))
        yield Asked(stack.enter_context(running(prometheus, storage, configuration, own)))


def _page(world: World, job: str):
    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            start("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
            return [world.pages()[job]]
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        headers = {"authorization": environ["HTTP_AUTHORIZATION"]}
        taken = world.bench.client.post(environ["PATH_INFO"], content=body, headers=headers)
        start(f"{taken.status_code} {taken.reason_phrase}", [("Content-Type", "application/json")])
        return [taken.content]

    return answer


def _telling(receiver: str) -> dict[str, object]:
    """The receiver is told everything, once with its token and once with another one."""
    url = f"{receiver}/v1/alerts"

    def webhook(token: str) -> dict[str, object]:
        return {"url": url, "http_config": {"authorization": {"credentials": token}}}

    route = {"receiver": "known", "group_by": ["..."], "group_wait": "1s", "group_interval": "1s"}
    return {
        "route": route | {"routes": [{"receiver": "unknown", "continue": True}, {"receiver": "known"}]},
        "receivers": [
            {"name": "known", "webhook_configs": [webhook(TOKENS["webhook"])]},
            {"name": "unknown", "webhook_configs": [webhook("another-token")]},
        ],
    }


def _watching(urls: Mapping[str, str], rendered: Path) -> dict[str, object]:
    addresses = {job: url.removeprefix("http://") for job, url in urls.items()}
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [address], "labels": {"instance": target(job)["instance"]}}]}
        for job, address in addresses.items()
    ]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rendered / "rules" / "handrail.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [addresses["alertmanager"]]}]}]},
        "scrape_configs": jobs,
    }
