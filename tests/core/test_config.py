"""Bad config: one message that names the key, the value and what is allowed."""

import msgspec
import pytest

from lowlat.core.config import decode_config, effective_config
from lowlat.core.errors import ConfigError


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    market_share_bps: int = 500


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: str = "off"


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    risk: Risk = Risk()
    parts: dict[str, Part] = {}

    def validate(self) -> None:
        if self.name == "live":
            raise ConfigError("name was 'live', expected another name")


def test_a_good_file_decodes_and_prints_every_key():
    config = decode_config("name = 'a'\n[risk]\nmarket_share_bps = 7", Root)
    assert effective_config(config) == ["name = 'a'", "risk.market_share_bps = 7"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 1", ["name", "1", "str"]),
        ("nam = 'a'", ["unknown key nam", "'a'", "did you mean name"]),
        ("name='a'\n[risk]\nmarket_share = 3", ["risk.market_share", "3", "market_share_bps"]),
        ("name='a'\n[risk]\nmarket_share_bps = 'x'", ["risk.market_share_bps", "'x'", "int"]),
        (
            "name='a'\n[parts.a]\nmode='x'\n[parts.b]\nmod='y'",
            ["parts.b.mod", "'y'", "did you mean mode?"],
        ),
        ("name='a'\n[parts.b]\nmode=3", ["parts.b.mode", "3", "str"]),
        ("", ["name"]),
        ("name = ", ["not valid TOML"]),
        ("name = 'live'", ["'live'", "expected"]),
    ],
)
def test_a_bad_file_gives_one_message_with_key_value_and_what_is_allowed(text, words):
    with pytest.raises(ConfigError) as caught:
        decode_config(text, Root, source="lowlat.toml")
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
