"""What real-world shapes of names are taken for; the addresses in them are those for documentation and benchmarks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgrey_exporter.clients.hostnames import ClientKind
from postgrey_exporter.counting.naming import kind_of

V4 = "198.51.100.7"
V6 = "2001:db8:12:34:5:6:7:8"

MAIL_SERVERS = [
    "mail-am6eur05on2062.outbound.protection.outlook.com",
    "a4-20.smtp-out.eu-west-1.amazonses.com",
    "a8-27.smtp-out.amazonses.com",
    "198-51-100-7.mail-mail.facebook.com",
    "sonic301-20.consmr.mail.ir2.yahoo.com",
    "mail-wm1-f41.google.com",
    "mail3.atl91.mcsv.net",
    "mail177-11.suw61.mandrillapp.com",
    "mta200a-ord.mtasv.net",
    "o1.ptr8834.sendgrid.net",
    "wrqvtvvn.outbound-mail.sendgrid.net",
    "m42-5.mailgun.net",
    "rs227.mailgun.us",
    "esa1.hc1234-56.iphmx.com",
    "mta-206-87.sparkpostmail.com",
    "smtp07-ia4-sp1.mta.salesforce.com",
    "mx1.phx.paypal.com",
    "mxphxpool2025.ebay.com",
    "maile-fb.linkedin.com",
    "smtp-30.smtpout.orange.fr",
    "mailout11.t-online.de",
    "mout.gmx.net",
    "mout.kundenserver.de",
    "f377.i.mail.ru",
    "forward501c.mail.yandex.net",
    "mail-4316.protonmail.ch",
    "mout-p-101.mailbox.org",
    "sender4-op-o12.zoho.com",
    "out-17.smtp.github.com",
    "mx0a-001b2d01.pphosted.com",
    "mail1.bemta26.messagelabs.com",
    "eu-smtp-delivery-1.mimecast.com",
    "outbound-ip1a.ess.barracuda.com",
    "smtp74.relay.iad3a.emailsrvr.com",
    "13.mo548.mail-out.ovh.net",
    "mo4-p00-ob.smtp.rzone.de",
    "relay6-d.mail.gandi.net",
    "mailout-201-r1.booking.com",
    "smtp-out-127-10.amazon.com",
    "o125.p8.mailjet.com",
    "omta038.uswest2.a.cloudfilter.net",
    "resqmta-a1p-58210.sys.comcast.net",
    "fed1rmmtao01.cox.net",
    "smtpq4.tb.mail.iss.ziggo.nl",
    "bay004-omc1s10.hotmail.com",
    "mail-pool-12.example.com",
    "smtp.dsl.example.net",
    "mail.example.co.uk",
    "MX2.Shop.EXAMPLE.com.",
    "198-51-100-7.hubspotemail.net",
    "198-51-100-7.bf01.hubspotemail.net",
    "mta-198-51-100-7.sparkpostmail.com",
    "198-51-100-7.mail-mxout.facebook.com",
    "s.wrqvtzvf.outbound-mail.sendgrid.net",
    "o1678974x241.outbound-mail.sendgrid.net",
    "b224-17.smtp-out.eu-central-1.amazonses.com",
    "smtp-fw-52003.amazon.com",
    "smtp-out-n04.prod.us-east-1.postgun.com",
    "us-smtp-delivery-124.mimecast.com",
    "fhigh-a1-smtp.messagingengine.com",
    "mailout1.samsung.com",
    "mta-15.privateemail.com",
    "mrelayeu.kundenserver.de",
    "moutng.kundenserver.de",
    "out-171.mta0.migadu.com",
    "outgoing.mit.edu",
    "h198-51-100-7.mxroute.com",
    "198-51-100-7.smtp2go.com",
    "198-51-100-7.sendcloud.org",
    "x7.klaviyomail.com",
    "mx86.a.outbound.createsend.com",
    "delivery.antispam.mailspamprotection.com",
    "wout3-smtp.messagingengine.com",
    "7.mail-a.emailsys.example.net",
    "mail-ed1-x52b.google.com",
    "vsp-unauthed02.binero.net",
    "szxga04-in.huawei.com",
    "mga18.intel.com",
    "m0373622.ppops.net",
    "outbyoip5.pod13.use1.zdsys.com",
    "bedivere.hansenpartnership.com",
]

LINES = [
    "ppp-198-51-100-7.revip2.asianet.co.th",
    "198-51-100-7.dsl.telesp.net.br",
    "198-51-100-7.dynamic-ip.hinet.net",
    "dslb-198-051-100-007.pools.vodafone-ip.de",
    "pc6336407.dip0.t-ipconnect.de",
    "dc6336407.access.telenet.be",
    "host7-100-static.51-198-b.business.telecomitalia.it",
    "198.51.100.7.dynamic.ttnet.com.tr",
    "7.100.51.198.rev.sfr.net",
    "198-51-100-7.broadband.corbina.ru",
    "abts-north-dynamic-198.51.100.7.airtelbroadband.in",
    "s0106a1b2c3d4e5f6.vc.shawcable.net",
    "modemcable007.100-51-198.mc.videotron.ca",
    "c6336407.virtua.com.br",
    "node-1abc.pool-198-51.dynamic.totinternet.net",
    "198-51-100-7.rdsnet.ro",
    "static.vnpt.vn",
    "dynamic-ip-adsl.viettel.vn",
    "198-51-100-7.user.veloxzone.com.br",
    "lfbn-lyo-1-1234-7.w198-51.abo.wanadoo.fr",
    "host198-51-100-7.range198-51.btcentralplus.com",
    "cpc1-cmbg14-2-0-cust123.5-4.cable.virginm.net",
    "softbank198051100007.bbtec.net",
    "ic6336407.versanet.de",
    "198-51-100-7.lightspeed.irvnca.sbcglobal.net",
    "c-198-51-100-7.hsd1.ca.comcast.net",
    "pool-198-51-100-7.nycmny.fios.verizon.net",
    "cpe-198-51-100-7.nyc.res.rr.com",
    "ip198-51-100-7.lv.lv.cox.net",
    "abcd123.neoplus.adsl.tpnet.pl",
    "user-0c2hb3v.cable.earthlink.net",
    "d198-51-100-7.bchsia.telus.net",
    "ec2-198-51-100-7.compute-1.amazonaws.com",
    "static.198-51-100-7.clients.your-server.de",
    "mail.198-51-100-7.static.example.net",
    "cpe-198-51-100-7.smtp.example.net",
    "srv198-51-100.example.net",
    "7.100.51.198.bc.googleusercontent.com",
    "static.7.100.51.198.clients.your-server.de",
    "ec2-198-51-100-7.eu-central-1.compute.amazonaws.com",
    "ip-198-51-100-7.eu-west-1.compute.internal.example.net",
    "adsl-198-51-100-7.airmail.net",
    "dyn-7.airmail.net",
    "198-51-100-7.comxnet.dk",
    "198-51-100-7.townsendnet.example",
    "host-7.abonent.example.net",
    "7-100.resnet.example.edu",
    "h7.docsis.example.net",
    "cliente-7.estatico.example.com.br",
    "host7.fttb.example.ru",
    "7.subs.example.ru",
    "pc7.dinamica.example.es",
    "cbl-sd-02-79.aster.com.do",
    "wiley-268-8196.roadrunner.nf.net",
]

MISSED = {
    "moutng.kundenserver.de",
    "vsp-unauthed02.binero.net",
    "szxga04-in.huawei.com",
    "mga18.intel.com",
    "m0373622.ppops.net",
    "outbyoip5.pod13.use1.zdsys.com",
    "bedivere.hansenpartnership.com",
    "cbl-sd-02-79.aster.com.do",
    "wiley-268-8196.roadrunner.nf.net",
}
"""Real names that say nothing to a general rule; they are left to a look."""

UNCLEAR = [
    "spruce-goose-ab.twitter.com",
    "rn2-msbadger07104.apple.com",
    "ccm28.constantcontact.com",
    "p2041-ipngn100marunouchi.tokyo.ocn.ne.jp",
    "gw12.ukrtel.net",
    "bendel.debian.org",
    "example.com",
    "srv1.example.net",
    "a-51-100.example.net",
    "unknown",
    "",
]


@pytest.mark.parametrize("name", MAIL_SERVERS)
def test_mail_servers(name: str) -> None:
    assert kind_of(name, V4) is (ClientKind.UNCLEAR if name in MISSED else ClientKind.MAIL)


@pytest.mark.parametrize("name", LINES)
def test_customers_lines(name: str) -> None:
    assert kind_of(name, V4) is (ClientKind.UNCLEAR if name in MISSED else ClientKind.LINE)


@pytest.mark.parametrize("name", UNCLEAR)
def test_names_that_say_nothing(name: str) -> None:
    assert kind_of(name, V4) is ClientKind.UNCLEAR


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("dyn.com", ClientKind.UNCLEAR, id="the domain's own name makes nobody a customer"),
        pytest.param("mail.dsl.net", ClientKind.MAIL, id="nor does it with a mail server"),
        pytest.param("h1.mailgun.net", ClientKind.MAIL, id="a domain for mail makes a mail server"),
        pytest.param("198-51-100-7.mailgun.net", ClientKind.MAIL, id="even one that is named after its address"),
        pytest.param("198-51-100-7.dsl.mailgun.net", ClientKind.LINE, id="but no line"),
        pytest.param("dsl7.mailgun.net", ClientKind.LINE, id="with or without the address"),
        pytest.param("smtp.dsl7.mailgun.net", ClientKind.MAIL, id="unless the host is a mail server by name"),
        pytest.param("198-51-100-7.telmxa.net", ClientKind.LINE, id="mx inside of a word is none"),
        pytest.param("out-198-51-100-7.example.net", ClientKind.LINE, id="out is no match for the address"),
        pytest.param("layout.example.net", ClientKind.MAIL, id="a word that ends in out is a way out"),
    ],
)
def test_what_outweighs_what(name: str, kind: ClientKind) -> None:
    assert kind_of(name, V4) is kind


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param("198-51-100-7", True, id="dashed"),
        pytest.param("7.100.51.198", True, id="reversed"),
        pytest.param("h51-100-7", True, id="three octets are enough"),
        pytest.param("h100-7", False, id="two are not"),
        pytest.param("h100-7-7", False, id="nor the same one twice"),
        pytest.param("198051100007", True, id="padded and run together"),
        pytest.param("xc6336407", True, id="hexadecimal"),
        pytest.param("c633640", False, id="not all of it in hexadecimal"),
    ],
)
def test_addresses_in_names(host: str, found: bool) -> None:
    assert (kind_of(f"{host}.example.net", V4) is ClientKind.LINE) is found


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param("p20010db8001200340005000600070008", True, id="all of it"),
        pytest.param("2001-db8-12-34-5-6-7-8.ipv6", True, id="dashed, short groups"),
        pytest.param("c-0005000600070008", True, id="the interface"),
        pytest.param("net-2001-0db8-0012-0034", True, id="the network"),
        pytest.param("ip-5-6-7-8", True, id="the interface, short groups"),
        pytest.param("mail-5-6", False, id="two groups"),
    ],
)
def test_ipv6_addresses_in_names(host: str, found: bool) -> None:
    assert (kind_of(f"{host}.example.net", V6) is ClientKind.LINE) is found


@pytest.mark.parametrize("address", ["", "nonsense", "198.51.100"])
def test_without_an_address_the_words_decide(address: str) -> None:
    assert kind_of("198-51-100-7.dsl.example.net", address) is ClientKind.LINE
    assert kind_of("198-51-100-7.example.net", address) is ClientKind.UNCLEAR


@given(st.text(max_size=60), st.text(max_size=20) | st.ip_addresses().map(str))
def test_any_text_is_something(name: str, address: str) -> None:
    assert kind_of(name, address) in ClientKind
