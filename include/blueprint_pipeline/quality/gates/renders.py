"""Gates on what was rendered: the replay is proven, and the pictures show the task."""

from blueprint_pipeline.episode.record import CameraSight, EpisodeRecord, ReplayCertificate, ReplayRule, VideoRecord
from blueprint_pipeline.quality.gates.case import Measurement, ProbedVideo, RenderCase, not_measured
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.robot.placement import SCENE_CAMERA

_MID_GREY = 127.5
_NO_CERTIFICATE = "there is no certificate"


def measure_certificate(case: RenderCase, _rule: GateRule) -> Measurement:
    """Differences between the replay certificate and the recording it must be of; a replay that failed is one."""
    certificate, record = case.certificate, case.record
    if certificate is None or record.states is None:
        return not_measured(_NO_CERTIFICATE)
    found = []
    if not certificate.replayed:
        differs = f"differs from frame {certificate.first_difference_frame} on, by up to {_number(certificate.max_abs_qpos_difference)}"
        found.append(f"the replay failed: {certificate.refused or differs}")
    if certificate.first_difference_frame is not None and certificate.replayed and certificate.rule == "bit_identical":
        found.append(f"said to be identical, but differs in frame {certificate.first_difference_frame}")
    if certificate.rule != "bit_identical" and certificate.k_of_n is None and certificate.replayed:
        found.append(f"said to hold by the rule {certificate.rule}, but without the executions")
    pairs = [
        ("episode", certificate.episode_id, record.episode_id),
        ("states", certificate.states_sha256, record.states.sha256),
        ("model", certificate.model_sha256, record.model_sha256),
        ("frames", certificate.frames, record.frames),
        ("simulator", certificate.simulator, record.simulator),
        ("rule", certificate.rule, expected_rule(certificate, record)),
    ]
    found += [f"{name}: certified {certified}, recorded {recorded}" for name, certified, recorded in pairs if certified != recorded]
    return Measurement(float(len(found)), "; ".join(found) or f"replayed: {describe_rule(certificate)}")


def _number(difference: float | None) -> str:
    return "an unknown amount" if difference is None else f"{difference:.3g}"


def expected_rule(certificate: ReplayCertificate, record: EpisodeRecord) -> ReplayRule:
    """By which rule an episode must be certified: equal bits, unless its simulator promises none, or another class of machine acted."""
    if not record.capabilities.deterministic:
        return "k_of_n"
    elsewhere = record.platform and certificate.platform and certificate.platform.platform_class != record.platform
    return "bounded" if elsewhere and certificate.rule == "bounded" else "bit_identical"


def describe_rule(certificate: ReplayCertificate) -> str:
    """Which kind of certificate it is, with the evidence."""
    evidence = certificate.k_of_n
    if certificate.rule == "bit_identical" or evidence is None:
        return "bit-identical" if certificate.rule == "bit_identical" else f"{certificate.rule}, nothing was executed"
    if certificate.rule == "bounded":
        did = "did the task" if evidence.held else "did not do the task"
        return f"bounded, on another class of machine: {did}, states within {_number(certificate.max_abs_qpos_difference)} of the recording"
    spread = "unknown" if evidence.spread_m is None else f"{1000 * evidence.spread_m:.1f} mm"
    return f"k-of-n, {evidence.held} of {len(evidence.executions)} executions did the task, target within {spread} of the recording"


def measure_agreement(case: RenderCase, rule: GateRule) -> Measurement:
    """Share of executions that did the task again; a bit-identical replay is one, and did."""
    certificate = case.certificate
    if certificate is None:
        return not_measured(_NO_CERTIFICATE)
    if certificate.rule == "bit_identical":
        return Measurement(float(certificate.replayed), "one execution, compared bit by bit")
    evidence = certificate.k_of_n
    wanted = 1 if certificate.rule == "bounded" else int(rule.parameters["executions"])
    if evidence is None or len(evidence.executions) < wanted:
        return not_measured(f"{len(evidence.executions) if evidence else 0} executions, {wanted} are wanted")
    return Measurement(evidence.held / len(evidence.executions), describe_rule(certificate))


def measure_spread(case: RenderCase, _rule: GateRule) -> Measurement:
    """Largest distance of the target's end from the recorded one, over the executions that did the task [m]."""
    certificate = case.certificate
    if certificate is None:
        return not_measured(_NO_CERTIFICATE)
    if certificate.rule == "bit_identical":
        return Measurement(0.0, "bit-identical") if certificate.replayed else not_measured("the episode did not replay")
    spread_m = certificate.k_of_n.spread_m if certificate.k_of_n else None
    return not_measured("no execution did the task") if spread_m is None else Measurement(spread_m, describe_rule(certificate))


