"""Whom pods may speak HTTPS to: addresses, or names where the cluster's data plane knows them."""

import pytest

from tests.shipping.conftest import CHART, ROOT, load_values, of_kind, render

NAMES = ["storage.googleapis.com", "*.lab.example"]


def https_of(by, cidr="0.0.0.0/0"):
    """Rules of the jobs' own policy that open port 443, all other policies of foreign kinds, and what Helm tells at the end."""
    import helm_python

    values = {"networkPolicies": {"https": {"by": by, "names": NAMES, "cidr": cidr}}}
    manifests = render(values)
    (own,) = [m for m in of_kind(manifests, "NetworkPolicy") if m["metadata"]["name"].endswith("-job")]
    rules = [rule for rule in own["spec"]["egress"] if {"protocol": "TCP", "port": 443} in rule["ports"]]
    foreign = [m for m in manifests if m["kind"] in {"FQDNNetworkPolicy", "CiliumNetworkPolicy"}]
    with helm_python.Chart.load(CHART) as chart:
        (notes,) = [text for name, text in chart.render(values, name="b", namespace="factory").items() if name.endswith("NOTES.txt")]
    return rules, foreign, notes


def test_https_goes_anywhere_only_with_a_warning():
    rules, foreign, notes = https_of("cidr")
    assert rules == [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "TCP", "port": 443}]}]
    assert foreign == []
    assert "WARNING: jobs may speak HTTPS to every address" in notes
    assert "WARNING" not in https_of("cidr", "10.0.0.0/8")[2]


def test_https_by_name_on_gke():
    """The policy of GKE's data plane, as its reference has it; no rule by address beside it."""
    rules, (policy,), notes = https_of("gke")
    assert (rules, "WARNING" in notes) == ([], False)
    assert (policy["apiVersion"], policy["kind"]) == ("networking.gke.io/v1alpha1", "FQDNNetworkPolicy")
    (rule,) = policy["spec"]["egress"]
    assert rule == {"matches": [{"name": NAMES[0]}, {"pattern": NAMES[1]}], "ports": [{"protocol": "TCP", "port": 443}]}
    assert policy["spec"]["podSelector"]["matchExpressions"][0]["values"] == ["job", "test"]


def test_https_by_name_with_cilium():
    """Names are allowed where the name server's answers are seen, without which no address is learnt."""
    rules, (policy,), notes = https_of("cilium")
    assert (rules, "WARNING" in notes) == ([], False)
    assert (policy["apiVersion"], policy["kind"]) == ("cilium.io/v2", "CiliumNetworkPolicy")
    dns, https = policy["spec"]["egress"]
    assert dns["toPorts"][0]["rules"] == {"dns": [{"matchPattern": "*"}]}
    assert https == {
        "toFQDNs": [{"matchName": NAMES[0]}, {"matchPattern": NAMES[1]}],
        "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
    }
    assert "endpointSelector" in policy["spec"]


@pytest.mark.parametrize("name", ["staging", "production"])
def test_jobs_of_an_installation_reach_its_store_alone(name):
    """As docs/deploy.md makes the cluster."""
    manifests = render(load_values(name))
    (policy,) = of_kind(manifests, "FQDNNetworkPolicy")
    assert policy["spec"]["egress"][0]["matches"] == [{"name": "storage.googleapis.com"}]
    assert "--enable-fqdn-network-policy" in (ROOT / "docs" / "deploy.md").read_text()
