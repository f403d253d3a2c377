"""Tags: whole or refused."""

import pytest

from lowlat.core.errors import RemoteProtocolError
from lowlat.venues.polymarket.tags import Tag, decode_tags


def test_tags_decode_and_unknown_fields_are_left():
    body = b'[{"id":"21","label":"Crypto","slug":"crypto","requiresTranslation":false}]'
    assert decode_tags(body) == (Tag("21", "crypto", "Crypto"),)


@pytest.mark.parametrize("body", [b'[{"id":"","slug":"x"}]', b'[{"id":"1"}]', b"{}", b"", b"[1]"])
def test_a_tag_that_cannot_be_named_spoils_the_list(body):
    with pytest.raises(RemoteProtocolError):
        decode_tags(body)
