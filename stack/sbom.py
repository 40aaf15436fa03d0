"""What the image is made of, as a bill of materials in CycloneDX 1.6: same content, same document but for its time."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)

Component = Mapping[str, str]


def python_libraries(lock: str) -> list[Component]:
    """One component for each library that a lock file pins."""
    return [_component(name, version, f"pkg:pypi/{name}@{version}") for name, version in _LOCKED.findall(lock)]


def debian_packages(listed: str) -> list[Component]:
    """From lines of package, version and architecture, as dpkg-query prints them in the image."""
    rows = (line.split() for line in listed.splitlines() if line.strip())
    return [
        _component(name, version, f"pkg:deb/debian/{name}@{version.replace(':', '%3A')}?arch={architecture}")
        for name, version, architecture in rows
    ]


def document(version: str, components: Iterable[Component], *, now: datetime) -> str:
    """The bill of materials of Handrail in this version."""
    found = sorted(components, key=lambda one: one["purl"])
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([version, found]))
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{identity}",
            "version": 1,
            "metadata": {
                "timestamp": now.isoformat(timespec="seconds"),
                "component": {
                    "type": "application",
                    "bom-ref": "handrail",
                    "name": "handrail",
                    "version": version,
                    "licenses": [{"license": {"id": "Apache-2.0"}}],
                },
            },
            "components": found,
            "dependencies": [{"ref": "handrail", "dependsOn": [one["bom-ref"] for one in found]}],
        },
        indent=1,
    )


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
