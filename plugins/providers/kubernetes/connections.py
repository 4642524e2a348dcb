"""Reach a cluster through its Airflow connection, with the providers' own hooks."""

from typing import TYPE_CHECKING

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook, KubernetesHook

from blueprint_pipeline.compute.profiles import Cluster, GkeCluster

if TYPE_CHECKING:
    from airflow.providers.google.cloud.hooks.kubernetes_engine import GKEKubernetesAsyncHook, GKEKubernetesHook

Endpoint = tuple[str, str]
"""URL of a GKE cluster's API, and its certificate authority."""


def find_endpoint(cluster: Cluster) -> Endpoint | None:
    """Ask GKE where a cluster's API is; ``None`` for a cluster whose connection says it."""
    return None if cluster.gke is None else ask_gke(cluster.connection, cluster.gke)


def ask_gke(connection: str, gke: GkeCluster) -> Endpoint:
    """Ask GKE where the API of one of its clusters is. Blocks."""
    from airflow.providers.google.cloud.hooks.kubernetes_engine import GKEHook
    from airflow.providers.google.cloud.operators.kubernetes_engine import GKEClusterAuthDetails

    hook = GKEHook(gcp_conn_id=connection, location=gke.location)
    details = GKEClusterAuthDetails(
        cluster_name=gke.cluster,
        project_id=gke.project,
        use_internal_ip=False,
        use_dns_endpoint=gke.dns_endpoint,
        cluster_hook=hook,
    )
    url, authority = details.fetch_cluster_info()
    return url, authority or ""


def build_hook(cluster: Cluster) -> "KubernetesHook | GKEKubernetesHook":
    """The hook of a worker."""
    endpoint = find_endpoint(cluster)
    if cluster.gke is None or endpoint is None:
        return KubernetesHook(conn_id=cluster.connection)
    from airflow.providers.google.cloud.hooks.kubernetes_engine import GKEKubernetesHook

    url, authority = endpoint
    return GKEKubernetesHook(
        gcp_conn_id=cluster.connection, cluster_url=url, ssl_ca_cert=authority, use_dns_endpoint=cluster.gke.dns_endpoint
    )


def build_async_hook(connection: str, gke: GkeCluster | None, endpoint: Endpoint | None) -> "AsyncKubernetesHook | GKEKubernetesAsyncHook":
    """The hook of a trigger. A new one reads the connection again, and with it a token that was exchanged."""
    if gke is None or endpoint is None:
        return AsyncKubernetesHook(conn_id=connection)
    from airflow.providers.google.cloud.hooks.kubernetes_engine import GKEKubernetesAsyncHook

    url, authority = endpoint
    return GKEKubernetesAsyncHook(gcp_conn_id=connection, cluster_url=url, ssl_ca_cert=authority, use_dns_endpoint=gke.dns_endpoint)
