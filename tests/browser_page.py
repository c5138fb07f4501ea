"""A headless browser and a server of static files, for tests of the drawing page."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, sync_playwright

BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"]


def find_browser() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    # CI installs one, so there a missing browser is a defect; elsewhere it is the user's choice.
    refuse = pytest.fail if os.environ.get("CI") else pytest.skip
    return refuse(
        f"expected one of {', '.join(BROWSERS)} on the PATH, to look at a page with; "
        "found none. Debian: apt-get install chromium-headless-shell"
    )


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """The URL of a server of this folder's files, on this machine alone."""
    # Some systems' tables lack them, and a browser runs no module of another type.
    QuietHandler.extensions_map |= {".js": "text/javascript", ".mjs": "text/javascript"}
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running_browser() -> Iterator[Browser]:
    path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def offline_context(browser: Browser, url: str, **options: object) -> BrowserContext:
    """A fresh window whose requests reach nothing but `url`."""

    def answer(route: Route) -> None:
        if route.request.url.startswith((url, "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    context = browser.new_context(**options)  # type: ignore[arg-type]
    context.route("**/*", answer)
    return context


def open_page(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """The page once its network is loaded, and what goes wrong in it from the start."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    page.goto(url)
    try:
        page.wait_for_selector("body[data-state=ready]", timeout=20_000)
    except Error as error:
        raise AssertionError(f"{page.inner_text('body')}\n{faults}") from error
    return page, faults
