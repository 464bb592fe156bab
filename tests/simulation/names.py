"""What the clients of well-known providers and ISPs are called: one template for each, filled from a host's place.

A template's fields: ``place`` and ``n`` number the network and the host in it, ``big`` is a number of four digits
and more, ``a`` to ``d`` are the octets of the address, ``hex`` is the address in hexadecimal, ``mac`` that of an
interface, ``x`` and ``y`` are letters, ``word`` is a word that says nothing.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

POOLS: Final = (
    "mail-am6eur05on{big}.outbound.protection.outlook.com",
    "a{place}-{n}.smtp-out.eu-west-1.amazonses.com",
    "{a}-{b}-{c}-{d}.mail-mail.facebook.com",
    "sonic{place}-{n}.consmr.mail.ir2.yahoo.com",
    "mail-wm1-f{n}.google.com",
    "mail{n}.atl{place}.mcsv.net",
    "mail{n}.suw{place}.rsgsv.net",
    "mail{n}.sea{place}.mcdlv.net",
    "mta{n}a-ord.mtasv.net",
    "o{n}.ptr{big}.sendgrid.net",
    "m{place}-{n}.mailgun.net",
    "mta-{place}-{n}.sparkpostmail.com",
    "smtp{n:02}-ia{place}-sp1.mta.salesforce.com",
    "mx{n}.phx.paypal.com",
    "mxphxpool{big}.ebay.com",
    "mail{x}-{y}{x}.linkedin.com",
    "smtp-{n}.smtpout.orange.fr",
    "mailout{n:02}.t-online.de",
    "mout.gmx.net",
    "mout.kundenserver.de",
    "f{n}.i.mail.ru",
    "forward{n}c.mail.yandex.net",
    "mail-{big}.protonmail.ch",
    "sender{place}-op-o{n}.zoho.com",
    "out-{n}.smtp.github.com",
    "mx0{x}-00{big}.pphosted.com",
    "mail{n}.bemta{place}.messagelabs.com",
    "eu-smtp-delivery-{n}.mimecast.com",
    "outbound-ip{n}{x}.ess.barracuda.com",
    "smtp{n}.relay.iad3{x}.emailsrvr.com",
    "{n}.mo{big}.mail-out.ovh.net",
    "mo4-p{n:02}-ob.smtp.rzone.de",
    "relay{n}-d.mail.gandi.net",
    "mail{place}-{n}.suw61.mandrillapp.com",
    "mailout-{place}-r{n}.booking.com",
    "smtp-out-{place}-{n}.amazon.com",
    "o{n}.p{place}.mailjet.com",
    "omta{n:03}.uswest2.a.cloudfilter.net",
    "wout{n}-smtp.messagingengine.com",
    "nm{n}-vm{place}.bullet.mail.bf1.yahoo.co.jp",
    "esa{n}.hc{big}-{place}.iphmx.com",
    "mailrelay{n}.office.web.de",
    "blu{n:03}-omc{place}s{n}.hotmail.com",
    "qproxy{n}-pub.mail.unifiedlayer.com",
    "lr{n}.d.sender-sib.com",
    "smtp-{n}.mail.infomaniak.ch",
    "relay{n}.mail.dreamhost.com",
    "mx-out{n}.mailspamprotection.com",
    "se{n}-yyz.outbound.spamexperts.com",
    "smtprelay{n:04}.hostedemail.com",
    "outgoing{n}.mailchannels.net",
    "smtp{n}.antispamcloud.com",
    "e{place}{n}.mta.exacttarget.com",
    "vmta{n}.emarsys.net",
)
"""Servers of large providers."""

UNCLEAR_POOLS: Final = (
    "ccm{n}.constantcontact.com",
    "spruce-goose-{x}{y}.twitter.com",
    "rn2-msbadger{big}.apple.com",
    "st43p00im-ztdg{big}.me.com",
)
"""The same, but the names don't tell what they are for."""

BOTH: Final = (
    ("resqmta-a{place}p-{big}.sys.comcast.net", "c-{a}-{b}-{c}-{d}.hsd1.ca.comcast.net"),
    ("mta{n}.mail.verizon.net", "pool-{a}-{b}-{c}-{d}.nycmny.fios.verizon.net"),
    ("fed1rmmtao{n:02}.cox.net", "ip{a}-{b}-{c}-{d}.lv.lv.cox.net"),
    ("cdptpa-omtalb{n}.mail.rr.com", "cpe-{a}-{b}-{c}-{d}.nyc.res.rr.com"),
    ("michael-{n}.mail.tiscali.it", "{a}-{b}-{c}-{d}.cust-adsl.tiscali.it"),
    ("mailout{n}.bezeqint.net", "bzq-{a}-{b}-{c}-{d}.red.bezeqint.net"),
    ("cmta{n}.telus.net", "d{a}-{b}-{c}-{d}.bchsia.telus.net"),
    ("smtpq{n}.tb.ziggo.nl", "{a}-{b}-{c}-{d}.cable.dynamic.v4.ziggo.nl"),
    ("smtpout{n}.ono.com", "{d}.{c}.{b}.{a}.dyn.user.ono.com"),
    ("smtpo{n}.tpnet.pl", "abcd{n}.neoplus.adsl.tpnet.pl"),
    ("elasmtp-{word}.atl.sa.earthlink.net", "user-{mac}.cable.earthlink.net"),
    ("mailgw{place}-{n}.telia.com", "{a}-{b}-{c}-{d}-no{n}.tbcn.telia.com"),
)
"""Providers that have a pool of mail servers and customers' lines under one domain."""