def measure_videos(case: RenderCase, _rule: GateRule) -> Measurement:
    """Findings about the planned cameras' files: there, the certified bytes, T frames, planned size and rate; depth and labels too."""
    if case.certificate is None:
        return not_measured(_NO_CERTIFICATE)
    found = [
        finding
        for camera in case.cameras
        for finding in _check_video(camera, case.videos.get(camera), case.certificate.videos.get(camera), case)
    ]
    named = {f"{camera}.depth.mkv": digest for camera, digest in case.certificate.depth.items()}
    named |= {f"{camera}.segmentation.mkv": digest for camera, digest in case.certificate.segmentation.items()}
    found += [f"{name} is not the certified file" for name, digest in sorted(named.items()) if case.side_files.get(name) != digest]
    return Measurement(float(len(found)), "; ".join(found[:5]))


def _check_video(camera: str, file: ProbedVideo | None, record: VideoRecord | None, case: RenderCase) -> list[str]:
    if file is None or record is None:
        return [f"{camera}: {'no file' if file is None else 'not in the certificate'}"]
    found = [] if file.digest == record.digest else [f"{camera}: sha256 {file.digest.sha256[:12]}, certified {record.digest.sha256[:12]}"]
    checks = [
        ("frames", file.frames, case.record.frames),
        ("certified frames", record.frames, case.record.frames),
        ("width", file.width, case.width),
        ("height", file.height, case.height),
        ("frames a second", file.frame_rate_hz, float(case.record.fps)),
    ]
    return found + [f"{camera}: {value} {name}, expected {expected}" for name, value, expected in checks if value != expected]


def _records(case: RenderCase) -> list[tuple[str, VideoRecord]] | None:
    if case.certificate is None or any(camera not in case.certificate.videos for camera in case.cameras) or not case.cameras:
        return None
    return [(camera, case.certificate.videos[camera]) for camera in case.cameras]


def measure_not_black(case: RenderCase, _rule: GateRule) -> Measurement:
    """Standard deviation over the pixels of the flattest frame of any camera, 0 to 255."""
    records = _records(case)
    if records is None:
        return not_measured("a camera has no record")
    camera, record = min(records, key=lambda item: item[1].std_luma)
    return Measurement(record.std_luma, f"camera {camera}")


def measure_exposure(case: RenderCase, _rule: GateRule) -> Measurement:
    """Distance of the mean brightness from mid-grey, of the camera that is farthest off, 0 to 127.5."""
    records = _records(case)
    if records is None:
        return not_measured("a camera has no record")
    camera, record = max(records, key=lambda item: abs(item[1].mean_luma - _MID_GREY))
    return Measurement(abs(record.mean_luma - _MID_GREY), f"camera {camera} has a mean of {record.mean_luma:.0f}")


def measure_not_frozen(case: RenderCase, _rule: GateRule) -> Measurement:
    """Longest run of equal frames of any camera, while the robot moves; of a camera on an arm, while that arm does."""
    records = _records(case)
    if records is None:
        return not_measured("a camera has no record")
    camera, record = max(records, key=lambda item: item[1].frozen_frames)
    return Measurement(float(record.frozen_frames), f"camera {camera}")


def measure_target_visible(case: RenderCase, _rule: GateRule) -> Measurement:
    """Share of frames in which the target is seen, of the camera that sees it most."""
    records = _records(case)
    if records is None:
        return not_measured("a camera has no record")
    seen = [(record.sight.target_visible_ratio, camera, record.sight.origin) for camera, record in records if record.sight is not None]
    if not seen:
        return not_measured("no camera looked for the target")
    ratio, camera, origin = max(seen)
    return Measurement(ratio, f"camera {camera} sees it most", origin)


def measure_ends_visible(case: RenderCase, _rule: GateRule) -> Measurement:
    """Pixels of the target in the first or the last frame of the scene's camera, whichever shows less of it."""
    sight = _scene_sight(case)
    if sight is None:
        return not_measured(f"camera {SCENE_CAMERA} did not look for the target")
    first, last = sight.target_ends_px
    return Measurement(float(min(first, last)), f"{first} pixels where it starts, {last} where it ends", sight.origin)


def _scene_sight(case: RenderCase) -> CameraSight | None:
    record = case.certificate.videos.get(SCENE_CAMERA) if case.certificate else None
    return record.sight if record else None


def measure_emptiness(case: RenderCase, _rule: GateRule) -> Measurement:
    """Share of the picture in which nothing stands, in the emptiest frame of any camera."""
    records = _records(case)
    if records is None:
        return not_measured("a camera has no record")
    found = [(record.sight.emptiest_share, camera, record.sight.origin) for camera, record in records if record.sight is not None]
    if len(found) < len(records):
        return not_measured("a camera did not look for what is there")
    share, camera, origin = max(found)
    return Measurement(share, f"camera {camera}", origin)


def measure_sharpness(case: RenderCase, _rule: GateRule) -> Measurement:
    """Variance of the Laplacian of the least sharp frame of any camera."""
    records = _records(case)
    if records is None:
        return not_measured("a camera has no record")
    camera, record = min(records, key=lambda item: item[1].sharpness)
    return Measurement(record.sharpness, f"camera {camera}")
