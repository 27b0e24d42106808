"""A headless Chromium, driven over its DevTools protocol by the websocket client that is here anyway."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

START_S, STEP_S = 60.0, 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP hub.test 127.0.0.1",
    "--remote-debugging-port=0",
)


def chromium_or_skip() -> str:
    """The program; without it the test is skipped, or fails under ``WATTLINE_REQUIRE_ALL=1``."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is not None:
        # Debian's launcher is a shell script that looks below /usr; the program itself needs no such place
        program = Path(found).parent.parent / "lib" / "chromium" / "chromium"
        return str(program) if program.exists() else found
    if os.environ.get("WATTLINE_REQUIRE_ALL") == "1":
        pytest.fail("chromium is not installed, and WATTLINE_REQUIRE_ALL=1 asks for it")
    pytest.skip("chromium is not installed")


class Tab:
    """One page. ``requests`` are the addresses it asked for, ``faults`` what went wrong in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self.requests: list[str] = []
        self.faults: list[str] = []
        self._socket = socket
        self._session = session
        self._ids = itertools.count(1000)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Take what the browser says until it goes away."""
        async for message in self._socket:
            told = message.json()
            if "id" in told and told["id"] in self._answers:
                self._answers.pop(told["id"]).set_result(told)
            self._note(told.get("method", ""), told.get("params", {}))

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(params["url"])
        elif method == "Runtime.exceptionThrown":
            self.faults.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["source"] in (
            "security",
            "javascript",
            "violation",
        ):
            self.faults.append(params["entry"]["text"])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its result."""
        command_id = next(self._ids)
        answer = self._answers[command_id] = asyncio.get_running_loop().create_future()
        message = {"id": command_id, "method": method, "params": params, "sessionId": self._session}
        await self._socket.send_json(message)
        told = await asyncio.wait_for(answer, STEP_S)
        if "error" in told:
            raise AssertionError(f"{method}: {told['error']}")
        result: dict[str, Any] = told["result"]
        return result

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise AssertionError(f"{script}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def until(self, script: str) -> Any:
        """The value of an expression as soon as it is true; one that fails is not true yet."""
        patient = f"(() => {{ try {{ return {script}; }} catch {{ return null; }} }})()"
        end_s = time.monotonic() + STEP_S
        while time.monotonic() < end_s:
            if value := await self.evaluate(patient):
                return value
            await asyncio.sleep(0.05)
        text = await self.evaluate("document.body.innerText")
        raise AssertionError(f"never true: {script}\n{text}\n{self.faults}")

    async def open(self, url: str) -> None:
        """Load a page."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def look(self, *, width: int = 1280, height: int = 800, **media: str) -> None:
        """Be a screen of this size with these preferences, such as ``prefers_color_scheme="dark"``."""
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        await self.send("Emulation.setEmulatedMedia", features=features)
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def picture(self, file: Path, *, whole: bool = True) -> None:
        """Keep the page, or what of it is on the screen, as PNG to look at."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def a_tab(profile: Path) -> AsyncIterator[Tab]:
    """A tab of a fresh browser that keeps its files in ``profile``."""
    program = chromium_or_skip()
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={profile}", "about:blank", stdout=quiet, stderr=quiet
    )
    try:
        async with aiohttp.ClientSession() as client, client.ws_connect(await _address(profile)) as socket:
            tab = await _first_tab(socket)
            listening = asyncio.create_task(tab.listen())
            for domain in ("Page", "Runtime", "Network", "Log"):
                await tab.send(f"{domain}.enable")
            yield tab
            with suppress(AssertionError, TimeoutError):
                await tab.send("Browser.close")
            listening.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _address(profile: Path) -> str:
    """Where the browser listens, as it writes into a file."""
    file = profile / "DevToolsActivePort"
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        lines = file.read_text().split() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        await asyncio.sleep(0.05)
    raise AssertionError("chromium did not start")


async def _first_tab(socket: aiohttp.ClientWebSocketResponse) -> Tab:
    await socket.send_json({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}})
    target = (await _answer(socket, 1))["targetId"]
    params = {"targetId": target, "flatten": True}
    await socket.send_json({"id": 2, "method": "Target.attachToTarget", "params": params})
    return Tab(socket, (await _answer(socket, 2))["sessionId"])


async def _answer(socket: aiohttp.ClientWebSocketResponse, command_id: int) -> dict[str, Any]:
    while True:
        told = await socket.receive_json(timeout=STEP_S)
        if told.get("id") == command_id:
            result: dict[str, Any] = told["result"]
            return result
