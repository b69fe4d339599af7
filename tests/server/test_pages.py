"""What is served outside the contract."""

from typing import Any

import httpx
import pytest
import yaml

from openapi.contract import CONTRACT, load
from tests.conftest import ClientOf


@pytest.fixture
def client(client_of: ClientOf, database_url: str) -> httpx.Client:
    return client_of(database_url)


def test_the_contract_is_served_as_it_was_written(client: httpx.Client) -> None:
    response = client.get("/openapi.yaml")
    assert response.content == CONTRACT.read_bytes()
    assert response.headers["content-type"] == "application/yaml"


def test_the_contract_is_served_as_json_with_the_same_content(client: httpx.Client) -> None:
    response = client.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == load().document == yaml.safe_load(CONTRACT.read_bytes())


def test_the_served_contract_holds_nothing_that_is_meant_for_programs_inside(client: httpx.Client) -> None:
    def extensions(item: Any) -> set[str]:
        match item:
            case dict():
                return {name for name in item if name.startswith("x-")}.union(*map(extensions, item.values()))
            case list():
                return set[str]().union(*map(extensions, item))
            case _:
                return set()

    client.get("/v1/workspace/w/sessions")  # whatever the framework notes while it serves
    for served in (client.get("/openapi.json").json(), yaml.safe_load(client.get("/openapi.yaml").content)):
        assert extensions(served) == {"x-required-scopes", "x-enum-varnames"}  # which readers and generators need


@pytest.mark.parametrize("path", ["/openapi.json", "/docs/swagger-ui-bundle.js"])
def test_a_page_can_be_revalidated(client: httpx.Client, path: str) -> None:
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_the_headers_of_a_page_have_its_size(client: httpx.Client) -> None:
    body = client.get("/docs/swagger-ui-bundle.js").content
    head = client.head("/docs/swagger-ui-bundle.js")
    assert head.headers["content-length"] == str(len(body))
    assert head.content == b""


def test_the_documentation_page_is_made_of_files_from_this_server_alone(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http" not in page.text.replace("<!DOCTYPE html>", "")
    for path, media_type in {
        "/docs/swagger-ui.css": "text/css",
        "/docs/swagger-ui-bundle.js": "text/javascript",
        "/docs/docs.js": "text/javascript",
        "/docs/docs.css": "text/css",
    }.items():
        assert path.removeprefix("/") in page.text
        asset = client.get(path)
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(media_type)
        assert asset.headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in asset.headers["content-security-policy"]


def test_swagger_ui_is_of_version_5(client: httpx.Client) -> None:
    assert 'PACKAGE_VERSION:"5.' in client.get("/docs/swagger-ui-bundle.js").text


@pytest.mark.parametrize("name", ["swagger.html", "..%2F..%2F__init__.py", "%2e%2e/__init__.py", "index.html"])
def test_no_other_file_can_be_asked_for(client: httpx.Client, name: str) -> None:
    response = client.get(httpx.URL("http://tests", raw_path=f"/docs/{name}".encode()))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/docs", "/healthz", "/readyz", "/metrics", "/openapi.yaml"])
def test_a_line_feed_after_a_path_makes_it_another_path(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}%0A").status_code == 404


@pytest.mark.parametrize(("accepted", "media_type"), [("text/html,*/*;q=0.8", "text/html"), ("*/*", "text/plain")])
def test_the_bare_address_says_what_this_is_to_browsers_and_to_curl(
    client: httpx.Client, accepted: str, media_type: str
) -> None:
    response = client.get("/", headers={"Accept": accepted, "Host": "evil.example"})
    assert response.headers["content-type"].startswith(media_type)
    assert "openapi.yaml" in response.text
    assert "evil.example" not in response.text


def test_the_documentation_with_a_slash_leads_to_the_one_without_and_names_no_host(client: httpx.Client) -> None:
    response = client.get("/docs/", headers={"Host": "evil.example"})
    assert response.status_code == 307
    assert response.headers["location"] == "../docs"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_other_methods_than_get_and_head_are_405_on_every_page(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert response.headers["content-type"] == "application/problem+json"
