"""Writes the OpenAPI document to standard output: `make generate` keeps it in `docs/openapi.json`."""

from __future__ import annotations

import json
import sys

from alerting.receiver.web import interface

if __name__ == "__main__":
    sys.stdout.write(json.dumps(interface(), indent=1, ensure_ascii=False) + "\n")
