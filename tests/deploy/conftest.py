"""The proxy as it is shipped, in front of servers on this machine."""

import datetime as dt
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.nginx import MISSING, NGINX, free_port, nginx

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"


class Proxy(NamedTuple):
    """An nginx that runs."""

    port: int
    trust: ssl.SSLContext
    log: Path


StartProxy = Callable[..., Proxy]


@pytest.fixture
def start_proxy(tmp_path: Path) -> Iterator[StartProxy]:
    """Start nginx with the shipped configuration, for servers on these two ports."""
    if NGINX is None:
        pytest.skip(MISSING)
    folder = tmp_path / "nginx"
    folder.mkdir()
    with ExitStack() as running:

        def start(*servers: int, **changes: str) -> Proxy:
            """`changes` are made to the rate of requests, so that a test can have its own."""
            port = free_port()
            running.enter_context(nginx(folder, _configured(folder, port, servers, **changes), port))
            trust = ssl.create_default_context(cafile=folder / "tls.crt")
            return Proxy(port, trust, folder / "access.log")

        yield start


def _configured(folder: Path, port: int, servers: tuple[int, ...], *, rate: str = "100000r/s") -> str:
    """The shipped configuration, with the addresses, the files and the rate of this machine."""
    _make_certificate(folder)
    text = CONFIGURATION.read_text(encoding="utf-8")
    for found, instead in {
        r"server api-1:8080": f"server 127.0.0.1:{servers[0]}",
        r"server api-2:8080": f"server 127.0.0.1:{servers[1]}",
        r"listen 8443": f"listen 127.0.0.1:{port}",
        r"/etc/nginx/tls": str(folder),
        r"pid /.*;": f"pid {folder}/nginx.pid;",
        r"/dev/stdout": f"{folder}/access.log",
        r"rate=[0-9]+r/s": f"rate={rate}",
    }.items():
        text, times = re.subn(found, instead, text)
        assert times, found
    return text


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
