"""Generate the gRPC messages of every proto of the package when it is built or installed."""

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = ("blueprint_pipeline/simulation/service/v1/simulation.proto", "blueprint_pipeline/simulation/genie_sim/aimdk/protocol.proto")


class GenerateMessages(BuildHookInterface[BuilderConfig]):
    """Runs protoc; the generated files are part of the wheel and not of the repository."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        include = Path(self.root) / "include"
        options = [f"-I{include}", f"--python_out={include}", f"--pyi_out={include}", f"--grpc_python_out={include}"]
        for proto in PROTOS:
            if protoc.main(["protoc", *options, proto]):
                raise RuntimeError(f"protoc could not compile {proto}")
            build_data["artifacts"].append(f"include/{Path(proto).parent}/*_pb2*")
