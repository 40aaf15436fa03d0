"""The health check inside a container: exit code 0 when the part on this port answers 200. A script; imports nothing.

`python -IS healthy.py PORT [http|https]`: it runs every few seconds, so it loads as little as can be.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys

_SHOWN = "/run/secrets/receiver.tls.client"


def healthy(port: int, scheme: str) -> bool:
    """Does `/-/healthy` answer 200?"""
    connection = _secured(port) if scheme == "https" else http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _secured(port: int) -> http.client.HTTPConnection:
    context = ssl.create_default_context()
    # The certificate is made out to another name, and on loopback nobody else answers.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(FileNotFoundError):  # the receiver may want to see one
        context.load_cert_chain(f"{_SHOWN}_cert", f"{_SHOWN}_key")
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=3, context=context)


if __name__ == "__main__":
    raise SystemExit(0 if healthy(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "http") else 1)
