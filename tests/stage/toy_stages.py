"""Small stages for tests of the runner: they count how often they really run, in a file outside of the workspace."""

import os
import signal
import time
from pathlib import Path

from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from tests.sample_errors import BadInput, NotGoodEnough, Unavailable


class ToyRequest(StageRequest):
    """What a toy should do."""

    source: str
    units: int = 3
    fail: str = ""
    log: str = ""
    hold_at: int = -1
    """Before this unit it waits until the file ``{log}.go`` is there, or it is asked to stop."""


class ToyResult(StageResult):
    """How many files it wrote."""

    files: int


def _count(request: ToyRequest, what: str) -> None:
    if request.log:
        with Path(request.log).open("a") as stream:
            stream.write(what + "\n")


def intake(request: ToyRequest, context: StageContext) -> ToyResult:
    _count(request, "intake")
    for name in list_files(Path(request.source)):
        context.output(f"toy/{name}").write_bytes((Path(request.source) / name).read_bytes())
    if request.fail == "input":
        raise BadInput("this source is no good")
    return ToyResult(files=len(list_files(context.staging)))


def work(request: ToyRequest, context: StageContext) -> ToyResult:
    _count(request, "work")
    errors = {"gate": NotGoodEnough("not good enough"), "input": BadInput("bad"), "transient": Unavailable("later")}
    for index in range(request.units):
        context.stop_if_asked()
        name = f"units/{index}/unit.json"
        if context.scene.exists(name):
            continue
        while index == request.hold_at and not Path(f"{request.log}.go").exists():
            context.stop_if_asked()
            time.sleep(0.05)
        trap = Path(f"{request.log}.kill_at_{index}")
        if trap.exists():
            trap.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        context.output(name).write_text(f'{{"index": {index}}}')
        _count(request, f"unit {index}")
        context.publish(f"units/{index}")
        context.progress(index + 1, request.units)
    context.output("report.json").write_text("{}")
    if request.fail == "undeclared":
        context.output("elsewhere.txt").write_text("x")
    if request.fail in errors:
        raise errors[request.fail]
    return ToyResult(files=request.units)


def nothing(_request: ToyRequest, _context: StageContext) -> ToyResult:
    return ToyResult(files=0)


def _digests(request: ToyRequest, _settings: object):
    source = Path(request.source)
    return {f"source/{name}": digest for name, digest in digest_files(source, list_files(source)).items()}


def _stage(name, run, **fields):
    return Stage(name=name, description="", request=ToyRequest, result=ToyResult, run=run, **fields)


TOY_INTAKE = _stage("toy_intake", intake, reads=lambda _: [], writes=lambda _: ["toy"], external_inputs=_digests, replaces_at_end=True)
TOY_WORK = _stage("toy_work", work, reads=lambda _: ["toy"], writes=lambda _: ["units", "report.json"])
TOY_NOTHING = _stage("toy_nothing", nothing, reads=lambda _: ["toy"], writes=lambda _: ["nowhere"])
