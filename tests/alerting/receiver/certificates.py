"""An authority and certificates of it, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


class Authority:
    """Signs certificates into its folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl here (Debian: apt-get install openssl)")
        folder.mkdir(exist_ok=True)
        self._folder, self.cert, self._key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        self._openssl("req", "-x509", *self._new(self._key), "-out", self.cert, "-subj", f"/CN={name}", "-days", "2")

    def sign(self, name: str, host: str | None = None) -> tuple[Path, Path]:
        """A certificate for `host`, or of a client, and its key."""
        cert, key, request = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        self._openssl("req", *self._new(key), "-out", request, "-subj", f"/CN={name}")
        extension = self._folder / f"{name}.ext"
        extension.write_text(f"subjectAltName=DNS:{host}\n" if host else "extendedKeyUsage=clientAuth\n")
        signed_by = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial", "-days", "2", "-extfile", extension)
        self._openssl("x509", "-req", "-in", request, "-out", cert, *signed_by)
        return cert, key

    @staticmethod
    def _new(key: Path) -> tuple[str | Path, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)

    @staticmethod
    def _openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
