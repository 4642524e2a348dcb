"""What can be wrong with lab profiles, keys, bundles, deliveries and calls to labs.

::

    InputError          UnknownLab, NotABundle, NameNotPortable
    ConfigurationError  InvalidLabProfile, SigningKeyMissing, SigningKeyExists, InvalidKey, KeyNotPinned,
                        BucketRefused, WebhookUrlInvalid, WebhookSecretMissing, WebhookSecretInvalid, WebhookRefused
    IntegrityError      BundleAltered, SignatureInvalid, WrongKey, DeliveryConflict, KitDiffers
    GateError           LicenceRefused, LabRequirementUnmet
    TransientError      UploadDamaged, BucketUnreachable, WebhookUndelivered
"""

from collections.abc import Sequence
from pathlib import Path

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import ConfigurationError, GateError, InputError, IntegrityError, TransientError


class UnknownLab(InputError):
    """No profile has this id."""

    code = "delivery.unknown_lab"

    def __init__(self, lab: str, known: Sequence[str]) -> None:
        super().__init__(
            f"There is no lab '{lab}'. Labs: {', '.join(known) or 'none'}. Add a profile as include/config/labs/{lab}.yaml.", lab=lab
        )


class NotABundle(InputError):
    """What shall be verified is no delivered bundle."""

    code = "delivery.not_a_bundle"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} is not a delivered bundle: {reason}. Give the folder (or a .tar of it) that holds bagit.txt and statement.dsse.json.",
            path=path,
            reason=reason,
        )


class NameNotPortable(InputError):
    """A file's name cannot be packed so that all tools find it again."""

    code = "delivery.name_not_portable"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} cannot be packed: {reason}. Rename the file at its source.", name=name, reason=reason)


class InvalidLabProfile(ConfigFileInvalid):
    """A lab's profile cannot be used."""

    code = "delivery.invalid_lab_profile"


class SigningKeyMissing(ConfigurationError):
    """There is no key to sign with."""

    code = "delivery.signing_key_missing"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"There is no signing key at {path}. Set BPP__DELIVERY__SIGNING_KEY to an Ed25519 private key (PEM, PKCS 8), or make one"
            " for trials with `make_signing_key` (`make demo` does it).",
            path=path,
        )


class SigningKeyExists(ConfigurationError):
    """A key would be overwritten."""

    code = "delivery.signing_key_exists"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already and is never overwritten: labs may have pinned it. Choose another path.", path=path)


class InvalidKey(ConfigurationError):
    """A key file does not hold an Ed25519 key."""

    code = "delivery.invalid_key"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not an Ed25519 key in PEM form: {reason}.", path=path, reason=reason)


class KeyNotPinned(ConfigurationError):
    """The lab trusts another key than the one that would sign."""

    code = "delivery.key_not_pinned"

    def __init__(self, lab: str, pinned_keyid: str, keyid: str) -> None:
        super().__init__(
            f"Lab {lab} trusts the key {pinned_keyid}, and the signing key is {keyid}: the lab would refuse the bundle. Sign with the"
            " pinned key, or agree on the new one with the lab and change its profile.",
            lab=lab,
            pinned_keyid=pinned_keyid,
            keyid=keyid,
        )


class BundleAltered(IntegrityError):
    """A bundle does not hold the bytes that were signed."""

    code = "delivery.bundle_altered"

    def __init__(self, path: str, first: str, findings: Sequence[str]) -> None:
        more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            f"{path} is not what was signed; first bad file: {first}: {findings[0]}{more}. Fetch the delivery again.",
            path=path,
            first=first,
            findings=list(findings),
        )


class SignatureInvalid(IntegrityError):
    """The signed statement or its signature was changed."""

    code = "delivery.signature_invalid"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path}: statement.dsse.json: {reason}. Nothing in this bundle is proven; fetch the delivery again, and tell the sender if it"
            " stays so.",
            path=path,
            reason=reason,
        )


class WrongKey(IntegrityError):
    """A bundle was signed with another key than the one that is trusted."""

    code = "delivery.wrong_key"

    def __init__(self, path: str, expected_keyid: str, found_keyids: Sequence[str]) -> None:
        super().__init__(
            f"{path} was signed with key {', '.join(found_keyids) or 'none'}; the trusted key is {expected_keyid}. Whoever signed it is not"
            " the sender that you trust.",
            path=path,
            expected_keyid=expected_keyid,
            found_keyids=list(found_keyids),
        )


