"""Certificates: what a server shows and asks for, and what its clients check it by and show in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from handrail.fields import Model


class ReceiverTls(Model):
    """TLS of the receiver. The last three go into the configurations of Prometheus and Alertmanager.

    With `client_ca_file` every connection must show a certificate of that authority. Without `ca_file` the clients
    check the receiver by their machine's own authorities.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None

    @model_validator(mode="after")
    def _clients_can_come_in(self) -> Self:
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError("client_cert_file and client_key_file belong together; give both or neither")
        if self.client_ca_file is not None and self.client_cert_file is None:
            raise ValueError(
                "client_ca_file refuses whoever shows no certificate; give Prometheus and Alertmanager one with "
                "client_cert_file and client_key_file"
            )
        return self
