"""One holder at a time, whatever dies."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import structlog

from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.ids import run_name
from blueprint_pipeline.registry.leases import TAKEN_OVER, LeaseHeld, LeaseLost, lease_holder
from blueprint_pipeline.registry.processes import is_alive, this_process
from blueprint_pipeline.registry.sessions import RegistryUnavailable
from blueprint_pipeline.settings import RegistrySettings


def test_a_held_lease_names_its_holder_and_its_end(registry):
    """Who asks for a held lease learns who has it and until when, and that trying again may help."""
    registry.leases.acquire("s/another", "run-9", 600)
    lease = registry.leases.acquire("s/stage", "run-1", 60)
    with pytest.raises(LeaseHeld) as refused:
        registry.leases.acquire("s/stage", "run-2", 60)
    assert refused.value.facts["holder"] == "run-1"
    assert refused.value.facts["expires_at"] == lease.expires_at.isoformat()
    assert refused.value.retryable


def test_leases_of_other_names_are_free(registry):
    """A lease stops only its own name."""
    registry.leases.acquire("s/a", "run-1", 60)
    registry.leases.acquire("s/b", "run-2", 60)
    assert [lease.name for lease in registry.leases.active()] == ["s/a", "s/b"]


def test_an_expired_lease_is_taken_over_and_the_late_one_is_fenced_off(registry, clock):
    """The new holder has a larger token; the old one can neither renew, nor publish, nor release."""
    old = registry.leases.acquire("s/stage", "run-1", 60)
    clock.advance(seconds=60)
    new = registry.leases.acquire("s/stage", "run-2", 60)
    assert new.token == old.token + 1
    with pytest.raises(LeaseLost):
        registry.leases.renew(old, 60)
    with pytest.raises(LeaseLost):
        registry.leases.validate(old)
    assert registry.leases.release(old) is False
    registry.leases.validate(new)


def test_renewal_moves_the_end(registry, clock):
    """A renewed lease outlives its first end."""
    lease = registry.leases.acquire("s/stage", "run-1", 60)
    clock.advance(seconds=50)
    renewed = registry.leases.renew(lease, 60)
    clock.advance(seconds=50)
    with pytest.raises(LeaseHeld):
        registry.leases.acquire("s/stage", "run-2", 60)
    assert renewed.token == lease.token


def test_a_late_renewal_counts_if_nobody_took_over(registry, clock):
    """A process that slept past the end, with nobody else there, goes on."""
    lease = registry.leases.acquire("s/stage", "run-1", 60)
    clock.advance(seconds=600)
    registry.leases.renew(lease, 60)
    with pytest.raises(LeaseHeld):
        registry.leases.acquire("s/stage", "run-2", 60)


def test_a_released_lease_is_free_and_its_token_still_grows(registry):
    """Tokens never repeat, so an old holder is known forever."""
    first = registry.leases.acquire("s/stage", "run-1", 60)
    assert registry.leases.release(first) is True
    assert registry.leases.find("s/stage") is None
    assert registry.leases.acquire("s/stage", "run-1", 60).token == first.token + 1


def test_a_released_lease_cannot_be_renewed(registry):
    """Who gave it back has no claim to it, though its token is still the last one."""
    lease = registry.leases.acquire("s/stage", "run-1", 60)
    registry.leases.release(lease)
    with pytest.raises(LeaseLost):
        registry.leases.renew(lease, 60)
    assert registry.leases.find("s/stage") is None


def test_a_lease_ends_with_its_last_second(registry, clock):
    """At the moment of its end nobody holds it; it still stands under its holder's name."""
    registry.leases.acquire("s/stage", "run-1", 60)
    clock.advance(seconds=60)
    assert registry.leases.active() == []
    assert registry.leases.find("s/stage").holder == "run-1"


def test_a_token_that_was_never_given_validates_nothing(registry):
    """Neither an older nor a newer one than that of the lease."""
    lease = registry.leases.acquire("s/stage", "run-1", 60)
    for token in (lease.token - 1, lease.token + 1):
        with pytest.raises(LeaseLost):
            registry.leases.validate(lease.model_copy(update={"token": token}))
    registry.leases.validate(lease)


def test_the_same_holder_on_this_machine_does_not_get_it_twice(registry):
    """Two living processes with one run id do not both run."""
    registry.leases.acquire("s/stage", "run-1", 60)
    with pytest.raises(LeaseHeld):
        registry.leases.acquire("s/stage", "run-1", 60)


def test_the_same_run_takes_its_lease_over_from_another_machine(registry, monkeypatch):
    """A pod that was lost is tried again elsewhere: same run, new token; another run waits."""
    monkeypatch.setattr("blueprint_pipeline.registry.leases.this_process", lambda: "other-host|pid:[1]|7|1.00")
    lost = registry.leases.acquire("s/stage", "run-1", 60)
    monkeypatch.undo()
    with pytest.raises(LeaseHeld):
        registry.leases.acquire("s/stage", "run-2", 60)
    assert registry.leases.acquire("s/stage", "run-1", 60).token == lost.token + 1


def test_everything_of_a_holder_is_released_at_once(registry):
    """An operator frees what a lost run held, and nothing else."""
    for name in ("s/a", "s/b"):
        registry.leases.acquire(name, "run-1", 60)
    for name, holder in (("s/c", "run-2"), ("s/d", "run-0")):
        registry.leases.acquire(name, holder, 60)
    assert sorted(lease.name for lease in registry.leases.release_all("run-1")) == ["s/a", "s/b"]
    assert [lease.name for lease in registry.leases.active()] == ["s/c", "s/d"]


@pytest.fixture
def told():
    """What is logged."""
    with structlog.testing.capture_logs() as events:
        yield events


