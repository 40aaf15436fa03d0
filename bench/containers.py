"""How large is the image, and how much memory does the stack take in containers? And what do containers add to it?

    python -m bench.containers

The simulated world runs twice at the same time, in containers and as processes, both by `make up`. It needs root and a
Docker Engine that answers or can be started; images are had as in `make test-compose`.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.measure import Row, print_rows
from stack import docker
from stack.in_containers import IMAGE
from stack.state import read
from tests.compose import stand_ins
from tests.compose.engine import NoEngine
from tests.compose.line import ROOT, Line
from tests.compose.usable import usable_engine

_OFFSETS = (4800, 4900)
# The first minutes of traffic are in, and what was needed only to start is given back.
_RUNS_S = 60
_ENGINE = ("dockerd", "containerd", "containerd-shim", "docker-proxy")


def rows() -> Iterator[Row]:
    """Nothing but a line that says why, where there can be no containers."""
    with ExitStack() as stack:
        try:
            stack.enter_context(usable_engine(ROOT / ".handrail", print, install=False))
        except NoEngine as error:
            print(f"containers: skipped ({error})")
            return
        inside, outside = (stack.enter_context(_up(*how)) for how in zip(("docker", "native"), _OFFSETS, strict=True))
        time.sleep(_RUNS_S)
        yield image()
        yield from limits(inside)
        parts = [one.pid for one in inside.compose.containers() if one.pid]
        same = [part.identity.pid for part in read(outside.state).parts if part.identity]
        contained, native = memory_of(parts), memory_of(same)
        yield Row("containers: memory of all parts", contained / native, "the same as processes", goal=1.5)
        yield Row(
            "containers: memory of the engine for them", memory_of(engine_pids()) / native, "the same as processes"
        )


def image() -> Row:
    """The image of ours, which holds all libraries."""
    size = [
        int(docker.run("image", "inspect", "--format", "{{.Size}}", tag)) for tag in (IMAGE, stand_ins.base_image())
    ]
    return Row("containers: size of the image", size[0] / size[1], "its base image", goal=2)


def limits(line: Line) -> Iterator[Row]:
    """What each part takes of the memory that its container may have, without what the kernel keeps of files."""
    services = {line.name(one.service): one.service for one in line.compose.containers()}
    said = docker.run("stats", "--no-stream", "--format", "{{json .}}", *services, timeout_s=30)
    for found in sorted(map(json.loads, said.splitlines()), key=lambda one: str(one["Name"])):
        share = float(found["MemPerc"].rstrip("%")) / 100
        yield Row(f"containers: memory of {services[found['Name']]}", share, "its limit", goal=0.5)


def memory_of(pids: Iterable[int]) -> float:
    """The bytes of these processes; what several share counts in parts."""
    return sum(1024 * float(match.group(1)) for pid in pids if (match := _PSS.search(_rollup(pid))))


_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def _rollup(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return ""  # a process that ended meanwhile has none


def engine_pids() -> Sequence[int]:
    """The engine, and what it starts for each container and each port."""
    names = {path.parent.name: path.read_text(encoding="utf-8") for path in Path("/proc").glob("[0-9]*/comm")}
    return [int(pid) for pid, name in names.items() if name.startswith(_ENGINE)]


@contextmanager
def _up(runtime: str, offset: int) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder) / f"bench-{runtime}" / ".handrail", offset, print)
        line.state.parent.mkdir()
        try:
            done = line.up("--runtime", runtime)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            yield line
        finally:
            line.down()
            line.close()


if __name__ == "__main__":
    print_rows(rows())
