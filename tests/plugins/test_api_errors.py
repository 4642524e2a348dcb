"""What a cluster's API and Google's token service say becomes one of a few words, whoever asks; real clients, real sockets."""

import asyncio
import json
import socket

import pytest
import stamina
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from blueprint_pipeline.compute.errors import ClusterRefused, PodInvalid
from blueprint_pipeline.compute.profiles import Cluster, GkeCluster
from plugins.providers.google.secret_manager import SecretRefused, SecretsUnavailable, SecretUnreadable
from plugins.providers.kubernetes.api_errors import ApiUnreachable, QuotaUsedUp, translated
from plugins.providers.kubernetes.async_api import AsyncClusterApi
from plugins.providers.kubernetes.pods import ClusterPods

ROW = Cluster(name="fake", region="r", connection="kube_fake", namespace="n", machines={})
PODS = "/api/v1/namespaces/n/pods"
POD = {"metadata": {"name": "p"}, "spec": {"containers": []}}
GPU = "requests.nvidia.com/gpu"
FORBIDDEN = 'pods "p" is forbidden: '


@pytest.fixture(autouse=True)
def one_try():
    with stamina.set_testing(True, attempts=1):
        yield


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (
            403,
            FORBIDDEN + f"exceeded quota: gpus, requested: {GPU}=1, used: {GPU}=8, limited: {GPU}=8",
            QuotaUsedUp,
        ),
        (
            403,
            FORBIDDEN
            + "exceeded quota: q, requested: limits.memory=16Gi,pods=1, used: limits.memory=9Gi,pods=3, limited: limits.memory=16Gi,pods=3",
            QuotaUsedUp,
        ),
        (
            403,
            FORBIDDEN + "exceeded quota: q, requested: limits.memory=24Gi, used: limits.memory=0, limited: limits.memory=16384Mi",
            PodInvalid,
        ),
        (403, FORBIDDEN + "failed quota: q: must specify limits.cpu", PodInvalid),
        (403, FORBIDDEN + "maximum cpu usage per Container is 4, but limit is 8", PodInvalid),
        (403, FORBIDDEN + 'error looking up service account n/jobs: serviceaccount "jobs" not found', PodInvalid),
        (403, FORBIDDEN + 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', PodInvalid),
        (403, 'pods is forbidden: User "system:x" cannot create resource "pods" in API group "" in the namespace "n"', ClusterRefused),
        (403, FORBIDDEN + "unable to create new content in namespace n because it is being terminated", ClusterRefused),
        (404, 'namespaces "n" not found', ClusterRefused),
        (422, 'Pod "p" is invalid: spec.containers: Required value', PodInvalid),
        (400, 'admission webhook "v.example" denied the request: no such label', PodInvalid),
        (409, 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified', ApiUnreachable),
        (429, "too many requests", ApiUnreachable),
        (503, "apiserver is shutting down", ApiUnreachable),
        (401, "Unauthorized", ApiUnreachable),
    ],
)
def test_a_refused_creation_says_whether_it_can_succeed_later(fake_api, status, message, kind):
    """Room comes, an API comes back; what is wrong with the pod or the rights stays wrong."""
    fake_api.refuse(f"POST {PODS}", status, message, reason="Conflict" if status == 409 else "")
    with pytest.raises(kind) as caught:
        ClusterPods(ROW).create_or_adopt(POD, "k")
    assert message[-40:] in str(caught.value) or kind is ApiUnreachable


def test_refusals_are_typed_for_worker_and_triggerer(fake_api):
    fake_api.refuse(f"GET {PODS}/p", 403, 'pods "p" is forbidden: User "x" cannot get resource "pods"')
    with pytest.raises(ClusterRefused, match=r"fake refuses to read a pod: 403"):
        ClusterPods(ROW).read("p")
    with pytest.raises(ClusterRefused, match=r"fake refuses to read a pod: 403"):
        asyncio.run(AsyncClusterApi("fake", "kube_fake", None, None).read_pod("n", "p"))


def test_a_missing_connection_is_a_matter_of_configuration():
    with pytest.raises(ClusterRefused, match="no_such"):
        ClusterPods(ROW.model_copy(update={"connection": "no_such"})).read("p")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SecretRefused("kube_fake", "PERMISSION_DENIED"), ClusterRefused),
        (SecretUnreadable("kube_fake", "no JSON"), ClusterRefused),
        (SecretsUnavailable("kube_fake", "503"), ApiUnreachable),
    ],
)
def test_a_secret_that_is_refused_is_no_cluster_that_does_not_answer(error, kind):
    """Else every cluster would be left for one that has the same trouble, and the refusal tried again and again."""
    with pytest.raises(kind, match="kube_fake"), translated("fake", "read a pod"):
        raise error


def test_a_dead_address_is_unreachable(fake_api):
    fake_api.stop()
    with pytest.raises(ApiUnreachable):
        ClusterPods(ROW).read("p")
    with pytest.raises(ApiUnreachable):
        asyncio.run(AsyncClusterApi("fake", "kube_fake", None, None).read_pod("n", "p"))


GKE = GkeCluster(project="p", location="us-central1", cluster="c")


@pytest.fixture
def token_endpoint(fake_api, monkeypatch):
    """Makes the Airflow connection of a service account whose tokens come from the given address."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def point_at(address):
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": pem,
            "client_email": "a@p.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": address,
        }
        extra = {"keyfile_dict": json.dumps(account)}
        monkeypatch.setenv("AIRFLOW_CONN_GKE", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))

    return point_at


def nobody():
    """An address where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}/token"


def endpoint_of(fake_api):
    return f"http://127.0.0.1:{fake_api.port}/token"


async def read_pod_of_gke(*, endpoint):
    return await AsyncClusterApi("fake", "gke", GKE, endpoint).read_pod("n", "p")


@pytest.mark.slow
def test_a_token_service_that_cannot_be_reached_is_an_unreachable_cluster(token_endpoint):
    """A worker's read (google.api_core's RetryError) and the endpoint's look-up before the pod is handed over."""
    token_endpoint(nobody())
    cluster = ROW.model_copy(update={"connection": "gke", "gke": GKE})
    with pytest.raises(ApiUnreachable, match="Error"):
        ClusterPods(cluster).read("p")
    assert ClusterPods(cluster).find_endpoint() is None


@pytest.mark.parametrize("where", ["nobody", "broken"])
def test_a_trigger_without_tokens_counts_the_cluster_as_unreachable(token_endpoint, fake_api, where):
    """google.auth's TransportError, and its RefreshError of a service that is broken."""
    fake_api.answers["POST /token"] = lambda _query: (503, b"try later")
    token_endpoint(nobody() if where == "nobody" else endpoint_of(fake_api))
    with pytest.raises(ApiUnreachable, match=r"TransportError|RefreshError"):
        asyncio.run(read_pod_of_gke(endpoint=("https://192.0.2.1", "Y2E=")))


def test_a_revoked_key_is_refused_and_not_waited_for(token_endpoint, fake_api):
    fake_api.answers["POST /token"] = lambda _query: (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    token_endpoint(endpoint_of(fake_api))
    with pytest.raises(ClusterRefused, match="invalid_grant"):
        asyncio.run(read_pod_of_gke(endpoint=("https://192.0.2.1", "Y2E=")))
