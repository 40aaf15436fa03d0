"""An engine that has the images which `make up` needs, as tests and benchmarks of the containers want it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stack import docker
from stack.in_containers import IMAGE
from stack.tools import ToolMissing
from tests.compose import engine as engines
from tests.compose import stand_ins
from tests.compose.engine import Engine, NoEngine

Say = Callable[[str], None]
# RUNTIME goes away: what is tested is what `make up` chooses by itself.
_VARIABLES = ("DOCKER_HOST", "DOCKER_CONFIG", "RUNTIME")


@contextlib.contextmanager
def usable_engine(state: Path, say: Say, *, install: bool) -> Iterator[Engine]:
    """While the block runs; NoEngine says why there is none. What is made once lies in `state`/containers."""
    cache = state / "containers"
    cache.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(_restore, {name: os.environ.get(name) for name in _VARIABLES})
        os.environ.pop("RUNTIME", None)
        engines.check(install=install, say=say)
        running = Engine(cache, own=not engines.answers())
        stack.callback(running.close)
        try:
            made = _prepare(running, cache, state, say)
        except ToolMissing as error:
            raise NoEngine(str(error)) from error
        if made and not running.own:
            # Nobody shall find them there and take them for the real ones.
            stack.callback(_forget_images, [IMAGE, *made])
        if reason := stand_ins.why_not_usable(stand_ins.base_image()):
            raise NoEngine(reason)
        yield running


def _prepare(running: Engine, cache: Path, state: Path, say: Say) -> list[str]:
    with ThreadPoolExecutor(1) as pool:
        base = pool.submit(stand_ins.tarball, cache, say)
        if running.own:
            running.start()
            running.empty()
        engines.install_compose(cache)
        return stand_ins.make(base.result(), cache, state, say)


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _forget_images(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(docker.DockerFailed):
            docker.run("image", "rm", name, timeout_s=60)
