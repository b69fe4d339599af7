"""A real nginx on this machine (Debian: `apt-get install nginx-light`)."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live import until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
MISSING = "there is no nginx: apt-get install nginx-light"

PREFIX = "/booking"
# With a path in proxy_pass, nginx replaces the prefix by it, so that the server never sees the prefix.
_PREFIX_CONFIGURATION = """
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location /booking/ {{
            proxy_pass http://127.0.0.1:{server}/;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(folder: Path, configuration: str, port: int) -> Iterator[None]:
    """Run nginx in a folder until it is left; it listens on the port when it is entered."""
    assert NGINX is not None
    file = folder / "nginx.conf"
    file.write_text(configuration, encoding="utf-8")
    subprocess.run([NGINX, "-t", "-q", "-p", folder, "-c", file], check=True, timeout=20)
    process = subprocess.Popen([NGINX, "-p", folder, "-c", file, "-g", "daemon off;"])
    try:
        until(lambda: is_listening(port))
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def stripping_prefix(folder: Path, server: int) -> Iterator[str]:
    """The address at which nginx passes requests on to a server, without the prefix of the address."""
    port = free_port()
    with nginx(folder, _PREFIX_CONFIGURATION.format(port=port, server=server), port):
        yield f"http://127.0.0.1:{port}{PREFIX}"
