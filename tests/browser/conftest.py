"""A real server and a real Chromium. Each server is stopped by its own process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.settings import PROJECT, Settings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PATIENCE = 180.0  # s; far more than any step needs: a busy machine must not fail a test
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a turning shape …
    "--use-fake-ui-for-media-stream",  # … and may be used without a question
]
QUIET = ("/_stcore/health", "/_stcore/host-config")  # asked by Streamlit beside a deep link: 404


class Server:
    """`streamlit run app.py` on a free port, with settings of its own."""

    program: Sequence[str] = ("run", "app.py")

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings, self.log = settings, log
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", *self.program, "--server.headless=true",
                 f"--server.port={self.port}"],
                cwd=PROJECT,
                env={**os.environ, **self.settings.to_environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        until(self._answers)

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(30)

    @property
    def has_tensorflow(self) -> bool:
        """Whether TensorFlow's library is mapped into the web server's own memory."""
        assert self.process is not None
        return "libtensorflow" in Path(f"/proc/{self.process.pid}/maps").read_text()

    def _answers(self) -> bool:
        with suppress(OSError):  # no answer, or none within the time
            return urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).status == 200
        return False


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail only when it plainly never will."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s"
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, shared: Path, sample_folder: Path) -> Settings:
    """One home, with the sample, for all browser tests of a process: what is loaded for one serves
    the next."""
    home = tmp_path_factory.mktemp("browser") / "home"
    settings = Settings(home=home, keras_home=shared / "keras")
    shutil.copytree(sample_folder, settings.datasets / SAMPLE_NAME)
    return settings


@pytest.fixture(scope="session")
def server(real: Settings) -> Iterator[Server]:
    yield from _serving(real)


@pytest.fixture
def fresh_server(tmp_path: Path, shared: Path) -> Iterator[Server]:
    """A server that nobody has asked anything, on an empty home."""
    yield from _serving(Settings(home=tmp_path / "home", keras_home=shared / "keras"))


def _serving(settings: Settings) -> Iterator[Server]:
    server = Server(settings, settings.home.with_name("server.log"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """Debian's own Chromium: nothing is downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """One tab, and what went wrong in it."""

    def __init__(self, page: playwright.Page, server: Server) -> None:
        self.page, self.server = page, server
        self.errors: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(PATIENCE * 1000)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.server.url + path)
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run, and look whether it failed."""
        idle = self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
        for _ in range(3):  # a widget may ask for one more run
            idle.wait_for()
            self.page.wait_for_timeout(250)
        assert self.page.locator("[data-testid=stException]").count() == 0
        assert not self.server.has_tensorflow

    def choose(self, title: str, option: str) -> None:
        self.page.get_by_role("combobox", name=title).first.click()
        self.page.get_by_role("option", name=option).first.click()
        self.settle()

    def fill(self, title: str, value: str) -> None:
        field = self.page.get_by_role("spinbutton", name=title)
        field.fill(value)
        field.blur()

    def press(self, words: str) -> None:
        self.page.mouse.move(2, 2)  # a tooltip of what was clicked before may lie over the button
        self.page.get_by_role("button", name=words, exact=True).click()
        self.settle()

    def go(self, name: str) -> None:
        """Follow a link of the shell's navigation."""
        side = self.page.locator("[data-testid=stSidebar]")
        side.get_by_role("link", name=name).click()
        self.settle()

    def _note(self, message: playwright.ConsoleMessage) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and not place.endswith(QUIET):
            self.errors.append(f"{message.text} {place}")


@pytest.fixture
def tab(chromium: playwright.Browser, server: Server) -> Iterator[Tab]:
    yield from _opened(chromium, server)


@pytest.fixture
def first_tab(chromium: playwright.Browser, fresh_server: Server) -> Iterator[Tab]:
    """The first visitor's."""
    yield from _opened(chromium, fresh_server)


def _opened(chromium: playwright.Browser, server: Server) -> Iterator[Tab]:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    yield Tab(context.new_page(), server)
    context.close()
