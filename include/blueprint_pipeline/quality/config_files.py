"""Where the limits and the policy lie, and their digests for the keys of stages."""

from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.licence.policy import POLICY_FILE
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file

TIERS_FILE = "tiers.yaml"


def config_digests() -> dict[str, FileDigest]:
    """Digests of the files that decide what is kept: part of the keys of the stages that judge."""
    return {f"config/{name}": digest_file(CONFIG_FOLDER / name) for name in (TIERS_FILE, POLICY_FILE)}
