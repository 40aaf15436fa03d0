"""The end: processes where an image is not to be had, with the reason, and nothing left when all is stopped."""

from __future__ import annotations

import pytest

from stack import docker

pytestmark = pytest.mark.compose


def test_processes_take_over_where_an_image_is_not_to_be_had_and_the_reason_is_told(line, engine):
    """The containers end, the same world runs without them, and `make status` shows it."""
    if not engine.own:
        pytest.skip("the engine is the machine's own, whose images are left alone")
    project, image = line.chosen.project, docker.services(simulated=True)["prometheus"]
    found = docker.run("image", "inspect", "--format", "{{.Id}}", image).strip()
    docker.run("tag", image, "kept-for-later")
    docker.run("image", "rm", "--no-prune", image)
    try:
        line.say(f"take {image} away, make up")
        done = line.up()
    finally:
        docker.run("tag", found, image)
        docker.run("image", "rm", "kept-for-later")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Processes of this machine, no containers: not all images are to be had" in done.stdout
    assert not left(project)
    status = line.status()
    assert status.returncode == 0, status.stdout
    assert len([row for row in status.stdout.splitlines() if " yes " in row]) == 5


def test_nothing_is_left_when_all_is_stopped(line):
    """`make down` ends whatever runs; of the simulated world not even volumes stay."""
    project = line.chosen.project
    done = line.down()
    assert done.returncode == 0, done.stderr
    assert not left(project)
    assert line.status().returncode == 1


def left(project):
    """What the engine has of a project."""
    mine = f"label=com.docker.compose.project={project}"
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return {kind[0]: found for kind in kinds if (found := docker.run(*kind, "--quiet", "--filter", mine).split())}
