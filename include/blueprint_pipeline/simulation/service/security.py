"""Mutual TLS whose certificates rotate without a restart, and bearer tokens whose keys rotate too.

Source: RFC 7519 (JWT), RFC 7517 (JWK sets), RFC 8037 (Ed25519 in JOSE).
"""

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.simulation.service.errors import InvalidToken
from blueprint_pipeline.simulation.service.refusals import refuse

AUDIENCE = "blueprint.simulation.v1"
ALGORITHM = "EdDSA"
REQUIRED: Any = {"require": ["exp", "aud", "sub"]}
HEALTH = "/grpc.health.v1.Health/"


class TokenFileUnreadable(ConfigurationError):
    """The file that should hold a client's bearer token holds none."""

    code = "simulation.token_file_unreadable"
    template = "No bearer token can be read from {path}: {problem}. Write the token, and nothing else, to it."

    path: Path
    problem: str


class InvalidTlsFiles(ConfigurationError):
    """Certificate, key or authority are absent, unreadable or do not fit together."""

    code = "simulation.invalid_tls_files"
    template = (
        "TLS cannot be set up with certificate {certificate}, key {private_key} and authority {authority}: "
        "{problem}. All three must be PEM files, and the key the certificate's own."
    )

    certificate: Path
    private_key: Path
    authority: Path
    problem: str


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """PEM files of a server; they are read again when one of them changes."""

    certificate: Path
    private_key: Path
    client_ca: Path
    """Who may sign client certificates; a client without one is refused."""

    def context(self) -> ssl.SSLContext:
        """Mutual TLS from 1.2 on with the files as they are now.

        Raises:
            InvalidTlsFiles: They cannot be used.
        """
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.client_ca))
            context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidTlsFiles(self.certificate, self.private_key, self.client_ca, str(error)) from error
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate authority may be the one that is trusted
        context.set_alpn_protocols(["h2"])
        return context

    def stamps(self) -> tuple[int | None, ...]:
        """When each file was last changed; ``None`` where it is missing."""
        return tuple(path.stat().st_mtime_ns if path.exists() else None for path in (self.certificate, self.private_key, self.client_ca))


@dataclass(frozen=True, kw_only=True)
class ClientTls:
    """PEM files of a client."""

    certificate: Path
    private_key: Path
    server_ca: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Channel credentials from the files as they are now.

        Raises:
            InvalidTlsFiles: One cannot be read.
        """
        try:
            parts = (self.server_ca.read_bytes(), self.private_key.read_bytes(), self.certificate.read_bytes())
        except OSError as error:
            raise InvalidTlsFiles(self.certificate, self.private_key, self.server_ca, str(error)) from error
        return grpc.ssl_channel_credentials(*parts)


class TokenCheck(grpc.ServerInterceptor):
    """Refuses every call but health checks without a good bearer token.

    Args:
        keys: A JWK set (JSON file) of public keys; read at each call, so that a rotated key counts at once.
    """

    def __init__(self, keys: Path) -> None:
        self._keys = keys

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Let the call through, or put a handler in its place that refuses it."""
        handler = continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(HEALTH):
            return handler
        metadata = {key: value for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)}
        try:
            self.check(metadata.get("authorization", ""))
        except InvalidToken as error:
            return _refusal(handler, error, handler_call_details.method)
        return handler

    def check(self, authorization: str) -> dict[str, Any]:
        """Claims of a good token.

        Raises:
            InvalidToken: Absent, forged, expired, of an unknown key or for another audience.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("there is none")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(self._keys.read_text()).keys}
            if kid not in keys:
                raise InvalidToken(f"its key '{kid}' is not one of {', '.join(map(str, keys))}")
            claims: dict[str, Any] = jwt.decode(token, keys[kid], algorithms=[ALGORITHM], audience=AUDIENCE, options=REQUIRED)
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error
        return claims


def _refusal(handler: Any, error: InvalidToken, method: str) -> Any:
    def refuse_unread(_requests: object, context: grpc.ServicerContext) -> None:
        refuse(context, error, method=method)

    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    return make(refuse_unread, None, handler.response_serializer)


def read_token(path: Path) -> str:
    """The bearer token in a file that its issuer replaces; a client reads it at each call.

    Raises:
        TokenFileUnreadable: There is no such file, or nothing in it.
    """
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileUnreadable(path, str(error)) from error
    if not token:
        raise TokenFileUnreadable(path, "it is empty")
    return token


def sign_token(key: Ed25519PrivateKey, key_id: str, subject: str, lifetime: timedelta = timedelta(minutes=10)) -> str:
    """A bearer token for ``subject``, good for ``lifetime`` from now."""
    now = datetime.now(UTC)
    claims = {"sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + lifetime}
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id})


def public_key_set(keys: dict[str, Ed25519PrivateKey]) -> str:
    """The JWK set (JSON) of the public halves, by key id."""
    algorithm = jwt.algorithms.OKPAlgorithm()
    found = [{**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id} for key_id, key in keys.items()]
    return json.dumps({"keys": found})
