"""``blueprint.simulation.v1``: any simulator behind gRPC, and a client that is a simulator itself."""
