"""Configuration: precedence, refusal of unknown keys, readable errors."""

from pathlib import Path

import pytest

from antiphon_proto.config import Config, as_gateway, load, to_toml
from antiphon_proto.errors import ConfigurationError


def test_several_gateways_need_a_dispatcher_and_have_names() -> None:
    with pytest.raises(ConfigurationError, match="through a dispatcher"):
        load(environment={}, settings=["gateway.processes=2"])
    config = load(environment={}, settings=["gateway.processes=2", "bus.dispatcher=process"])
    assert config.gateways == ("gateway-0", "gateway-1")
    assert config.hub == "dispatcher"
    assert as_gateway(config, 1).gateway.name == "gateway-1"
    assert as_gateway(config, 1).gateways == config.gateways
    with pytest.raises(ConfigurationError, match="gateway 2 is none of"):
        as_gateway(config, 2)


def test_defaults_bind_to_loopback() -> None:
    config = load(environment={})
    assert (config.gateway.host, config.gateway.port) == ("127.0.0.1", 8080)


def test_flags_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.toml"
    file.write_text("[gateway]\nport = 1\nhost = '127.0.0.2'\n[llm]\ntemperature = 1.5\n")
    config = load(
        file=str(file),
        environment={"ANTIPHON_GATEWAY__PORT": "2", "ANTIPHON_LLM__TEMPERATURE": "0.5"},
        settings=["gateway.port=3"],
    )
    assert config.gateway.port == 3
    assert config.gateway.host == "127.0.0.2"
    assert config.llm.temperature == 0.5


def test_lists_are_separated_by_commas_in_the_environment() -> None:
    config = load(environment={"ANTIPHON_GATEWAY__API_KEYS": "a, b"})
    assert config.gateway.api_keys == ("a", "b")


@pytest.mark.parametrize(
    ("environment", "settings", "message"),
    [
        (
            {"ANTIPHON_GATEWAY__PROT": "1"},
            [],
            r"no setting gateway\.prot; did you mean gateway\.po",
        ),
        ({"ANTIPHON_NONSENSE": "1"}, [], "example ANTIPHON_GATEWAY__PORT"),
        ({}, ["gateway.port"], "is not SECTION.KEY=VALUE"),
        ({}, ["port=1"], r"setting port is not .* example gateway\.port"),
        ({}, ["gateway.port=70000"], r"^gateway\.port is '70000'; expected int <= 65535$"),
        ({}, ["gateway.port=many"], r"^gateway\.port is 'many'; expected int, got str$"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    environment: dict[str, str], settings: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(environment=environment, settings=settings)


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.toml"
    file.write_text("[gateway]\nprot = 1\n")
    with pytest.raises(ConfigurationError, match=r"no setting gateway.prot; .*gateway.port\?"):
        load(file=str(file), environment={})
    file.write_text("[gatway]\nport = 1\n")
    with pytest.raises(ConfigurationError, match=r"no section gatway; did you mean gateway\?"):
        load(file=str(file), environment={})


def test_an_error_in_the_api_keys_does_not_show_them(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.toml"
    file.write_text("[gateway]\napi_keys = 'secret'\n")
    with pytest.raises(ConfigurationError, match=r"gateway\.api_keys expected array") as caught:
        load(file=str(file), environment={})
    assert "secret" not in str(caught.value)


def test_a_masked_key_is_not_taken_for_a_key(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.toml"
    file.write_text(to_toml(load(environment={"ANTIPHON_GATEWAY__API_KEYS": "secret"})))
    with pytest.raises(ConfigurationError, match="stands for a hidden key"):
        load(file=str(file), environment={})


def test_the_printed_configuration_loads_again_and_hides_keys(tmp_path: Path) -> None:
    config = load(environment={"ANTIPHON_GATEWAY__API_KEYS": "secret"})
    text = to_toml(config)
    assert "secret" not in text
    file = tmp_path / "antiphon.toml"
    file.write_text(to_toml(Config()))
    assert load(file=str(file), environment={}) == Config()
