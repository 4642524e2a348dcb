"""What an image build learns of this machine's pip: where packages come from, and nothing else."""

import configparser
import os
import subprocess
import sys

import pytest

from tests.shipping.pip_index import CA_IN_IMAGE, configured_index


@pytest.fixture
def ask(tmp_path):
    """The settings handed over and the options of the build, for a ``pip.conf`` and ``PIP_*`` variables of a machine."""

    def call(conf, **variables):
        (tmp_path / "machine.conf").write_text(conf)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        options = configured_index(tmp_path, clean | {"PIP_CONFIG_FILE": str(tmp_path / "machine.conf")} | variables)
        handed = configparser.RawConfigParser()
        handed.read(tmp_path / "pip.conf")
        assert handed.sections() == ["global"]
        return dict(handed["global"]), options

    return call


@pytest.fixture
def folders(tmp_path):
    """Wheels, and an index of files with its files beside it, some levels down."""
    wheels, index = tmp_path / "wheels", tmp_path / "mirror" / "simple"
    wheels.mkdir()
    index.mkdir(parents=True)
    return wheels, index


def volumes(options):
    return [value for flag, value in zip(options[::2], options[1::2], strict=True) if flag == "--volume"]


def test_a_constraint_of_the_machine_is_not_handed_over(ask):
    """The build has neither the machine's constraints nor its other files: pip would stop at the first that is missing."""
    conf = """
        [global]
        constraint = /etc/xdg/pip/constraints.txt
        require-virtualenv = true
        index-url = https://packages.example.org/simple
        [install]
        requirement = /root/always.txt
        target = /srv/python
        """
    settings, _ = ask(conf, PIP_USER="1", PIP_BUILD_CONSTRAINT="/root/build.txt", PIP_CACHE_DIR="/root/cache", PIP_LOG="/var/log/pip")
    assert settings["index-url"] == "https://packages.example.org/simple"
    assert not settings.keys() & {
        "constraint",
        "require-virtualenv",
        "requirement",
        "target",
        "user",
        "build-constraint",
        "cache-dir",
        "log",
    }
    assert "config-file" not in settings


def test_every_setting_that_says_where_packages_are_is_handed_over(ask, folders):
    """Lists over several lines become one line; folders are mounted where they stand, an index of files with what lies beside it."""
    wheels, index = folders
    conf = f"""
        [global]
        extra-index-url = file://{index}
            https://more.example.org/a%20b/simple
        find-links = {wheels}
        trusted-host = more.example.org
            other.example.org
        no-index = false
        proxy = http://proxy.example.org:3128
        retries = 7
        """
    settings, options = ask(conf, PIP_DEFAULT_TIMEOUT="180")
    assert settings["extra-index-url"] == f"file://{index} https://more.example.org/a%20b/simple"
    assert settings["find-links"] == str(wheels)
    assert settings["trusted-host"] == "more.example.org other.example.org"
    assert (settings["no-index"], settings["proxy"]) == ("false", "http://proxy.example.org:3128")
    assert (settings["retries"], settings["default-timeout"]) == ("7", "180")
    assert volumes(options) == [f"{index.parent}:{index.parent}:ro", f"{wheels}:{wheels}:ro"]


def test_the_environment_beats_the_section_of_install_and_that_beats_the_global_one(ask):
    """As pip itself reads them."""
    conf = """
        [global]
        index-url = https://global.example.org/simple
        extra-index-url = https://global.example.org/more
        [install]
        index-url = https://install.example.org/simple
        extra-index-url = https://install.example.org/more
        """
    settings, _ = ask(conf, PIP_INDEX_URL="https://environment.example.org/simple")
    assert settings["index-url"] == "https://environment.example.org/simple"
    assert settings["extra-index-url"] == "https://install.example.org/more"


def test_a_relative_folder_of_wheels_is_mounted_whole(ask, folders, monkeypatch):
    """It is read against the machine's working folder, which the build does not share; nothing beside it is shown to the build."""
    wheels, _ = folders
    monkeypatch.chdir(wheels.parent)
    settings, options = ask("", PIP_FIND_LINKS="wheels", PIP_NO_INDEX="1", PIP_EXTRA_INDEX_URL="")
    assert settings["find-links"] == str(wheels)
    assert settings["no-index"] == "1"
    assert volumes(options) == [f"{wheels}:{wheels}:ro"]


def test_an_authority_of_the_machine_becomes_a_secret(ask, tmp_path):
    """The bundle stands where the image has its own."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    settings, options = ask("", PIP_CERT=str(bundle))
    assert settings["cert"] == CA_IN_IMAGE
    assert options[:2] == ["--secret", f"id=ca,src={bundle}"]


def test_pip_itself_reads_what_is_handed_over(ask, folders, tmp_path):
    """With the machine's constraint pip would end here: its file does not exist."""
    wheels, _ = folders
    ask(f"[global]\nconstraint = {tmp_path}/none.txt\nfind-links = {wheels}\nno-index = true\nindex-url = https://packages.example.org\n")
    command = [sys.executable, "-m", "pip", "download", "--dest", tmp_path, "blueprint-pipeline-nothing-of-this-name"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    for conf, words in (("machine.conf", "none.txt"), ("pip.conf", "No matching distribution found")):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean | {"PIP_CONFIG_FILE": str(tmp_path / conf)})
        assert words in done.stderr, done.stderr
