"""Who says that an entry is postgrey's: journald's own fields, not the sender's."""

from __future__ import annotations

import pytest

from postgrey_exporter.parsing.line import FOREIGN
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sources.journal.entry import Entry, Renderer

POSTGREY = b"114"
ACCOUNTS = frozenset({b"0", POSTGREY})
MESSAGE = b"action=greylist, reason=new, client_name=mail.example.com, client_address=192.0.2.1"


@pytest.mark.parametrize(
    ("identifier", "unit", "uid", "counted"),
    [
        pytest.param(b"postgrey", b"postgrey.service", POSTGREY, True, id="the unit"),
        pytest.param(b"sh", b"postgrey.service", b"65534", True, id="the unit under another identifier"),
        pytest.param(b"postgrey", b"postgrey@in.service", b"999", True, id="an instance of it"),
        pytest.param(b"postgrey", b"postgrey-relay.service", b"999", True, id="a second unit"),
        pytest.param(b"postgrey", b"", POSTGREY, True, id="a daemon of the account, without a unit"),
        pytest.param(b"postgrey", b"docker.service", b"0", True, id="root, such as a container's log driver"),
        pytest.param(b"postgrey", b"", b"", True, id="imported, without the kernel's word"),
        pytest.param(b"postgrey", b"session-3.scope", b"1000", False, id="a user at a shell"),
        pytest.param(b"postgrey", b"user@1000.service", b"1000", False, id="a user's own unit"),
        pytest.param(b"postgrey", b"apache2.service", b"33", False, id="another daemon"),
        pytest.param(b"postgrey", b"postgreyx.service", b"1000", False, id="a unit whose name only begins so"),
        pytest.param(b"postgrey", b"x/postgrey.service", b"1000", False, id="a unit whose name only ends so"),
        pytest.param(b"postfix/smtpd", b"postfix.service", b"0", False, id="another program"),
        pytest.param(b"", b"", b"", False, id="no identifier"),
        pytest.param(b"x: \npostgrey[1]: ", b"", b"", False, id="an identifier that imitates a line"),
        pytest.param(b"post\xffgrey", b"", b"", False, id="an identifier that is like it when cleaned"),
    ],
)
@pytest.mark.parametrize("message", [MESSAGE, b"postgrey[1]: " + MESSAGE, b"x\n" + MESSAGE])
def test_an_entry_counts_by_its_origin(
    identifier: bytes, unit: bytes, uid: bytes, counted: bool, message: bytes
) -> None:
    line = Renderer("postgrey", ACCOUNTS).line(Entry("", 0, identifier, unit, uid, message))
    parsed = Parser().parse(line, 0)
    assert line.count(b"\n") == 1
    assert len(parsed.decisions) == (counted and message == MESSAGE)
    assert parsed.lines[FOREIGN] == (not counted)


def test_another_tag_has_a_unit_of_its_name() -> None:
    renderer = Renderer("post_grey", ACCOUNTS)
    ours = Entry("", 0, b"post_grey", b"post_grey.service", b"900", MESSAGE)
    line = renderer.line(ours)
    assert len(Parser("post_grey").parse(line, 0).decisions) == 1
    forged = renderer.line(ours._replace(identifier=b"post grey", unit=b"session-1.scope"))
    assert Parser("post_grey").parse(forged, 0).lines[FOREIGN] == 1
