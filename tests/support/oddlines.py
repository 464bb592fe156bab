"""Lines of a log, from the usual to those that nobody wrote."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

HEADER: Final = b"2024-06-26T00:00:07+00:00 mx1 postgrey[6346]: "

# --- usual lines

HEADERS: Final = {
    "rfc3164": "Jun 26 00:00:07 mx1 postgrey[6346]: ",
    "rfc3164-padded-day": "Jun  6 00:00:07 mx1 postgrey[6346]: ",
    "rfc3339": "2024-06-26T00:00:07+00:00 mx1 postgrey[6346]: ",
    "zulu-microseconds": "2024-06-26T00:00:07.000000Z mx1 postgrey[6346]: ",
    "offset-milliseconds": "2024-06-26T02:00:07.000+02:00 mx1 postgrey[6346]: ",
    "leap-second": "2016-12-31T23:59:60Z mx1 postgrey[6346]: ",
    "no-pid-queue-id": "2024-06-26T00:00:07+00:00 mx1 postgrey: 3F2A8C01: ",
    "host-is-an-address": "Jun 26 00:00:07 2001:db8::1 postgrey[1]: ",
    "no-header": "",
    "no-header-queue-id": "3F2A8C01: ",
}
VERDICTS: Final = {
    "new": "action=greylist, reason=new, ",
    "early-retry": "action=greylist, reason=early-retry (123s missing), ",
    "triplet-found": "action=pass, reason=triplet found, ",
    "triplet-found-first": "action=pass, reason=triplet found, delay=9999999999, ",
    "client-whitelist": "action=pass, reason=client whitelist, ",
    "client-awl": "action=pass, reason=client AWL, ",
    "recipient-whitelist": "action=pass, reason=recipient whitelist, ",
}
CLIENTS: Final = {
    "ipv4": "client_name=mail.example.com, client_address=192.0.2.1",
    "capitals": "client_name=MAIL.Example.COM, client_address=192.0.2.1",
    "unknown": "client_name=unknown, client_address=198.18.0.9",
    "ipv6": "client_name=mail.example.com, client_address=2001:db8::1",
    "ipv6-long": "client_name=mail.example.com, client_address=2001:0DB8:0000:0000:0000:0000:0000:0001",
    "mask": "client_name=mail.example.com, client_address=192.0.2.1/32",
    "ipv6-mask": "client_name=mail.example.com, client_address=2001:db8::/64",
    "line": "client_name=dsl-192-0-2-1.example.com, client_address=192.0.2.1",
}
TRAILERS: Final = {
    "both": ", sender=a@example.com, recipient=b@example.org",
    "bounce": ", recipient=b@example.org",
    "blanks-behind": ", sender=a@example.com, recipient=b@example.org \r",
    "verp": ", sender=bounce-12-b=example.org@lists.example.com, recipient=B@example.org",
    "extension": ", sender=list+12@example.com, recipient=b+x@example.org",
    "forged": ', sender="x, recipient=y"@example.com, recipient=b@example.org',
    "bytes": ", sender=caf\udce9@example.com, recipient=\udcff\0@example.org",
}


def usual_line(header: str, verdict: str, client: str, trailer: str) -> bytes:
    text = f"{HEADERS[header]}{VERDICTS[verdict]}{CLIENTS[client]}{TRAILERS[trailer]}"
    return text.encode("utf-8", "surrogateescape")


# --- a usual line in pieces, and what stands in their place is nearly as usual

STAMPS: Final = (
    *("Jun 26 00:00:07", "Jun  6 00:00:07", "Jun 6 00:00:07", "Jun 31 00:00:07", "Jun 26 24:00:07"),
    *("Jun 26 00:00:60", "Jun 26 00:60:07", "Jun 26 00:00:07.5", "Jun 26 00:00: 7", "Jun  0 00:00:07"),
    *("Jun 46 00:00:07", "Feb 29 23:59:60", "jun 26 00:00:07", "JUN 26 00:00:07", "Foo 26 00:00:07"),
    *("2024-06-26T00:00:07Z", "2024-06-26T00:00:07.5Z", "2024-06-26T00:00:07.123Z", "2024-06-26T00:00:07.124Z"),
    *("2024-06-26T00:00:07-0330", "2024-06-26T00:00:07.12-0330", "2024-06-26T00:00:07.13-0330"),
    *("2024-06-26T00:00:07.123456+02:00", "2024-06-26T00:00:08.1+02:00", "2024-06-26T00:00:07-03:30"),
    *("2024-06-26T00:00:07.123456789Z", "2024-06-26T00:00:07.1234567890Z", "2024-06-26T00:00:59.999999+00:00"),
    *("2024-06-26T00:00:07.+02:00", "2024-06-26T00:00:07.1_1+02:00", "2024-06-26T00:00:07+24:00"),
    *("2024-06-26T00:00:07", "2024-06-26T00:00:61Z", "2024-06-26T00:00:60.9Z", "2024-06-26 00:00:07Z"),
    *("2024-02-30T00:00:07Z", "2024-06-26T24:00:07+02:00", "2024-06-26T00:60:07Z", "9999-12-31T23:59:59-01:00"),
    *("0001-01-01T00:00:00+02:00", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59.25Z", "x", ""),
    *("<22>Jun 26 00:00:07", "<22>1 2024-06-26T00:00:07Z", "\ufeffJun 26 00:00:07", "Wed Jun 26 00:00:07"),
    *("Jun 26 2024 00:00:07", "2024 Jun 26 00:00:07", "Wed Jun 26 00:00:07 2024", "Jun 26 00:00:07 2024"),
    *("2024-06-26 00:00:07,123", "2024-06-26T00:00:07 +0200", "Wed 2024-06-26 00:00:07 UTC", "1719360007.25"),
    *(
        "2024-06-26T00:00:07Z Jun 26 00:00:08",
        "@40000000667b5a1137e8d2c4",
        "@40000000667b5a1137e8d2c4 Jun 26 00:00:08",
    ),
    *("2024-06-26_00:00:07.25", "2024/06/26 00:00:07", "2024/06-26 00:00:07", "mail.info: Jun 26 00:00:07"),
    *(
        "2024-06-26T00:00:07Z mail.info: Jun 26 00:00:08",
        "2024-06-26T00:00:07Z stdout F",
        "mail.info Jun 26 00:00:07",
    ),
    *("2024-06-26T00:00:07Z stderr F Jun 26 00:00:08", "2024-06-26T00:00:07Z <22>Jun 26 00:00:08"),
    *("<22> Jun 26 00:00:07", "[mail.info] Jun 26 00:00:07", "2024-06-26T00:00:07Z [mail.info] Jun 26 00:00:08"),
    *("2024-06-26T00:00:07Z mail.info Jun 26 00:00:08", "Jun 26 00:00:07 UTC", "Jun 26 00:00:07 {"),
    *("Jun 26 00:00:07 +02:00", "Jun 26 00:00:07Z", "2024-06-26T00:00:07Z Z", "Jun 26 00:00:07 CEST"),
)
HOSTS: Final = (
    *(" mx1 [mail.info]", " [mail.info]", " mx1 <22>", " <22> mx1", " <22>", " mx1 mail info", " UTC mx1", " AM mx1"),
    *(" mx1 192.0.2.5", " mx1 CRON:", " mx1 CRON", " mx1 app", " stdout F", " mx1 MAIL.INFO", " mail.info:", " ["),
    *(" mx1 mail.info", " <2.6> mx1", " app:", " fe80::", " Nov", " 2024", " 1719360007", " mail.info", " 3F2A8C01:"),
    *(" mx1", " <mail.info> mx1", " a b", "", " ", " postgrey", " mx1, mx2", " 2001:db8::1", " mx1\t", " \r"),
)
TAGS: Final = (
    *(" postgrey[1]: ", " postgrey: ", " postgrey[1]: [ID 1 mail.info] ", "postgrey[1]: ", " xpostgrey: "),
    *(" postgrey[]: ", " postgrey[1: ", " postgrey[1]", " postgrey[1]:", " postgrey[1x]: ", " postgrey2: ", " "),
    *(
        " postgrey.service[1]: ",
        " postgrey@a.service: ",
        " postgrey 1 - - ",
        ' postgrey - - [a b="c]"] ',
        " app[1]: ",
    ),
    *(" [postgrey] ", " [postgrey]", " [app] ", " [postgrey]: ", "\tpostgrey[1]:\t"),
    *(" last message repeated 3 times", " last message repeated 0 times ", " postgrey-x[1]: "),
    *(" postgrey[1]: message repeated 2 times: [ ", " postgrey[1]:  ", " Postgrey: ", " postgrey\0: "),
)
ACTIONS: Final = (
    *("action=greylist", "action=pass", "3F: action=greylist", "3F:action=pass", "3-F: action=pass", ": action=pass"),
    *("action=defer", "action=greylistx", "action= pass", "ACTION=pass", "", "whitelisted: action=pass"),
)
REASONS: Final = (
    *(", reason=new", ", reason=triplet found", ", reason=client AWL", ", reason=early-retry (3s missing)"),
    *(", reason=early-retry (s missing)", ", reason=early-retry (99999999999999999999s missing)"),
    *(", reason=early-retry (3s missing) ", ", reason=a,b", ", reason=a, b", ", reason=a, client_name=b", ""),
    *(", reason=new ", ", reason= new", ", reason=NEW", ", reason=", ",reason=new", ", reason=client whitelist"),
    *(", reason=recipient whitelist", ", reason=client awl", ", reason=triplet found, sender=x"),
)
DELAYS: Final = (
    *("", ", delay=7", ", delay=0", ", delay=007", ", delay=", ", delay=9999999999", ", delay=99999999999"),
    *(", delay=-7", ", delay=7 ", ", delay=7, delay=8", ", delay=+7", ",delay=7"),
)
_NAMES: Final = (
    *("mail.example.com", "", "a b", "A.example.com.", "mail.example.com..", ".", "a..b", "unknown"),
    *("UNKNOWN", "com"),
    *("unknown.", "caf\udce9.example.com", "\udce9.example.com", "a\tb.example.com", "a\x7f.example.com"),
    *(f"{'a' * 64}.example.com", f"{'a' * 63}.example.com", "-a.example.com", "a-.example.com", "_a.x.co.uk"),
    *(f"{'a.' * 120}example.com", f"{'a.' * 121}example.com"),
    *(f"{'a.' * 250}example.com", "\udce9" * 400 + ".example.com"),
    # Too long for a host, below a name that is not.
    *(f"{'a' * 42}.{'b.' * 100}example.com", f"{'a' * 41}.{'b.' * 100}example.com"),
    # The longest that takes the quick way, one more, and one whose length does not fit into 16 bits.
    *(f"{'a.' * 506}aexample.com", f"{'a.' * 507}example.com", f"mail.example.com{'x' * 65_536}"),
)
NAMES: Final = (*(f", client_name={name}" for name in _NAMES), "", ", xclient_name=mail.example.com")
_ADDRESSES: Final = (
    *("192.0.2.1", "192.0.2.1/32", "x", "192.0.2.1 x", "", "192.0.2.01", "192.0.2.256", "192.0.2", "192.0.2.1."),
    *("1.2.3.4.5", ".1.2.3.4", "198.18.255.255", "192.0.2.1\r", "192.0.2.1/x%/y", "192.0.2.1/\udce9"),
    *("/32", "0" * 60),
    *("::", "::1", "2001:db8::1", "2001:DB8:0:0::1", "2001:db8::1%eth0", "2001:db8::1/64%x", "fe80"),
    *("a:b", "1::2::3"),
    *("::ffff:192.0.2.1", "::FFFF:c000:201", "::192.0.2.1", "::c000:201", "64:ff9b::192.0.2.1", "12345::"),
    *("1:2:3:4:5:6:7:192.0.2.1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9"),
)
ADDRESSES: Final = (
    *(f", client_address={address}" for address in _ADDRESSES),
    *("", ", client_address", ", client_address=192.0.2.1, client_address=192.0.2.2"),
)
_USERS: Final = (
    *("12", "a12", "12_", "_12", "1-2", "a-12-b.34", "1\udce92", "12+34", "00", "12\x0034", "A-1-B", "1 2", "\u0663"),
    *("prvs=1234abcdef=a", "prvs=a=1234abcdef", "PRVS=1234abcdef=a", "prvs=a", "a+1", "+", "", "CAPITALS", "\udcc9"),
    # The longest that take the quick way, and longer ones.
    *("a" * 500, "a" * 2012, "a" * 2013, "a" * 2014, "a" * 2040, "a" * 3000),
)
ENDS: Final = (
    *(", sender=a@example.com, recipient=b@example.org", ", recipient=b@example.org", "", ", sender=", ", helo=x"),
    *(", sender=a@example.com, recipient=b@example.org \r", ", sender=a@example.com, recipient=b@example.org\r\r  "),
    *(', sender="x, recipient=y"@example.com, recipient=b@example.org', ", sender=, recipient=b@example.org"),
    *(", recipient=a, recipient=b", ", recipient=a, sender=b", ", sender=a, sender=b, recipient=c", ", recipient="),
    *(", recipient= \r", ", sender=a@example.com, recipient=", ", sender=a@example.com", ",sender=a, recipient=b"),
    *(", sender=a@x+1@y, recipient=b+1@z"),
    *(", sender=A@EXAMPLE.COM, recipient=B@Example.Org", ", sender=a, recipient=\udcff"),
    *(f", sender={user}@example.com, recipient=b" for user in _USERS),
)
PIECES: Final = (STAMPS, HOSTS, TAGS, ACTIONS, REASONS, DELAYS, NAMES, ADDRESSES, ENDS)
ANY_PIECE: Final = st.sampled_from([piece for pieces in PIECES for piece in pieces])
# What a line of odd pieces may deliver: the same sender and recipient, greylisted before.
BEFORE: Final = (
    b"2024-06-25T23:00:00Z mx1 postgrey[1]: action=greylist, reason=new, client_name=mail.example.com, "
    b"client_address=203.0.113.7, sender=a@example.com, recipient=b@example.org\n"
)


def line_of(changes: dict[int, str]) -> bytes:
    """Return a usual line with some of its pieces changed."""
    text = "".join(changes.get(place, pieces[0]) for place, pieces in enumerate(PIECES))
    return text.encode("utf-8", "surrogateescape")


# --- lines that were tampered with

LINES: Final = (
    *(usual_line(header, "new", "ipv4", "both") for header in HEADERS),
    *(usual_line("rfc3339", verdict, "ipv4", "both") for verdict in VERDICTS),
    *(usual_line("rfc3164", "triplet-found-first", client, "both") for client in CLIENTS),
    *(usual_line("rfc3339", "new", "ipv6", trailer) for trailer in TRAILERS),
    HEADER + b"whitelisted: mail.example.com[192.0.2.1]",
    HEADER + b"delayed 551 seconds: client=mail.example.com, from=a@example.com, to=b@example.org",
    HEADER + b"message repeated 2 times: [ " + usual_line("no-header", "new", "ipv4", "both") + b"]",
    b"Jun 26 00:00:07 mx1 postfix/cleanup[9]: warning: header Subject: " + HEADER + b"action=greylist, reason=new",
)
SPLINTERS: Final = st.sampled_from(
    [
        *(b"", b" ", b",", b", ", b"=", b":", b": ", b"[", b"]", b"\r", b"\n", b"\t", b"\0", b"\x7f"),
        b"\xff",
        *(b"/32", b".", b"@", b"+", b"-", b"_", b"0", b"9", b"12345678901234567890", b"%", b"::", b" postgrey[1]: "),
        *(b", recipient=", b", sender=", b"prvs=", b"action=", b"delay=7, ", b"3F: "),
        *(b"client_name=", b"<mail.info> "),
    ]
)


@st.composite
def tampered(draw: st.DrawFn) -> bytes:
    """Return a line from a log that was cut, mended, and put together in the wrong order."""
    line = draw(st.sampled_from(LINES))
    for act in draw(st.lists(st.sampled_from(["put", "replace", "cut", "swap", "upper", "join"]), max_size=3)):
        at = draw(st.integers(0, len(line)))
        until = draw(st.integers(at, min(len(line), at + 12)))
        if act == "put":
            line = line[:at] + draw(SPLINTERS | st.binary(max_size=3)) + line[at:]
        elif act == "replace":
            line = line[:at] + draw(SPLINTERS) + line[until:]
        elif act == "cut":
            line = line[:at] if draw(st.booleans()) else line[at:]
        elif act == "swap":
            parts = line.split(b", ")
            one, other = (draw(st.integers(0, len(parts) - 1)) for _ in range(2))
            parts[one], parts[other] = parts[other], parts[one]
            line = b", ".join(parts)
        elif act == "upper":
            line = line[:at] + line[at:until].upper() + line[until:]
        else:
            line = line[:at] + draw(st.sampled_from(LINES))[at:]
    return line
