"""A cluster of the kind `gke:`, as far as it goes without Google: the provider's own hooks and clients over real sockets.

Google's two services are servers of this test: GetCluster, by the client package's own messages, and the token service, which wants a
signed assertion. The cluster is a real control plane that takes the token. Not proven: Google's own services, and workload identity.
"""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import grpc
import jwt
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from blueprint_pipeline.compute.profiles import Cluster, GkeCluster
from plugins.providers.kubernetes.async_api import AsyncClusterApi
from plugins.providers.kubernetes.connections import find_endpoint
from plugins.providers.kubernetes.pods import ClusterPods
from tests.kube import NAMESPACE, KubeCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("kubernetes")]

GKE = GkeCluster(project="factory", location="us-central1", cluster="east")
CLUSTER = Cluster(
    name="east", region="us-central1", connection="gke_east", namespace=NAMESPACE, gke=GKE, machines={"cpu": "gce_e2_standard_8"}
)
ACCOUNT = "airflow"
GOOGLES_TOKENS = "https://oauth2.googleapis.com/token"
"""For whom google-auth signs, wherever it asks."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    found = KubeCluster(tmp_path_factory.mktemp("gke"))
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture(scope="module")
def cluster_token(plane):
    """A token that the control plane takes, of an account that may edit pods."""
    from kubernetes import client, config

    api = config.new_client_from_config(str(plane.kubeconfig))
    plane.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": ACCOUNT}})
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    rights = client.RbacAuthorizationV1Api(api)
    rights.create_namespaced_role(NAMESPACE, {"metadata": {"name": ACCOUNT}, "rules": rules})
    rights.create_namespaced_role_binding(NAMESPACE, {"metadata": {"name": ACCOUNT}, "roleRef": role, "subjects": [subject]})
    wanted = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=["api"], expiration_seconds=3600))
    wanted.spec._audiences = None  # as `kubectl create token` asks: the API server's own
    return plane.core.create_namespaced_service_account_token(ACCOUNT, NAMESPACE, wanted).status.token


@pytest.fixture
def google(plane, cluster_token, monkeypatch):
    """Google's services, and the connection that leads to them; what they were asked."""
    from airflow.providers.google.cloud.hooks.kubernetes_engine import GKEHook
    from google.cloud import container_v1
    from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport

    asked, key = [], rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kubeconfig = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = kubeconfig["certificate-authority-data"]

    def get_cluster(request, _context):
        asked.append(request.name)
        found = container_v1.Cluster(endpoint=kubeconfig["server"].removeprefix("https://"))
        found.master_auth.cluster_ca_certificate = authority
        return found

    handler = grpc.unary_unary_rpc_method_handler(
        get_cluster, request_deserializer=container_v1.GetClusterRequest.deserialize, response_serializer=container_v1.Cluster.serialize
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("google.container.v1.ClusterManager", {"GetCluster": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            claims = jwt.decode(form["assertion"][0], key.public_key(), algorithms=["RS256"], audience=[GOOGLES_TOKENS, tokens_url])
            asked.append(claims["iss"])
            body = json.dumps({"access_token": cluster_token, "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    tokens = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    tokens_url = f"http://127.0.0.1:{tokens.server_address[1]}/token"
    threading.Thread(target=tokens.serve_forever, daemon=True).start()

    def client_of(_hook):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        return container_v1.ClusterManagerClient(transport=ClusterManagerGrpcTransport(channel=channel))

    monkeypatch.setattr(GKEHook, "get_cluster_manager_client", client_of)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    account = f"airflow@{GKE.project}.iam.gserviceaccount.com"
    keyfile = {"type": "service_account", "private_key": pem, "private_key_id": "k", "client_email": account, "token_uri": tokens_url}
    extra = {"keyfile_dict": json.dumps(keyfile), "project": GKE.project}
    monkeypatch.setenv("AIRFLOW_CONN_GKE_EAST", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
    yield asked
    tokens.shutdown()
    server.stop(0)


def test_a_worker_makes_finds_and_deletes_a_pod(plane, google):
    """Google says where the API is and with which authority; the token of the token service lets us in."""
    pods, name = ClusterPods(CLUSTER), "toy-0123"
    container = {"name": "base", "image": "any", "command": ["sleep", "60"]}
    metadata = {"name": name, "annotations": {"blueprint-pipeline-key": "k"}}
    made = pods.create_or_adopt({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}, "k")
    assert plane.core.read_namespaced_pod(name, NAMESPACE).metadata.uid == made.uid
    assert pods.read(name).uid == made.uid
    assert pods.delete(made, grace_s=0, gone_s=30)
    assert pods.read(name) is None
    assert f"projects/{GKE.project}/locations/{GKE.location}/clusters/{GKE.cluster}" in google
    assert f"airflow@{GKE.project}.iam.gserviceaccount.com" in google


def test_a_trigger_reads_a_pod(plane, google):
    """By the provider's asynchronous hook, with the endpoint that the worker found."""
    plane.core.create_namespaced_pod(
        NAMESPACE,
        {"metadata": {"name": "toy-4567"}, "spec": {"containers": [{"name": "base", "image": "any", "command": ["sleep", "60"]}]}},
    )
    endpoint = find_endpoint(CLUSTER)
    found = asyncio.run(AsyncClusterApi("east", "gke_east", GKE, endpoint).read_pod(NAMESPACE, "toy-4567"))
    assert found.metadata.name == "toy-4567"
    assert google
