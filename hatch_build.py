"""Generate the gRPC messages of ``blueprint.simulation.v1`` from its proto when the package is built or installed."""

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTO = "blueprint_pipeline/simulation/service/v1/simulation.proto"


class GenerateMessages(BuildHookInterface[BuilderConfig]):
    """Runs protoc; the generated files are part of the wheel and not of the repository."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        include = Path(self.root) / "include"
        options = [f"-I{include}", f"--python_out={include}", f"--pyi_out={include}", f"--grpc_python_out={include}"]
        if protoc.main(["protoc", *options, PROTO]):
            raise RuntimeError(f"protoc could not compile {PROTO}")
        build_data["artifacts"].append("include/blueprint_pipeline/simulation/service/v1/*_pb2*")
