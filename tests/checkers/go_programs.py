"""Checkers that are written in Go, built from pinned versions into .handrail/go/bin; GoMissing says why there is none.

Not `go install NAME@VERSION`: that asks for the list of all versions, which not every module proxy has, and refuses a
module that replaces another. Built in its own folder, a module uses the dependencies that its own go.sum pins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_DOWNLOAD_S = 300
_BUILD_S = 840


class GoMissing(Exception):
    """There is no Go, or the module proxy does not have the module."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module at the version that was tried, with the hash that Go itself computes of it."""

    path: str
    version: str
    hash: str


PINT = Module("github.com/cloudflare/pint", "v0.87.0", "h1:2C10PWYnYOR2LuZYx+SSAfcGnCol4HbvwF8yGGa4tRM=")
# It has no releases. Go compares what it downloads with the public checksums in any case.
MIXTOOL = Module("github.com/monitoring-mixins/mixtool", "v0.0.0-20260629085351-496ea9a28ba9", "")
# Only its CRDs are read.
OPERATOR = Module(
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)


def source(module: Module, folder: Path) -> Path:
    """The folder of the module's source; `folder` is where Go may run."""
    go = shutil.which("go")
    if go is None:
        raise GoMissing("there is no Go on the PATH")
    (folder / "go.mod").write_text("module checkers\n")
    name = f"{module.path}@{module.version}"
    done = _go(folder, _DOWNLOAD_S, "mod", "download", "-json", name)
    answer = json.loads(done.stdout) if done.stdout.startswith("{") else {"Error": done.stderr.strip()}
    if error := answer.get("Error"):
        raise GoMissing(f"{name} cannot be had: {error.splitlines()[0].rpartition(': ')[2]}")
    if module.hash and answer["Sum"] != module.hash:
        raise AssertionError(f"{name} is not what it was: {answer['Sum']}")
    return Path(answer["Dir"])


def program(module: Module, *, bin_folder: Path, folder: Path) -> Path:
    """The program of the module's last name, built once for each version; one on the PATH or in HANDRAIL_TOOLS wins."""
    name = module.path.rpartition("/")[2]
    if found := shutil.which(name, path=os.pathsep.join([os.environ.get("HANDRAIL_TOOLS", ""), os.environ["PATH"]])):
        return Path(found)
    built = bin_folder / f"{name}-{module.version}"
    if not built.exists():
        code = source(module, folder)
        new = folder / name
        done = _go(code, _BUILD_S, "build", "-o", str(new), f"./cmd/{name}")
        if done.returncode:
            raise GoMissing(f"{name} {module.version} could not be built: {done.stderr[-300:]}")
        bin_folder.mkdir(parents=True, exist_ok=True)
        shutil.move(new, built)
    return built


def _go(folder: Path, limit: float, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["go", *arguments], cwd=folder, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise GoMissing(f"go {arguments[0]} took longer than {limit:.0f} s") from error