def test_a_lease_that_was_not_given_back_is_told_of(registry, clock, told):
    """Its holder went away in the middle of its work: whoever takes it over says so; one that was given back is no news."""
    registry.leases.acquire("s/stage", "d/run-1", 60)
    clock.advance(seconds=61)
    with registry.leases.hold("s/stage", "d/run-2", 60):
        pass
    with registry.leases.hold("s/stage", "d/run-3", 60), registry.leases.hold("s/other", "d/run-3", 60):
        pass
    (event,) = told
    assert (event["event"], event["log_level"], event["lease"], event["former"]) == (TAKEN_OVER, "warning", "s/stage", "d/run-1")
    assert event["expires_at"] == (clock() - timedelta(seconds=1)).isoformat()


def test_who_holds_a_lease():
    """Two DAGs have runs of one id, a pod may outlive its try, and the longest ids fit into the registry."""
    holders = [lease_holder(run_name(dag_id, "run"), pod) for dag_id in ("a", "b") for pod in (None, "u1", "u2")]
    assert holders[:2] == ["a/run", "a/run@u1"]
    assert len(set(holders)) == 6
    longest = [lease_holder(run_name("d" * 250, "r" * 250), f"{'0' * 35}{pod}") for pod in (1, 2)]
    assert [len(holder) for holder in longest] == [255, 255]
    assert longest[0] != longest[1]
    assert lease_holder(None).startswith("cli@")


def test_hold_renews_and_releases(url):
    """Within the block the lease outlives its time to live; after it, it is free, also after an error."""
    with open_registry(RegistrySettings(url=url)) as registry:
        with registry.leases.hold("s/stage", "run-1", 0.6) as held:
            time.sleep(1.2)
            held.validate()
            with pytest.raises(LeaseHeld):
                registry.leases.acquire("s/stage", "run-2", 1)
        assert registry.leases.active() == []
        with pytest.raises(KeyError), registry.leases.hold("s/stage", "run-1", 60):
            raise KeyError
        assert registry.leases.active() == []


def test_a_lost_lease_is_noticed_before_publishing(url):
    """When another has taken the lease over, validate says so, and leaving the block does not free the other's."""
    with open_registry(RegistrySettings(url=url)) as registry:
        with registry.leases.hold("s/stage", "run-1", 0.3) as held:
            registry.leases.release(held.lease)
            other = registry.leases.acquire("s/stage", "run-2", 60)
            with pytest.raises(LeaseLost):
                held.validate()
            time.sleep(0.3)
            with pytest.raises(LeaseLost):
                held.validate()
        registry.leases.validate(other)


def test_a_renewal_that_the_database_missed_is_made_up_for(url, monkeypatch):
    """When the database is away for one renewal, the next one keeps the lease."""
    with open_registry(RegistrySettings(url=url)) as registry:
        original, calls = registry.leases.renew, []

        def renew(lease, ttl_s):
            calls.append(ttl_s)
            if len(calls) == 1:
                raise RegistryUnavailable("url", "away")
            return original(lease, ttl_s)

        monkeypatch.setattr(registry.leases, "renew", renew)
        with registry.leases.hold("s/stage", "run-1", 1.2) as held:
            time.sleep(1.5)
            held.validate()
            assert held.lease.expires_at > held.lease.acquired_at + timedelta(seconds=1.2)
        assert len(calls) > 1


def test_one_of_eight_threads_gets_the_lease(url):
    """Eight that ask at once: one has it, seven learn who."""
    with open_registry(RegistrySettings(url=url)) as registry:
        barrier = threading.Barrier(8)

        def ask(index):
            barrier.wait()
            try:
                return registry.leases.acquire("s/stage", f"run-{index}", 60)
            except LeaseHeld:
                return None

        with ThreadPoolExecutor(8) as pool:
            got = [lease for lease in pool.map(ask, range(8)) if lease is not None]
        assert len(got) == 1
        assert registry.leases.active() == got


@pytest.mark.parametrize("registry_url", [pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_who_loses_a_race_learns_who_won(registry, url, clock, monkeypatch):
    """Another takes an expired lease after it was looked at and before it is taken. SQLite lets nobody write in between."""
    registry.leases.acquire("s/stage", "run-1", 60)
    clock.advance(seconds=60)
    with open_registry(RegistrySettings(url=url), clock) as other:

        def win(process):
            monkeypatch.undo()
            other.leases.acquire("s/stage", "run-2", 60)
            return is_alive(process)

        monkeypatch.setattr("blueprint_pipeline.registry.leases.is_alive", win)
        with pytest.raises(LeaseHeld) as refused:
            registry.leases.acquire("s/stage", "run-3", 60)
    assert refused.value.facts["holder"] == "run-2"
    assert refused.value.facts["expires_at"] == (clock() + timedelta(seconds=60)).isoformat()


HOLDER = """
import sys, time
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import RegistrySettings
open_registry(RegistrySettings(url=sys.argv[1])).leases.acquire("s/stage", sys.argv[2], 600)
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_process_frees_its_lease_at_once(url):
    """While a process lives nobody gets its lease; after kill -9 the next one does, without waiting for the end of the lease."""
    with open_registry(RegistrySettings(url=url)) as registry:
        process = subprocess.Popen([sys.executable, "-c", HOLDER, url, "run-1"], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "held\n"
            for run_id in ("run-1", "run-2"):
                with pytest.raises(LeaseHeld):
                    registry.leases.acquire("s/stage", run_id, 60)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert registry.leases.acquire("s/stage", "run-2", 60).token == 2


def test_processes_are_told_apart():
    """This process lives; a process of its number that started at another time does not; one elsewhere is not known."""
    name = this_process()
    assert is_alive(name) is True
    assert is_alive(f"{name.rsplit('|', 1)[0]}|5.00") is False
    assert is_alive(f"x{name}") is None
