"""Behind a proxy that strips a prefix, what the server refers to still holds."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
import yaml

from db.demo import FIRST_WORKSPACE
from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, Mint
from tests.live import serving
from tests.nginx import MISSING, NGINX, stripping_prefix

pytestmark = pytest.mark.skipif(NGINX is None, reason=MISSING)


@pytest.fixture(scope="module")
def address(sqlite_demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("nginx")
    settings = Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)
    with serving(settings) as served, stripping_prefix(folder, served.port) as proxied:
        yield proxied


def test_link_leads_through_all_pages(address: str, mint: Mint) -> None:
    url: str | None = f"{address}/v1/workspace/{FIRST_WORKSPACE}/sessions?limit=50&status=completed"
    pages = []
    with httpx.Client(headers={"Authorization": f"Bearer {mint()}"}) as client:
        whole = client.get(f"{address}/v1/workspace/{FIRST_WORKSPACE}/sessions?status=completed").json()["sessions"]
        while url:
            response = client.get(url)
            assert response.status_code == 200
            pages.append(response.json()["sessions"])
            following = response.links.get("next")
            url = urljoin(url, following["url"]) if following else None
    assert len(pages) > 1
    assert [session for page in pages for session in page] == whole


@pytest.mark.parametrize("name", ["openapi.yaml", "openapi.json"])
def test_the_server_url_of_the_contract_leads_to_the_operation(address: str, mint: Mint, name: str) -> None:
    document = yaml.safe_load(httpx.get(f"{address}/{name}").content)
    server = urljoin(f"{address}/{name}", document["servers"][0]["url"])
    (path,) = document["paths"]
    url = server.rstrip("/") + path.format(workspaceId=FIRST_WORKSPACE)
    assert httpx.get(url, headers={"Authorization": f"Bearer {mint()}"}).status_code == 200


@pytest.mark.parametrize("page", ["", "/", "/docs/"])
def test_a_redirect_stays_below_the_prefix(address: str, page: str) -> None:
    response = httpx.get(f"{address}{page}", headers={"Accept": "text/html"}, follow_redirects=True)
    assert response.status_code == 200
    assert "Workspace Sessions API" in response.text
    assert str(response.url).startswith(f"{address}/")