class DeliveryConflict(IntegrityError):
    """Something else lies where the bundle shall go."""

    code = "delivery.conflict"

    def __init__(self, location: str, name: str, expected_sha256: str, found: str) -> None:
        super().__init__(
            f"{location}/{name} is there already and is not this delivery's ({found}, expected sha256 {expected_sha256}). Nothing was"
            " overwritten. Move the old delivery away, or deliver to another place.",
            location=location,
            name=name,
            expected_sha256=expected_sha256,
            found=found,
        )


class CertificateMissing(IntegrityError):
    """An episode is to be delivered that has no replay certificate."""

    code = "delivery.certificate_missing"

    def __init__(self, episode_id: str) -> None:
        super().__init__(f"Episode {episode_id} is kept, and has no certificate.json. Render its shard again.", episode_id=episode_id)


class KitDiffers(IntegrityError):
    """The replay kit does not give the model that an episode was recorded with."""

    code = "delivery.kit_differs"

    def __init__(self, episode_id: str, recorded_sha256: str, found_sha256: str) -> None:
        super().__init__(
            f"Episode {episode_id} was recorded with model {recorded_sha256[:16]}, and the kit gives {found_sha256[:16]}: a lab could not"
            " replay it. Scene, robot or code changed since the simulation: simulate again.",
            episode_id=episode_id,
            recorded_sha256=recorded_sha256,
            found_sha256=found_sha256,
        )


class LabRequirementUnmet(GateError):
    """The dataset is sound, and not what the lab agreed to take."""

    code = "delivery.lab_requirement_unmet"

    def __init__(self, lab: str, requirements: Sequence[str]) -> None:
        super().__init__(
            f"Lab {lab} does not take this dataset: {'; '.join(requirements)}. The thresholds stand in include/config/labs/{lab}.yaml.",
            lab=lab,
            requirements=list(requirements),
        )


class UploadDamaged(TransientError):
    """What was read back from a bucket is not what was sent."""

    code = "delivery.upload_damaged"

    def __init__(self, location: str, expected_sha256: str, found_sha256: str) -> None:
        super().__init__(
            f"{location} was read back with sha256 {found_sha256}, and {expected_sha256} was sent. The staged copy will be sent again.",
            location=location,
            expected_sha256=expected_sha256,
            found_sha256=found_sha256,
        )


class BucketUnreachable(TransientError):
    """The lab's bucket did not answer, after retries."""

    code = "delivery.bucket_unreachable"

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"{location} could not be written or read after retries: {reason}. What was uploaded stays staged; run the stage again.",
            location=location,
            reason=reason,
        )


class BucketRefused(ConfigurationError):
    """The lab's bucket says no, and would say no again."""

    code = "delivery.bucket_refused"

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"{location} cannot be used: {reason}. Check the bucket's URL (the lab's profile or connection) and our rights in it.",
            location=location,
            reason=reason,
        )


class WebhookSecretMissing(ConfigurationError):
    """There is no secret to sign a lab's webhook with."""

    code = "delivery.webhook_secret_missing"

    def __init__(self, lab: str, connection: str) -> None:
        super().__init__(
            f"The webhook of lab {lab} is signed, and this process was given no secret. Put it into the Airflow connection '{connection}'"
            " (password), or into BPP__DELIVERY__WEBHOOK_SECRET.",
            lab=lab,
            connection=connection,
        )


class WebhookSecretInvalid(ConfigurationError):
    """The secret cannot sign."""

    code = "delivery.webhook_secret_invalid"

    def __init__(self) -> None:
        super().__init__("The webhook secret is not whsec_ and the base64 of 24 to 64 bytes. Ask the lab for its endpoint's secret.")


class WebhookUrlInvalid(ConfigurationError):
    """The address would send a call in the clear."""

    code = "delivery.webhook_url_invalid"

    def __init__(self, url: str) -> None:
        super().__init__(f"The webhook address {url} is not https (http is taken on localhost alone). Correct the lab's profile.", url=url)


class WebhookRefused(ConfigurationError):
    """The lab's receiver said no, and would say no again."""

    code = "delivery.webhook_refused"

    def __init__(self, url: str, status: int, attempts: Sequence[object]) -> None:
        super().__init__(
            f"{url} answered {status}. Ask the lab whether the address and the secret are still right.",
            url=url,
            status=status,
            attempts=list(attempts),
        )


class WebhookUndelivered(TransientError):
    """The lab's receiver did not take the call, after retries."""

    code = "delivery.webhook_undelivered"

    def __init__(self, url: str, reason: str, attempts: Sequence[object]) -> None:
        super().__init__(
            f"{url} did not take the call in {len(attempts)} attempts; last: {reason}. The delivery stands; run the stage again later.",
            url=url,
            reason=reason,
            attempts=list(attempts),
        )
