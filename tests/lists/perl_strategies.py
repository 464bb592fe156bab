r"""Whitelist lines and client names for hypothesis: what people write, and what the rules allow beyond that.

Hosts are put together from few labels, so that entries and clients meet often.
"""

from __future__ import annotations

from hypothesis import strategies as st

LABELS = ("mail", "mx1", "a", "b", "pool-7", "x_9", "example")
TOPS = ("com", "net", "co.uk")


def one_of_words(*lines: str) -> st.SearchStrategy[str]:
    """Draw one of the words of some lines."""
    return st.sampled_from([word for line in lines for word in line.split()])


# What people write.

labels = st.sampled_from(LABELS)
domains = st.builds("{}.{}".format, labels, st.sampled_from(TOPS))
hosts = st.builds(lambda front, domain: ".".join([*front, domain]), st.lists(labels, max_size=3), domains)


def _escaped(host: str, dot: str, number: str) -> str:
    return "".join(number if char.isdigit() else dot if char == "." else char for char in host)


host_patterns = st.builds(
    "{}{}{}".format,
    st.just("") | one_of_words(r"^ .* .*\. ^.*\. (^|\.) (?:^|\.) ^[^.]+\. .+ \b"),
    st.builds(
        _escaped,
        hosts,
        one_of_words(r"\. \. \. . [.]"),
        one_of_words(r"\d+ \d [0-9]+ [0-9]{1,3} 7 \w* [[:digit:]]"),
    ),
    st.just("") | one_of_words(r"$ $ $ \z \Z"),
)
alternatives = st.builds(
    r"^({}|{}|mx\d*)\.{}$".format, labels, labels, domains.map(lambda name: name.replace(".", r"\."))
)
common_patterns = host_patterns | alternatives
"""Patterns as whitelists have them: every one of them has to be understood."""

octets = st.sampled_from([0, 1, 7, 127, 128, 200, 255])
ipv4 = st.builds("198.{}.{}.{}".format, st.sampled_from([18, 19]), octets, octets)
ipv6 = st.builds("2001:db8:{:x}::{:x}".format, octets, octets)
addresses = st.one_of(ipv4, ipv4, ipv6, one_of_words("2001:DB8:7:0:0:0:0:7 ::198.18.7.7 ::ffff:198.18.7.7"))

ipv4_networks = st.builds("{}/{}".format, ipv4, st.integers(0, 33)) | st.builds(
    lambda address, keep: ".".join(address.split(".")[:keep]), ipv4, st.integers(2, 4)
)
ipv6_networks = st.builds("{}/{}".format, ipv6, st.integers(0, 129)) | ipv6

common_lines = st.one_of(hosts, domains, common_patterns.map("/{}/".format), ipv4_networks, ipv6_networks)

# What the rules allow.

_plain = one_of_words(r"a b c A B C . - 0 1 9 _ \. \- \/ @ % ! é ] }")
_zero_width = one_of_words(r"^ $ \b \B \A \z \Z")
_escapes = one_of_words(
    r"\d \w \s \D \W \S \h \H \v \V \R \N \e \t \_ \x41 \x{62} \xe9 \141 \0 \18 \o{101} \cA \Q \E \y \u"
)
_beyond = one_of_words(
    r"\1 \2 \g1 \g{-1} \k<n> \10 \8 \X \pL \G \C \x \c \N{U+41} \b{wb} \x{100} \K",
    r"{ {,2} a{b a{01} a{2,1} (?R) (?1) (*F) (?|a|b) (?(1)a) (?P=n) (?z) (?a) (? ( ) * + [ [] [b-a] [[:foo:]]",
    "[[.a.]] \\",
)
_class_items = one_of_words(
    r"a b c A B C - ^ . 0 1 9 _ é [ \d \w \s \W \h \] \- \b \x41 \101 \e \Q \R",
    r"a-c A-z 0-9 a- -z [:alpha:] [:^digit:] [:upper:] [:^lower:] [:punct:] \xe9-\xff",
)
_classes = st.builds(
    "[{}{}]".format, st.sampled_from(["", "", "^"]), st.lists(_class_items, min_size=1, max_size=4).map("".join)
)
_quantifiers = st.sampled_from([""] * 12) | one_of_words("* + ? *? +? ?? *+ ++ ?+ {2} {1,2} {0,2}? {1,} {1,2}+ {0}")
_openings = one_of_words("( ( (?: (?: (?i: (?-i: (?s: (?m: (?^: (?x: (?= (?! (?<= (?<! (?> (?<n> (?'n' (?P<n>")
_flags = one_of_words("(?i) (?-i) (?s) (?m) (?x) (?^) (?^i)")


def _joined(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    piece = st.builds("{}{}".format, atoms, _quantifiers)
    sequence = st.lists(piece, max_size=4).map("".join)
    return st.lists(sequence, min_size=1, max_size=3).map("|".join)


def _patterns(*atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    leaves = st.one_of(*atoms)
    nested = st.recursive(
        leaves, lambda inner: leaves | st.builds("{}{})".format, _openings, _joined(inner)), max_leaves=8
    )
    return _joined(nested).filter(bool)


plain_patterns = _patterns(_plain, _plain, _zero_width, _escapes, _classes, _flags)
"""Patterns made of what is understood, put together anyhow."""

wild_patterns = _patterns(_plain, _plain, _zero_width, _escapes, _classes, _flags, _beyond)
"""Patterns with what Perl refuses and what is not understood as well."""

subjects = st.text("aabbcABC.-019_é]{}/^ \n\t\x01", max_size=8)

odd_lines = st.one_of(
    hosts.map(str.upper),
    st.builds("  {} \t# {}\r".format, hosts, hosts),
    st.builds(".{}".format, hosts),
    st.builds("*.{}".format, hosts),
    st.builds("{}.".format, hosts),
    st.builds("/{}/i".format, host_patterns),
    st.builds("/{}#{}/".format, host_patterns, host_patterns),
    st.builds("{} {}".format, hosts, hosts),
    st.builds("[{}]/{}".format, ipv6, st.integers(0, 130)),
    st.builds("[{}/{}]".format, ipv6, st.integers(0, 130)),
    st.builds("{} {}".format, ipv6, one_of_words("64 ffff:ffff:: host loopback 255.255.0.0")),
    one_of_words("198.018.7.7 256.1.1.1 198.18.7.7/99 1:2 2001:db8::g :1::2 2001:db8::/129 198.18."),
    one_of_words("# unknown café.example // / /// 198.18.7.0/255.255.255.0"),
)
"""Lines that don't do what they seem to."""

client_names = st.one_of(
    hosts, hosts, domains, hosts.map(str.upper), st.just("unknown"), st.text("ab.-1\u00e9", max_size=6)
)
