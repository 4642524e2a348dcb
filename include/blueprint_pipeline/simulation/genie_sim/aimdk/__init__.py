"""The messages of Genie Sim's protocol that are spoken here; protoc writes them from ``protocol.proto``."""
