"""The config file and the credentials file: what is refused, and in which words."""

import os

import msgspec
import pytest
from config_text import GOOD

from lowlat.app.config import (
    EngineConfig,
    check_modules,
    load_config,
    load_credentials,
    refuse_owner_key,
)
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError
from lowlat.venues.polymarket.eip712 import SigningKey

BAD = [
    ('mode = "sim"', 'mode = "reel"', ["mode", "'reel'"]),
    ('instance = "t1"', 'instance = "No Spaces"', ["instance", "'No Spaces'", "a-z"]),
    ('instance = "t1"', "instance = 7", ["instance", "7", "str"]),
    ('instance = "t1"\n', "", ["instance", "missing"]),
    ("[account]", "[acount]", ["acount", "did you mean account?"]),
    ('clob_url = "http://127.0.0.1:1"', 'clob_url = "ftp://127.0.0.1"',
     ["endpoints.clob_url", "'ftp://127.0.0.1'", "http or https"]),
    ('clob_url = "http://127.0.0.1:1"', 'clob_url = "http://example.com"',
     ["endpoints.clob_url", "'http://example.com'", "stays on this machine"]),
    ('clob_url = "http://127.0.0.1:1"', 'clob_url = "http://[::1"',
     ["endpoints.clob_url", "'http://[::1'", "host[:port]"]),
    ('clob_url = "http://127.0.0.1:1"', 'clob_url = "http://127.0.0.1:99999"',
     ["endpoints.clob_url", "99999", "1 to 65535"]),
    ('clob_url = "http://127.0.0.1:1"', 'clob_url = "http://127.0.0.1:http"',
     ["endpoints.clob_url", "127.0.0.1:http", "1 to 65535"]),
    ('clob_url = "http://127.0.0.1:1"', 'clob_url = "http://127.0.0.1:0"',
     ["endpoints.clob_url", "127.0.0.1:0", "1 to 65535"]),
    ("[account]", "[process]\ntick_ms = 2\n[account]", ["unknown key process"]),
    ("[account]", '[topology.engine]\nengines = ["risk"]\ntick_ms = 0\n[account]',
     ["topology.engine.tick_ms", "0", ">= 1"]),
    ("[account]", '[topology.engine]\nengines = ["riks"]\n[account]',
     ["topology.engine.engines", "'riks'"]),
    ("[account]", '[topology.engine]\nengines = ["risk"]\n[account]',
     ["no process for", "signals"]),
    ("[account]", "[execution]\norders_per_s = 0\n[account]",
     ["execution.orders_per_s", "0", "from 1"]),
    ("[account]", "[execution]\ngroup_deadline_ns = -5\n[account]",
     ["execution.group_deadline_ns", "-5", "from 0"]),
    ("[account]", "[execution.limits]\nbook_age_max_ns = -1\n[account]",
     ["execution.limits.book_age_max_ns", "-1", "from 0"]),
    ("[account]", '[limits]\nbankroll_cap_e6 = "much"\n[account]',
     ["limits.bankroll_cap_e6", "'much'", "int"]),
    ("[account]", "[limits]\nbankrol_cap_e6 = 5\n[account]",
     ["limits.bankrol_cap_e6", "did you mean bankroll_cap_e6?"]),
    ('mode = "paper"', 'mod = "paper"', ["modules.arbitrage.mod", "did you mean mode?"]),
    ('mode = "paper"', 'mode = "on"', ["modules", "mode", "'on'"]),
    ('[modules.arbitrage]\nmode = "paper"', "", ["modules", "at least one"]),
    ("[account]", "[account", ["not valid TOML"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BAD)
def test_each_kind_of_error_is_one_line_with_key_value_and_what_is_allowed(
    tmp_path, old, new, words
):
    path = tmp_path / "engine.toml"
    assert GOOD.count(old) >= 1
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ('[modules.astrology]\nmode = "paper"\n', ["astrology", "arbitrage"]),
        ('[modules.latency]\nmode = "paper"\nparams.luck = 3\n', ["luck"]),
        ('[modules.latency]\nmode = "paper"\nparams = 3\n', ["modules", "3"]),
    ],
)  # fmt: skip
def test_unknown_modules_and_bad_parameters_are_config_errors(tmp_path, extra, words):
    path = tmp_path / "engine.toml"
    path.write_text(GOOD + extra)
    with pytest.raises(ConfigError) as caught:
        check_modules(load_config(str(path)))
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_good_config_is_taken(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text(GOOD)
    config = load_config(str(path))
    check_modules(config)
    assert config.modules["arbitrage"].mode == "paper"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path, content):
    path = tmp_path / "engine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"engine\.toml"):
        load_config(str(path))


