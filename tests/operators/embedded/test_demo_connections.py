"""`make up` answers in the place of those whom the settings do not name."""

import stat

from operators.embedded.demo_connections import lab_secret, with_receivers
from operators.embedded.receivers import receive
from operators.embedded.settings_file import AirflowSettings, ConnectionRow, load_airflow_settings
from tests.airflow_home import ROOT


def test_the_shipped_connections_are_all_played():
    """Whoever runs a DAG under `make up` gets to its end: Slack answers, and every lab takes the signed webhook."""
    with receive() as slack, receive("whsec_c2VjcmV0") as lab:
        rows = with_receivers(load_airflow_settings(ROOT / "airflow_settings.yaml"), slack, lab).connections
        for row in rows:
            expected, secret = (slack, "T000/B000/none") if row.conn_type == "slackwebhook" else (lab, "whsec_c2VjcmV0")
            assert row.conn_host.startswith(expected.url)
            assert row.conn_password == secret
    assert len(rows) > 2


def test_a_connection_with_a_host_is_left_alone():
    """Who names a real Slack means it."""
    row = ConnectionRow(conn_id="slack_default", conn_type="slackwebhook", conn_host="https://hooks.slack.com/services", conn_password="x")
    with receive() as slack, receive() as lab:
        assert with_receivers(AirflowSettings(connections=(row,)), slack, lab).connections == (row,)


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path):
    secret = lab_secret(tmp_path / "home")
    assert lab_secret(tmp_path / "home") == secret
    assert stat.S_IMODE((tmp_path / "home" / "lab_webhook_secret").stat().st_mode) == 0o600


def test_messages_are_taken_once():
    """Each is shown when it came, and never again."""
    import urllib.request

    with receive() as slack:
        urllib.request.urlopen(slack.url, data=b"{}")
        assert [message.body for message in slack.take()] == [{}]
        assert slack.take() == []
