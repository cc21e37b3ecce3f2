"""Settings come from variables, flags stand above them, and a bad one is named in plain words."""

from pathlib import Path
from typing import Any

import pytest

from talekeeper.errors import ConfigurationError
from talekeeper.settings import Settings, is_loopback, load_settings


def test_without_variables_it_listens_on_this_machine_only():
    settings = load_settings()
    assert (settings.host, settings.port, settings.provider) == ("127.0.0.1", 8000, "local")
    assert settings.token is None
    assert settings.database_url is None


def test_every_setting_says_what_it_is_for():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_flag_stands_above_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TALEKEEPER_PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=9001).port == 9001
    assert load_settings(port=None).port == 9000


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TALEKEEPER_TOKEN", "")
    monkeypatch.setenv("TALEKEEPER_PORT", "")
    assert load_settings().token is None
    assert load_settings().port == 8000


def test_several_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TALEKEEPER_ALLOWED_HOSTS", " tales.lan , tales.example:9000,")
    assert load_settings().allowed_hosts == ("tales.lan", "tales.example:9000")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TALEKEEPER_PORT", "http"),
        ("TALEKEEPER_PORT", "70000"),
        ("TALEKEEPER_PROVIDER", "skynet"),
        ("TALEKEEPER_DATABASE_URL", "mysql://somewhere"),
        ("TALEKEEPER_OPENAI_BASE_URL", "file:///etc/passwd"),
        ("TALEKEEPER_OPENAI_BASE_URL", "https://me:secret@example.com"),
        ("TALEKEEPER_PUBLIC_URL", "tales.example"),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/tales?x=1"),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/tales#x"),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/a//b"),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/../b"),
        ("TALEKEEPER_PUBLIC_URL", 'https://tales.example/"><script>'),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/%2e%2e"),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/api"),
        ("TALEKEEPER_PUBLIC_URL", "https://tales.example/c/tales"),
        ("TALEKEEPER_TOKEN", "two words"),
        ("TALEKEEPER_BEHIND_PROXY", "perhaps"),
        ("TALEKEEPER_PROVIDER_STALL_SECONDS", "0"),
        ("TALEKEEPER_ALLOWED_HOSTS", "https://tales.example"),
        ("TALEKEEPER_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_and_its_variable_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        load_settings()


def test_a_certificate_without_its_key_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="TALEKEEPER_TLS_KEY"):
        load_settings(tls_cert=tmp_path / "cert.pem")


@pytest.mark.req("S10")
def test_the_master_key_may_not_lie_among_the_data(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="outside the data folder"):
        load_settings(data_dir=tmp_path, key_file=tmp_path / "sub" / "master.key")


@pytest.mark.req("S10")
def test_secrets_are_not_shown_by_accident():
    settings = load_settings(
        token="CANARY", openai_api_key="CANARY", database_url="postgresql://u:CANARY@h/d"
    )
    assert "CANARY" not in repr(settings)
    assert "CANARY" not in str(settings)


@pytest.mark.req("S10")
def test_a_secret_is_not_repeated_when_it_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TALEKEEPER_TOKEN", "CANARY with spaces")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings_do_not_change_while_the_server_runs():
    settings: Any = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.req("S2")
@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("localhost.example", False),
        ("2130706433", False),
        ("tales.lan", False),
    ],
)
def test_only_this_machines_own_addresses_are_loopback(host: str, loopback: bool):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379",
        "redis://",
        "redis://h:port/0",
        "redis://h:99999",
        "redis://h/none",
        "redis://h/0?db=1",
    ],
)
def test_an_address_that_is_no_redis_is_refused_without_its_password(url: str) -> None:
    secret = url.replace("://", "://:sesame@")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(redis_url=secret, database_url="postgresql://h/d")
    assert "TALEKEEPER_REDIS_URL is not usable" in refused.value.message
    assert "sesame" not in refused.value.message


def test_redis_is_refused_with_sqlite_and_its_password_is_in_no_printed_setting() -> None:
    with pytest.raises(ConfigurationError, match="TALEKEEPER_DATABASE_URL"):
        load_settings(redis_url="redis://:sesame@h:6379/0")
    settings = load_settings(redis_url="rediss://:sesame@h/1", database_url="postgresql://h/d")
    assert "sesame" not in repr(settings) + str(settings) + settings.model_dump_json()