def test_live_needs_tls(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text(GOOD.replace('mode = "sim"', 'mode = "live"', 1))
    with pytest.raises(ConfigError, match=r"endpoints\.clob_url .* needs TLS"):
        load_config(str(path))


def test_live_dials_only_listed_hosts(tmp_path):
    path = tmp_path / "engine.toml"
    tls = GOOD.replace('mode = "sim"', 'mode = "live"', 1)
    tls = tls.replace("http://", "https://").replace("ws://", "wss://")
    for host, listed in [
        ("clob.polymarket.com", True),
        ("polymarket.com", True),
        ("notpolymarket.com", False),
        ("clob.polymarket.com.evil.example", False),
        ("proxy.example", False),
    ]:
        text = tls.replace("https://127.0.0.1", f"https://{host}", 1)
        path.write_text(text)
        if listed:
            load_config(str(path))
            continue
        with pytest.raises(ConfigError, match=rf"live dials only hosts of .*more_hosts.*{host}"):
            load_config(str(path))
        path.write_text(text.replace("[endpoints]", f'[endpoints]\nmore_hosts = ["{host}"]', 1))
        load_config(str(path))


def test_every_section_refuses_unknown_keys():
    """A typo in any section must never be a silent default."""
    sections = []

    def walk(kind, path):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            sections.append(path)
            assert kind.__struct_config__.forbid_unknown_fields, path
            for field in msgspec.structs.fields(kind):
                walk(field.type, f"{path}.{field.name}")
        for inner in getattr(kind, "__args__", ()):
            walk(inner, path)

    walk(EngineConfig, "config")
    assert len(sections) > 12


SECRETS = {
    "private_key": "0x" + "5a" * 32,
    "api_key": "01234567-89ab-cdef-0123-456789abcdef",
    "api_secret": "c2VjcmV0LXNlY3JldA==",
    "api_passphrase": "open-sesame",
    "funder": "0x" + "11" * 20,
    "address": SigningKey(b"\x5a" * 32).address_text,
    "signature_type": 0,
}


def credentials(folder, values, mode=0o600):
    path = folder / "credentials.json"
    path.write_bytes(msgspec.json.encode(values))
    path.chmod(mode)
    return str(path)


def test_private_credentials_are_read_and_their_repr_shows_nothing(tmp_path):
    found = load_credentials(credentials(tmp_path, SECRETS))
    assert found.private_key == SECRETS["private_key"]
    for secret in ("private_key", "api_secret", "api_passphrase", "api_key"):
        assert SECRETS[secret] not in repr(found)
        assert SECRETS[secret] not in str(found)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666, 0o700 | 0o010])
def test_credentials_that_others_may_read_are_refused(tmp_path, mode):
    path = credentials(tmp_path, SECRETS, mode)
    with pytest.raises(ConfigError, match=rf"{mode:04o}.*expected 0600.*chmod 600"):
        load_credentials(path)


@pytest.mark.parametrize(
    "change",
    [
        {"private_key": 5},
        {"signature_type": 4},
        {"signature_type": -1},
        {"pass_phrase": "x"},
        {"private_key": "0x" + "5a" * 31},
        {"private_key": "z" * 64},
        {"private_key": "0x" + "00" * 32},
        {"api_secret": "not base64!"},
        {"api_key": "key"},
        {"funder": "0x12"},
        {"address": "nobody"},
        {"address": "0x" + "11" * 20},
    ],
)
def test_wrong_credentials_are_refused_without_showing_them(tmp_path, change):
    path = credentials(tmp_path, SECRETS | change)
    with pytest.raises(ConfigError) as caught:
        load_credentials(path)
    text = str(caught.value)
    assert "account.credentials_file" in text
    assert "\n" not in text
    for name in ("private_key", "api_secret", "api_passphrase"):
        assert str((SECRETS | change)[name]) not in text or len(str((SECRETS | change)[name])) < 3


def test_live_wants_a_session_key_or_an_explicit_word(tmp_path):
    config = decode_config(GOOD, EngineConfig)
    owner = load_credentials(credentials(tmp_path, SECRETS | {"signature_type": 3}))
    with pytest.raises(ConfigError, match=r"move all of it: make a session key .*owner_key = true"):
        refuse_owner_key(config, owner)
    with pytest.raises(ConfigError, match="only a deposit wallet"):
        refuse_owner_key(config, load_credentials(credentials(tmp_path, SECRETS)))
    session = SECRETS | {"signature_type": 3, "session": True}
    refuse_owner_key(config, load_credentials(credentials(tmp_path, session)))
    accepted = decode_config(GOOD.replace("[account]", "[account]\nowner_key = true"), EngineConfig)
    refuse_owner_key(accepted, owner)


def test_a_session_key_of_any_other_wallet_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="session was true with signature_type 0, expected 3"):
        load_credentials(credentials(tmp_path, SECRETS | {"session": True}))


def test_missing_credentials_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"account\.credentials_file .*No such file"):
        load_credentials(str(tmp_path / "none.json"))
    assert os.listdir(tmp_path) == []
