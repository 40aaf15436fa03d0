"""`handrail render`: the rules, Alertmanager's and Prometheus' configuration from the team's file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from alerting.outputs.documents import CannotExpress, Output
from alerting.outputs.kubernetes import Kubernetes
from alerting.outputs.mimir import Mimir
from alerting.outputs.prometheus import PrometheusFiles
from alerting.render import SecretFiles
from alerting.render import render as render_configuration
from cli.configuration import config_option, load_or_exit
from handrail.secret import Secret
from handrail.settings import Settings

Labels = dict[str, str]


def _kubernetes(settings: Settings, namespace: str, labels: Labels) -> Output:
    if settings.receiver.tls is not None:
        raise CannotExpress("receiver.tls names files, which there are none of; leave TLS to the mesh or an ingress")
    return Kubernetes(namespace, labels, receiver_port=int(settings.receiver.listen.rpartition(":")[2]))


FORMATS: dict[str, Callable[[Settings, str, Labels], Output]] = {
    "prometheus": lambda _settings, _namespace, _labels: PrometheusFiles(),
    "kubernetes": _kubernetes,
    "mimir": lambda settings, _namespace, _labels: Mimir(f"{settings.receiver.public_url}/v1/alerts"),
}


def _labels(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Labels:
    if wrong := [value for value in values if not all(value.partition("="))]:
        raise click.BadParameter(f"{wrong[0]!r} is not a label; write e.g. release=prometheus", param=parameter)
    return dict((name, text) for name, _, text in (value.partition("=") for value in values))


@click.command()
@config_option
@click.option(
    "--to", "target", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write."
)
@click.option(
    "--for",
    "format_",
    type=click.Choice(list(FORMATS)),
    default="prometheus",
    show_default=True,
    help="Who reads it: Prometheus and Alertmanager from files, the Prometheus operator, or Grafana Mimir.",
)
@click.option("--namespace", help="With --for kubernetes: the namespace of all resources.  [default: monitoring]")
@click.option(
    "--label", "labels", multiple=True, callback=_labels, metavar="NAME=VALUE",
    help="With --for kubernetes: a label for all resources; may be given several times.",
)  # fmt: skip
def render(config: Path, target: Path, format_: str, namespace: str | None, labels: Labels) -> None:
    """Write the rules and configurations for Prometheus and Alertmanager."""
    if format_ != "kubernetes" and (namespace or labels):
        raise click.UsageError("--namespace and --label go with --for kubernetes only")
    settings = load_or_exit(config)
    secret_files = SecretFiles.of(settings, _file)
    try:
        output = FORMATS[format_](settings, namespace or "monitoring", labels)
        render_configuration(settings, target, secret_files, output)
    except CannotExpress as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"written to {target}")


def _file(_: str, secret: Secret) -> Path:
    if secret.file is None:
        raise click.UsageError("Alertmanager reads secrets from files only: name them with …_file, not …_env")
    return secret.file