LINES: Final = (
    "ppp-{a}-{b}-{c}-{d}.revip2.asianet.co.th",
    "{a}-{b}-{c}-{d}.dsl.telesp.net.br",
    "{a}-{b}-{c}-{d}.dynamic-ip.hinet.net",
    "dslb-{a:03}-{b:03}-{c:03}-{d:03}.pools.vodafone-ip.de",
    "p{hex}.dip0.t-ipconnect.de",
    "host{d}-{c}-static.{b}-{a}-b.business.telecomitalia.it",
    "{a}.{b}.{c}.{d}.dynamic.ttnet.com.tr",
    "{a}-{b}-{c}-{d}.broadband.corbina.ru",
    "abts-north-dynamic-{a:03}.{b}.{c}.{d}.airtelbroadband.in",
    "s0106{mac}.vc.shawcable.net",
    "modemcable{d:03}.{c}-{b}-{a}.mc.videotron.ca",
    "{hex}.virtua.com.br",
    "node-{x}{n}{y}.pool-{a}-{b}.dynamic.totinternet.net",
    "{a}-{b}-{c}-{d}.rdsnet.ro",
    "static.vnpt.vn",
    "dynamic-ip-adsl.viettel.vn",
    "{a}-{b}-{c}-{d}.user.veloxzone.com.br",
    "lfbn-lyo-1-{big}-{d}.w{a}-{b}.abo.wanadoo.fr",
    "host{a}-{b}-{c}-{d}.range{a}-{b}.btcentralplus.com",
    "cpc{n}-cmbg{place}-2-0-cust{big}.5-4.cable.virginm.net",
    "softbank{a:03}{b:03}{c:03}{d:03}.bbtec.net",
    "i{hex}.versanet.de",
    "cpe-{a}-{b}-{c}-{d}.bpjj.bigpond.net.au",
    "{d}.{c}.{b}.{a}.rev.sfr.net",
    "dhcp-{a}-{b}-{c}-{d}.metro86.ru",
    "{a}-{b}-{c}-{d}.lightspeed.irvnca.sbcglobal.net",
    "host-{a}-{b}-{c}-{d}.home.otenet.gr",
    "cable-{a}-{b}-{c}-{d}.dynamic.sbb.rs",
    "ip-{hex}.hsi.unitymedia.biz",
    "adsl-{a}-{b}-{c}-{d}.dsl.rcsntx.swbell.net",
    "{d}-{c}-{b}-{a}.fibertel.com.ar",
    "catv-{a}-{b}-{c}-{d}.catv.broadband.invitel.hu",
    "bl{n}-{c}-{d}.dsl.telepac.pt",
    "{a}-{b}-{c}-{d}.ip.btc-net.bg",
    "{mac}.cpe.webspeed.dk",
)
"""Customers' lines of ISPs."""

UNCLEAR_LINES: Final = (
    "p{big}-ipngn{n}marunouchi.tokyo.ocn.ne.jp",
    "nat-{n}.kyivstar.net",
    "gw{n}.ukrtel.net",
    "h{big}.upc-h.chello.nl",
    "{word}{n}.bora.net",
    "{x}{y}{big}.uplink.kornet.net",
)
"""Customers' lines whose names don't tell what they are."""

PLACES: Final = (
    *("at be bg ca ch cl cz de dk ee es eu fi fr gr hr hu ie is it".split()),  # noqa: SIM905 - reads better
    *("li lt lu lv mx nl no pl pt ro se si sk us co.in co.jp co.nz co.uk co.za com.ar com.au com.br".split()),  # noqa: SIM905
)
"""Public suffixes under which ``example`` stands for somebody without a well-known name."""

WORDS: Final = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "flint",
    "grove",
    "heron",
    "iris",
    "jade",
    "kite",
    "larch",
)


def filled(template: str, rng: random.Random, place: int, number: int, address: str) -> str:
    """Return the name of host ``number`` in network ``place``."""
    parsed = ip_address(address)
    octets = [int(octet) for octet in address.split(".")] if parsed.version == 4 else [0, 0, 0, 0]
    return template.format(
        place=place + 1,
        n=place * 20 + number + 1,
        big=2040 + place * 40 + number,
        **dict(zip("abcd", octets, strict=True)),
        hex=f"{int(parsed):08x}",
        mac=f"{rng.getrandbits(48):012x}",
        x="abcdefghijklmnop"[place % 16],
        y="abcdefghijklmnop"[number % 16],
        word=rng.choice(WORDS),
    )
