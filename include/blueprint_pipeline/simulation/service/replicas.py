"""The servers that one name stands for: a caller has one of them to itself, so a name with several is asked server by server."""

import random
import socket

import grpc

from blueprint_pipeline.simulation.service.security import ClientTls


def resolve_replicas(address: str) -> list[str]:
    """Addresses of all servers behind ``host:port``, in a random order: those that look for a free one at once spread over them.

    Empty where the name is not known, or has no server now. A headless Service of Kubernetes names each ready pod.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    places = {(family, str(place[0])) for family, *_, place in found}
    targets = [f"ipv6:[{place}]:{port}" if family == socket.AF_INET6 else f"{place}:{port}" for family, place in sorted(places)]
    random.shuffle(targets)
    return targets


def open_channel(address: str, target: str, tls: ClientTls | None, arguments: list[tuple[str, object]]) -> grpc.Channel:
    """A channel to ``target``; its certificate must be that of the host of ``address``, whichever of its servers it is."""
    if tls is None:
        return grpc.insecure_channel(target, options=arguments)
    if target != address:
        arguments = [*arguments, ("grpc.ssl_target_name_override", address.rpartition(":")[0])]
    return grpc.secure_channel(target, tls.credentials(), options=arguments)
