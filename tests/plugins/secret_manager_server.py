"""Google Secret Manager on loopback, as gRPC and as HTTP: TLS, signed tokens, versions, Google's status codes and words.

Source: google.cloud.secretmanager.v1 (the client package's own message types); google/rpc/code.proto for HTTP's numbers.
"""

import json
import re
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import secretmanager_v1 as sm

PROJECT = "factory"
ACCOUNT = f"blueprint-pipeline-airflow@{PROJECT}.iam.gserviceaccount.com"
SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
ACCESS = re.compile(r"/v1/(projects/[^/]+/secrets/[^/]+/versions/[^/:]+):access")
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


class Refusal(Exception):
    """A status other than OK."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status, self.words = status, words


class SecretManagerServer:
    """Secrets of one project; ``failing`` makes it answer with a status, ``silent`` not at all."""

    def __init__(self, ca, key):
        self.public_key = key.public_key()
        self.ca_pem = ca.cert_pem.bytes()
        self.versions = {}
        self.reads = []
        self.failing = None
        self.silent = threading.Event()
        self._ended = threading.Event()
        certificate = ca.issue_cert("localhost")
        self._grpc = self._serve_grpc(certificate)
        self._http = self._serve_http(certificate)
        self.http_endpoint = f"https://localhost:{self._http.server_address[1]}"

    def _serve_grpc(self, certificate):
        calls = {
            "CreateSecret": (self.create, sm.CreateSecretRequest, sm.Secret),
            "AddSecretVersion": (self.add, sm.AddSecretVersionRequest, sm.SecretVersion),
            "DisableSecretVersion": (self.disable, sm.DisableSecretVersionRequest, sm.SecretVersion),
            "AccessSecretVersion": (self.access, sm.AccessSecretVersionRequest, sm.AccessSecretVersionResponse),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(self._guard(call), asks.deserialize, answers.serialize)
            for name, (call, asks, answers) in calls.items()
        }
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        pair = (certificate.private_key_pem.bytes(), b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        self.grpc_endpoint = f"localhost:{server.add_secure_port('localhost:0', grpc.ssl_server_credentials([pair]))}"
        return server

    def _serve_http(self, certificate):
        secret_manager = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, answer = secret_manager.answer_http(self.path, self.headers.get("authorization", ""))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments): ...

        server = ThreadingHTTPServer(("localhost", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server

    def __enter__(self):
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self.stop()

    def stop(self):
        """Nobody listens any more."""
        self._grpc.stop(0).wait()
        self._http.shutdown()
        self._http.server_close()

    def answer_http(self, path, authorization):
        """Status and body, as Google's front door translates them."""
        try:
            self._check_token(authorization)
            answer = self.access(sm.AccessSecretVersionRequest(name=ACCESS.match(path)[1]))
            return 200, sm.AccessSecretVersionResponse.to_json(answer).encode()
        except Refusal as refusal:
            status = HTTP_STATUS[refusal.status.name]
            return status, json.dumps({"error": {"code": status, "message": refusal.words, "status": refusal.status.name}}).encode()

    def _guard(self, call):
        def guarded(request, context):
            try:
                self._check_token(dict(context.invocation_metadata()).get("authorization", ""))
                return call(request)
            except Refusal as refusal:
                return context.abort(refusal.status, refusal.words)

        return guarded

    def _check_token(self, authorization):
        try:
            claims = jwt.decode(authorization.removeprefix("Bearer "), self.public_key, algorithms=["RS256"], options={"verify_aud": False})
        except jwt.PyJWTError as error:
            raise Refusal(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.") from error
        if claims["iss"] != ACCOUNT:
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, f"{claims['iss']} may do nothing here.")

    def _find(self, name):
        *_, secret, _versions, version = name.split("/")
        found = self.versions.get("/".join(name.split("/")[:4]))
        if not found or (version != "latest" and int(version) > len(found)):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Secret [projects/1/secrets/{secret}] not found or has no versions.")
        return found, len(found) - 1 if version == "latest" else int(version) - 1

    def create(self, request):
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self.versions:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        self.versions[name] = []
        return sm.Secret(name=name)

    def add(self, request):
        found = self.versions[request.parent]
        found.append(request.payload.data)
        return sm.SecretVersion(name=f"{request.parent}/versions/{len(found)}")

    def disable(self, request):
        found, index = self._find(request.name)
        found[index] = None
        return sm.SecretVersion(name=request.name, state=sm.SecretVersion.State.DISABLED)

    def access(self, request):
        self.reads.append(request.name.split("/")[3])
        if self.silent.is_set():
            self._ended.wait(60)
        if self.failing is not None:
            raise Refusal(*self.failing)
        found, index = self._find(request.name)
        if found[index] is None:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"Secret Version [{request.name}] is in DISABLED state.")
        return sm.AccessSecretVersionResponse(name=request.name, payload=sm.SecretPayload(data=found[index]))


def make_identity(folder):
    """An authority, a service account's private key, and the files that Google's client finds them by: (CA, key, environment)."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    account = {"type": "service_account", "project_id": PROJECT, "private_key_id": "1", "private_key": pem, "client_email": ACCOUNT}
    account |= {"client_id": "1", "token_uri": "https://localhost:1/token"}
    (folder / "account.json").write_text(json.dumps(account))
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"),
        "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
    }
    return ca, key, environment
