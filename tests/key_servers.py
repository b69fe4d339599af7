"""Keys as they are written for others, and a server that gives them out."""

import json
import threading
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    """The JWK of a key; of a public one unless a private one is given. A member that is None is left out."""
    public = key.public_key() if hasattr(key, "public_key") and "d" not in members else key
    written: dict[str, Any]
    match public:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            written = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            written = ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            written = OKPAlgorithm.to_jwk(public, as_dict=True)
    merged = {**written, "key_ops": None, **members}
    return {name: value for name, value in merged.items() if value is not None}


def pem(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


class KeyServer:
    """A real HTTP server that answers as it is told to, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.headers: list[Message] = []
        self.answer: Any = {"keys": []}
        """A JWK set, bytes to send as the body, or a function that gets the request handler."""
        self.answers: dict[str, Any] = {}
        """The same for paths of their own."""
        self.open = threading.Event()
        """Answers wait while this is not set."""
        self.open.set()
        self.asked = threading.Semaphore(0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                outer.headers.append(self.headers)
                outer.asked.release()
                outer.open.wait(10)
                answer = outer.answers.get(self.path, outer.answer)
                if callable(answer):
                    with suppress(ConnectionError):  # the client may have enough
                        answer(self)
                    return
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.origin}/jwks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening: from now on connections are refused."""
        self.open.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
