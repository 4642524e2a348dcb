"""Where the limits and the policy lie, and their digests for the keys of stages."""

from blueprint.config_folder import CONFIG_FOLDER
from blueprint.workspace.checksums import FileDigest, digest_file

TIERS_FILE = "tiers.yaml"
POLICY_FILE = "third_party_policy.yaml"


def config_digests() -> dict[str, FileDigest]:
    """Digests of the files that decide what is kept: part of the keys of the stages that judge."""
    return {f"config/{name}": digest_file(CONFIG_FOLDER / name) for name in (TIERS_FILE, POLICY_FILE)}
