"""Which hook reaches a cluster: the provider's own, by the kind of its row. Nothing is called."""

import pytest

from blueprint_pipeline.compute.profiles import Cluster, GkeCluster
from plugins.providers.kubernetes import connections

GKE = GkeCluster(project="p", location="us-central1", cluster="c")
ROW = {"name": "a", "region": "a", "connection": "conn_a", "namespace": "n", "machines": {}}
ENDPOINT = ("https://192.0.2.1", "Y2E=")


@pytest.mark.parametrize(("gke", "name"), [(None, "KubernetesHook"), (GKE, "GKEKubernetesHook")])
def test_worker_and_triggerer_get_the_hook_of_the_clusters_kind(gke, name, monkeypatch):
    """A plain connection, or Google's, with the endpoint that GKE named."""
    cluster = Cluster(**ROW, gke=gke)
    monkeypatch.setenv("AIRFLOW_CONN_CONN_A", '{"conn_type": "google_cloud_platform"}' if gke else '{"conn_type": "kubernetes"}')
    monkeypatch.setattr(connections, "find_endpoint", lambda _: ENDPOINT if gke else None)
    hook = connections.build_hook(cluster)
    waiting = connections.build_async_hook(cluster.connection, gke, ENDPOINT if gke else None)
    assert type(hook).__name__ == name
    assert type(waiting).__name__ == name.replace("Kubernetes", "KubernetesAsync") or type(waiting).__name__ == f"Async{name}"
    assert "conn_a" in {getattr(hook, "conn_id", None), getattr(hook, "gcp_conn_id", None)}


def test_a_plain_cluster_needs_no_endpoint():
    assert connections.find_endpoint(Cluster(**ROW)) is None
