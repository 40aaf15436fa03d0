"""The health check inside a container: exit code 0 when the part on this port answers 200. A script; imports nothing.

`python -IS healthy.py PORT`: it runs every few seconds, so it loads as little as can be.
"""

from __future__ import annotations

import http.client
import sys


def healthy(port: int) -> bool:
    """Does `/-/healthy` answer 200? A part with TLS, which may ask for a certificate, is not asked here."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    raise SystemExit(0 if healthy(int(sys.argv[1])) else 1)
