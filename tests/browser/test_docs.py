"""Swagger UI in a real browser: authorise, execute, read results and problems, on a desktop and on a phone.

Each test runs at the server's own address and behind an nginx that strips a prefix. It needs a Chromium and an nginx of the
system (Debian: `apt-get install chromium nginx-light`), which `.ci/run` installs. Screenshots are kept in `.browser`.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE, SECOND_WORKSPACE
from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, Mint
from tests.live import serving, until
from tests.nginx import MISSING, NGINX, PREFIX, stripping_prefix

CHROMIUM = shutil.which("chromium")
ARTEFACTS = Path(__file__).parents[2] / ".browser"
# Without these, it calls its maker's servers.
OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module", params=["", PREFIX], ids=["plain", "prefix"])
def address(request: pytest.FixtureRequest, sqlite_demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as running:
        served = running.enter_context(serving(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)))
        if not request.param:
            yield f"http://127.0.0.1:{served.port}"
        elif NGINX is None:
            pytest.skip(MISSING)
        else:
            yield running.enter_context(stripping_prefix(tmp_path_factory.mktemp("nginx"), served.port))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The documentation; a test fails on any error in the console, violations of the content security policy included."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    errors: list[str] = []
    # A response of 4xx that was asked for is logged as well.
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"{address}/docs")
    yield opened
    opened.close()
    assert [error for error in errors if "the server responded with a status of 4" not in error] == []


def authorise(page: Page, token: str) -> None:
    page.click("button.btn.authorize")
    page.fill(".modal-ux input", token)
    page.click(".auth-btn-wrapper button.authorize")
    page.click("button.btn-done")


def execute(page: Page) -> None:
    page.click("button.execute")
    page.wait_for_selector(".live-responses-table tbody .response-col_status")


def result(page: Page) -> str:
    return page.inner_text(".live-responses-table tbody")


def keep_screenshot(page: Page, width: int) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    prefix = urlsplit(page.url).path.removesuffix("/docs").replace("/", "-")
    page.screenshot(path=ARTEFACTS / f"docs{prefix}-{width}.png", full_page=True)


def test_a_newcomer_gets_the_documented_session_at_the_first_try(page: Page, address: str, mint: Mint) -> None:
    authorise(page, mint())
    execute(page)
    shown = result(page)
    assert shown.startswith("200")
    assert all(name in shown for name in DOCUMENTED_SESSION["serviceNames"])
    assert page.inner_text(".request-url pre").startswith(f"{address}/v1/")
    keep_screenshot(page, 1280)


def test_one_click_clears_the_filters_and_page_2_follows_by_its_cursor(page: Page, mint: Mint) -> None:
    authorise(page, mint())
    page.click("button.clear-filters")
    page.fill('tr[data-param-name="limit"] input', "2")
    execute(page)
    url = page.inner_text(".request-url pre")
    assert url.endswith(f"/v1/workspace/{FIRST_WORKSPACE}/sessions?limit=2")
    first = result(page)
    cursor = first.split("next-cursor:")[1].split()[0]
    page.fill('tr[data-param-name="cursor"] input', cursor)
    page.click("button.execute")
    expect(page.locator(".request-url pre")).to_contain_text(cursor)
    page.wait_for_function(
        "before => !document.querySelector('.live-responses-table tbody').innerText.includes(before)",
        arg=DOCUMENTED_SESSION["id"],
    )
    assert result(page) != first


def test_problems_can_be_read(page: Page, mint: Mint) -> None:
    page.click("button.clear-filters")
    execute(page)
    assert result(page).startswith("401")
    authorise(page, mint(workspaces=[SECOND_WORKSPACE]))
    page.click("button.execute")
    expect(page.locator(".live-responses-table tbody")).to_contain_text("The token does not cover this workspace.")


def test_a_bad_parameter_is_named(page: Page, mint: Mint) -> None:
    authorise(page, mint())
    page.fill('tr[data-param-name="dateFrom"] input', "2024")  # Swagger UI lets it pass: it is a date for JavaScript
    execute(page)
    shown = result(page)
    assert shown.startswith("400")
    assert '"name": "dateFrom"' in shown
    assert "must be an ISO 8601 date or date-time" in shown


def test_the_operation_is_open_and_shows_its_limits(page: Page) -> None:
    expect(page.locator("button.execute")).to_be_visible()
    assert "maximum" in page.inner_text('tr[data-param-name="limit"]').lower()


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    expect(page.locator("button.execute")).to_be_visible()
    until(lambda: page.evaluate("document.documentElement.scrollWidth") <= 390)
    keep_screenshot(page, 390)


def test_the_address_with_a_slash_and_the_bare_address_lead_on(page: Page, address: str) -> None:
    page.goto(f"{address}/docs/")
    expect(page.locator("button.execute")).to_be_visible()
    page.goto(address)
    page.click("text=Documentation")
    expect(page.locator("button.execute")).to_be_visible()


def test_without_javascript_the_page_names_the_contract(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(f"{address}/docs")
    assert "openapi.yaml" in opened.inner_text("body")
    context.close()
