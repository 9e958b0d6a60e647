"""The settings of [relay] that are about encryption (`tlspolicy`)."""

from __future__ import annotations

from twistmail.options import DURATION, SWITCH, TEXT, Option, Reload, choice

#: From nothing to all: `route.Tls`.
TLS_WORDS = choice("off", "opportunistic", "required", "verified", "dane")
TLS_HELP = (
    "Encrypt never (off), where it is offered, always (required), always and with a checked certificate (verified), or with one that the "
    "domain publishes, signed, in the DNS (dane). What a domain itself asks for by DANE or MTA-STS is kept to, except with off."
)
TLS_OPTIONS = (
    Option("tls", TLS_WORDS, "opportunistic", TLS_HELP),
    Option("tls_policy", TEXT, "", "A file with single domains and how much encryption each gets: docs/outbound-tls.md. "
           "It is read again when it changes.", example="/etc/twistmail/tls_policy"),
    Option("dane", SWITCH, "yes", "Keep to the certificates that domains publish, signed, in the DNS (DANE). That needs a DNS server that "
           "checks the signatures: see [dns] trust_ad."),
    Option("mta_sts", SWITCH, "yes", "Keep to the policies that domains publish on the web (MTA-STS): fetched by HTTPS from "
           "mta-sts.DOMAIN, kept on disk."),
    Option("tls_memory", choice("off", "encrypted", "verified"), "encrypted",
           "Never say in clear what a server of that domain has taken encrypted before; verified: nor without a certificate in order where "
           "it has shown one. twistmail tls forget DOMAIN lets it be as new."),
    Option("tls_ca", TEXT, "", "A PEM file with those who may vouch for other mail servers, and for web servers with policies; empty: whom "
           "the system trusts.", Reload.NEW, example="/etc/ssl/certs/ca-certificates.crt"),
    Option("tls_results_keep", DURATION, "30d", "For how long it is known what came of connections, for the reports that domains ask for "
           "(TLSRPT)."),
)  # fmt: skip
