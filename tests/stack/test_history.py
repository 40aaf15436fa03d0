"""Blocks come into the storage whole, all of them, also when moving them was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.history import HistoryFailed, complete, load

MAKES_TWO = """#!/bin/sh
for last; do :; done
for name in 01A 01B; do mkdir -p "$last/$name" && echo '{}' > "$last/$name/meta.json"; done
"""


def promtool(folder: Path, script: str) -> Path:
    """A program in the place of promtool; the real one is used in the tests of the whole way."""
    path = folder / "promtool"
    path.write_text(script)
    path.chmod(0o755)
    return path


def test_blocks_are_moved_into_the_storage(tmp_path: Path) -> None:
    """Beside what is there; nothing is left aside."""
    storage = tmp_path / "prometheus"
    (storage / "wal").mkdir(parents=True)
    assert load(promtool(tmp_path, MAKES_TWO), tmp_path / "x.om", storage) == 2
    assert sorted(path.name for path in storage.iterdir()) == ["01A", "01B", "wal"]
    assert not (tmp_path / "prometheus.history").exists()


def test_an_interrupted_move_is_completed_and_an_interrupted_making_is_not(tmp_path: Path) -> None:
    """Half of the blocks would be half a past."""
    storage, aside = tmp_path / "prometheus", tmp_path / "prometheus.history"
    for name in ("01A", "01B"):
        (aside / name).mkdir(parents=True)
        (aside / name / "meta.json").write_text("{}")
    assert complete(storage) == 0
    assert not storage.exists()
    (aside / "made").touch()
    (aside / "01A").rename(tmp_path / "moved already")
    assert complete(storage) == 1
    assert [path.name for path in storage.iterdir()] == ["01B"]
    assert complete(storage) == 0


def test_what_promtool_says_is_the_error(tmp_path: Path) -> None:
    """And nothing comes into the storage."""
    failing = promtool(tmp_path, "#!/bin/sh\necho 'out of disk' >&2\nexit 1\n")
    with pytest.raises(HistoryFailed, match="out of disk"):
        load(failing, tmp_path / "x.om", tmp_path / "prometheus")
    assert complete(tmp_path / "prometheus") == 0
