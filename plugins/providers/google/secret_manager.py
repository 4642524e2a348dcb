"""Google Secret Manager as Airflow's secrets backend, one that never takes an outage for an absent secret.

Airflow asks its backends in turn and goes on to the next one whatever a backend raises. With the provider's own backend a secret
that may not be read, or a Secret Manager that does not answer, therefore ends as "the conn_id isn't defined", and who can do
without a connection does without it. Here only a secret that is missing leads on to the next backend. Everything else is raised
as the one kind of error that Airflow lets through, with words for on-call:

===============================================  =======================  =======
Secret Manager says                              raised                   retried
===============================================  =======================  =======
NOT_FOUND                                        nothing: the next one
PERMISSION_DENIED, UNAUTHENTICATED               ``SecretRefused``        no
FAILED_PRECONDITION (version disabled)           ``SecretRefused``        no
INVALID_ARGUMENT                                 ``SecretRefused``        no
text that is no connection                       ``SecretUnreadable``     no
anything else, or nothing in time                ``SecretsUnavailable``   yes
===============================================  =======================  =======

Nothing is kept between two reads: a rotated secret counts at the next one. Reads go over HTTP: Airflow's supervisor reads the
connection of its remote log and then forks the task, and a process that has used gRPC waits a minute in ``fork``, every other time.

Source: ``airflow.sdk.execution_time.context._get_connection`` (task SDK 1.3.2); Secret Manager's error codes (google.rpc.Code).
"""

from typing import TYPE_CHECKING, Any

from airflow.providers.google.cloud._internal_client.secret_manager_client import _SecretManagerClient
from airflow.providers.google.cloud.secrets.secret_manager import CloudSecretManagerBackend
from airflow.providers.google.common.consts import CLIENT_INFO
from airflow.sdk.exceptions import AirflowException, AirflowSecretsBackendAccessDenied
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from requests import RequestException

from blueprint_pipeline.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_REFUSED = (api.Forbidden, api.Unauthorized, api.BadRequest, DefaultCredentialsError)
_TRY_AGAIN = if_exception_type(api.ServiceUnavailable, api.TooManyRequests, RequestException)


class SecretRefused(ConfigurationError, AirflowSecretsBackendAccessDenied):
    """Secret Manager answers, but does not give out the secret."""

    code = "secrets.refused"
    template = (
        "Secret Manager refuses '{secret}': {reason}. Give this process's service account "
        "roles/secretmanager.secretAccessor on the project (on single secrets, absent ones would be refused too), "
        "and see that the newest version is enabled."
    )

    secret: str
    reason: str


class SecretUnreadable(ConfigurationError, AirflowSecretsBackendAccessDenied):
    """A secret is there, but its newest version is not what it should be."""

    code = "secrets.unreadable"
    template = (
        "The newest version of secret '{secret}' cannot be read ({problem}). Add a version that is a connection as "
        'JSON ({{"conn_type": …, "host": …}}) or as a URI, in UTF-8.'
    )

    secret: str
    problem: str


class SecretsUnavailable(TransientError, AirflowSecretsBackendAccessDenied):
    """Secret Manager gave no answer: whether the secret exists is not known."""

    code = "secrets.unavailable"
    template = (
        "Secret Manager did not answer for '{secret}': {reason}. Tasks are tried again on their own; if it lasts, "
        "look at Google Cloud's status page and at the way from the cluster to secretmanager.googleapis.com."
    )

    secret: str
    reason: str


class SecretManagerBackend(CloudSecretManagerBackend):
    """Reads connections and variables from Secret Manager, every time: nothing is cached.

    Args:
        endpoint: URL of a regional or private endpoint; Google's global one if not given.
        timeout_s: How long one read may take, tries included.
        kwargs: As the provider's backend has them: prefixes, ``sep``, ``project_id``, credentials.
    """

    def __init__(self, *, endpoint: str | None = None, timeout_s: float = 20.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._endpoint = endpoint
        self._timeout_s = timeout_s

    @property
    def client(self) -> _SecretManagerClient:
        """What reads one secret."""
        return _SecretReader(getattr(self, "credentials", None), self._endpoint, self._timeout_s)  # absent where none were found

    def deserialize_connection(self, conn_id: str, value: str) -> Any:
        """The connection that a secret holds.

        Raises:
            SecretUnreadable: It holds none.
        """
        try:
            return super().deserialize_connection(conn_id, value)
        except (ValueError, TypeError, AirflowException) as error:
            raise SecretUnreadable(f"{self.connections_prefix}{self.sep}{conn_id}", type(error).__name__) from error


class _SecretReader(_SecretManagerClient):
    """One read over a connection of its own."""

    def __init__(self, credentials: "Credentials | None", endpoint: str | None, timeout_s: float) -> None:
        super().__init__(credentials=credentials)  # type: ignore[arg-type]  # None: Google's client looks for its own, or says that there are none
        self._options = {"api_endpoint": endpoint} if endpoint else None
        self._timeout_s = timeout_s

    def get_secret(self, secret_id: str, project_id: str, secret_version: str = "latest") -> str | None:  # noqa: S107 -- a version
        """The text of a secret, or ``None`` if there is none of this name, or can be none.

        Raises:
            SecretRefused: It may not be read.
            SecretUnreadable: It is no text.
            SecretsUnavailable: There was no answer in time.
        """
        if not self.is_valid_secret_name(secret_id):
            return None
        try:
            return self._access(secret_id, project_id, secret_version).decode()
        except api.NotFound:
            return None
        except _REFUSED as error:
            raise SecretRefused(secret_id, str(error)) from error
        except (api.GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise SecretsUnavailable(secret_id, str(error)) from error
        except UnicodeDecodeError as error:
            raise SecretUnreadable(secret_id, type(error).__name__) from error

    def _access(self, secret_id: str, project_id: str, secret_version: str) -> bytes:
        retry = Retry(predicate=_TRY_AGAIN, initial=0.5, maximum=5.0, timeout=self._timeout_s)
        name = SecretManagerServiceClient.secret_version_path(project_id, secret_id, secret_version)
        reader = SecretManagerServiceClient(
            transport="rest", credentials=self.credentials, client_info=CLIENT_INFO, client_options=self._options
        )
        with reader as client:
            data: bytes = client.access_secret_version(name=name, retry=retry, timeout=self._timeout_s).payload.data
        return data
