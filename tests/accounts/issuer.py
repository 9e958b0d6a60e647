"""An identity provider on loopback: its discovery, its keys, and what it says of tokens; and the tokens that it issues."""

from __future__ import annotations

import base64
import json
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


@cache
def _key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """`asked` are the paths that were fetched, `active` what introspection says of each token. `broken`: it answers 500."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": _key()}
        self.asked: list[str] = []
        self.active: dict[str, dict[str, Any]] = {}
        self.authorizations: list[str] = []
        self.broken = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                self.answer(issuer.page(self.path))

            def do_POST(self) -> None:
                issuer.asked.append(self.path)
                issuer.authorizations.append(self.headers.get("Authorization", ""))
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.answer(issuer.active.get(form["token"][0], {"active": False}))

            def answer(self, page: Any) -> None:
                octets = json.dumps(page).encode()
                self.send_response(500 if issuer.broken else 200)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *arguments: Any) -> None:
                """Quietly."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def page(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {"keys": [self._public(name, key) for name, key in self.keys.items()]}

    def _public(self, name: str, key: Any) -> dict[str, Any]:
        if isinstance(key, bytes):
            return {"kty": "oct", "k": base64.urlsafe_b64encode(key).decode(), "kid": name}
        algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}

    def token(self, *, key: str = "one", algorithm: str = "RS256", signed_with: Any = None, headers: Any = None, **claims: Any) -> str:
        """A token of ann's, as it should be but for *claims* (None: left out)."""
        said = {"iss": self.url, "aud": "mail", "exp": 2_000, "email": "ann@here.example", "scope": "openid mail"} | claims
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, signed_with or self.keys[key], algorithm, {"kid": key} if headers is None else headers)
