"""What a run, or a row of ``scenes.yaml``, asks for: checked against the form, the labs and the machine before anything is worked on."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import ParamValidationError

from blueprint_pipeline.compute.profiles import runs_as_pod
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.delivery.lab import LabProfile, list_labs, load_lab
from blueprint_pipeline.errors import BlueprintError, InputError
from blueprint_pipeline.price.table import load_price_table
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.settings import Settings
from operators.scene_params import SAMPLE, build_params, parameter_names


class RunRefused(InputError):
    """What was asked for cannot succeed."""

    code = "run.refused"
    template = "The run is refused: {problems:; }. Nothing was worked on."

    problems: Sequence[str]


def validate_run(params: Mapping[str, Any], *, given: Mapping[str, Any], settings: Settings) -> None:
    """Check a run at its door: all problems at once.

    Args:
        params: Every parameter with its value.
        given: What was given when the run was started: a name that is no parameter is a typing error.
        settings: Of this installation.

    Raises:
        RunRefused: Something is wrong.
    """
    problems = [*unknown_names(given), *check_params(params), *wrong_machine(params, settings)]
    if problems:
        raise RunRefused(problems)


def check_params(params: Mapping[str, Any]) -> list[str]:
    """What is wrong with a set of parameters, as far as it can be said without asking other machines."""
    checks = (wrong_values, wrong_robot, wrong_lab, wrong_formats, wrong_source, wrong_demonstrations, wrong_window)
    return [problem for check in checks for problem in check(params)]


def check_conf(conf: Mapping[str, Any]) -> list[str]:
    """What is wrong with what a run would be started with; the other parameters have their defaults."""
    unknown = list(unknown_names(conf))
    return unknown or check_params({name: param.value for name, param in build_params(dict(conf)).items()})


def unknown_names(given: Mapping[str, Any]) -> Iterator[str]:
    """Names that are no parameter, each with the one that was meant."""
    known = parameter_names()
    for name in sorted(set(given) - set(known) - {"openlineage"}):
        meant = get_close_matches(name, known, n=1)
        yield f"{name}: there is no such parameter" + (f", the nearest is '{meant[0]}'" if meant else f". Parameters: {', '.join(known)}")


def wrong_values(params: Mapping[str, Any]) -> Iterator[str]:
    """Values that the form would not take; the lab has a check of its own, with better words."""
    for name, param in build_params({name: params[name] for name in parameter_names() if name in params and name != "lab"}).items():
        try:
            param.resolve()
        except ParamValidationError as error:
            yield f"{name}: {str(error.__cause__ or error).splitlines()[0]}"


def wrong_robot(params: Mapping[str, Any]) -> Iterator[str]:
    """A robot that is known, and cannot act."""
    from blueprint_pipeline.robot.embodiment import UnknownRobot, UnsupportedRobot, load_embodiment

    try:
        load_embodiment(str(params.get("robot", DEFAULT_ROBOT)))
    except UnsupportedRobot as error:
        yield f"robot: {error.message.rstrip('.')}"
    except UnknownRobot:  # no value of the form
        return


def wrong_lab(params: Mapping[str, Any]) -> Iterator[str]:
    """A lab that is not known, or that takes no such job."""
    lab = params.get("lab")
    if lab is None:
        yield f"lab: choose who gets the dataset. Labs: {', '.join(list_labs())}"
        return
    try:
        profile = load_lab(str(lab))
    except BlueprintError as error:
        yield f"lab: {error.message}"
        return
    yield from _too_little_for(profile, params)
    yield from _not_written_for(profile, params)


def _too_little_for(profile: LabProfile, params: Mapping[str, Any]) -> Iterator[str]:
    episodes, least = params.get("episodes"), profile.thresholds.min_episodes
    if isinstance(episodes, int | float) and 0 < episodes < least:
        yield f"episodes: {episodes} can never be the {least} kept episodes that lab {profile.id} takes at least"


def _not_written_for(profile: LabProfile, params: Mapping[str, Any]) -> Iterator[str]:
    """A format that the lab takes, and that is written only where a run asks for it."""
    asked = params.get("more_formats") or ()
    for name in profile.formats:
        if FORMATS[name].on_request and name not in asked:
            yield f"more_formats: lab {profile.id} takes {name}, which is written on request; add it"


def wrong_formats(params: Mapping[str, Any]) -> Iterator[str]:
    """A format of what is not drawn."""
    for name in params.get("more_formats") or ():
        drawn = FORMATS[name].drawn if name in FORMATS else ()
        if drawn and not any(params.get(parameter) for parameter in drawn):
            yield f"more_formats: {name} holds {' and '.join(drawn)}, and the run draws neither; set {' or '.join(drawn)}"


def wrong_source(params: Mapping[str, Any]) -> Iterator[str]:
    """A folder that is not on this machine. A URL is asked for by the stage that reads it."""
    source = params.get("source")
    if isinstance(source, str) and source != SAMPLE and "://" not in source and not Path(source).exists():
        yield f"source: there is no folder or file {source}"


def wrong_demonstrations(params: Mapping[str, Any]) -> Iterator[str]:
    """Episodes that are derived of nothing; a folder that is not on this machine."""
    source, augment = params.get("demonstrations") or "", params.get("augment") or 0
    if bool(source) != bool(augment):
        yield f"augment: it is {augment} and demonstrations is '{source}': give both, or neither"
    elif source and "://" not in source and not Path(source).is_dir():
        yield f"demonstrations: there is no folder {source}"


def wrong_window(params: Mapping[str, Any]) -> Iterator[str]:
    """A person's time to answer that does not fit into the run's."""
    window_s, deadline_h = params.get("approval_window_s"), params.get("deadline_h")
    if isinstance(window_s, int | float) and isinstance(deadline_h, int | float) and window_s >= deadline_h * 3600:
        yield f"approval_window_s: {window_s:.0f} s must be shorter than the run's deadline (deadline_h: {deadline_h:g})"


def wrong_machine(params: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    """What this installation lacks for the end of the run. What a pod lacks is not seen from here."""
    if settings.compute.kind == "local":
        yield from _unpriced_machine(settings)
    if not runs_as_pod("package_bundle", settings.compute) and not settings.delivery.signing_key.is_file():
        yield f"BPP__DELIVERY__SIGNING_KEY: there is no key {settings.delivery.signing_key}; nothing could be signed"
    if not runs_as_pod("certify_dataset", settings.compute):
        yield from _certifies_too_little(params, settings.dataset.certify_python)


def _unpriced_machine(settings: Settings) -> Iterator[str]:
    try:
        load_price_table(datetime.now(UTC).date()).machine(settings.compute.machine)
    except BlueprintError as error:
        yield f"BPP__COMPUTE__MACHINE: {error.message}"


def _certifies_too_little(params: Mapping[str, Any], python: Path) -> Iterator[str]:
    lab = params.get("lab")
    if isinstance(lab, str) and lab in list_labs() and load_lab(lab).thresholds.uncertified == "refuse" and not python.exists():
        yield f"lab: {lab} takes no dataset that the real lerobot did not load, and {python} is missing: `make certify-env`"
