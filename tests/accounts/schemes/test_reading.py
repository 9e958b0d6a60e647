"""Passwords as other programs keep them. Every row was made by the program that its name tells, of one and the same password."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twistmail.accounts import passwords
from twistmail.accounts.passwords import UnknownScheme, hash_password, verify
from twistmail.accounts.schemes.reading import SCHEMES

PASSWORD = "se cret:42ä"
NAME = "anna@blue.example"

DOVECOT = (
    "{SHA1}J1RbR8SuHUm2oVvJpbbXHLY+8Tk=",
    "{SHA}J1RbR8SuHUm2oVvJpbbXHLY+8Tk=",
    "{sha1}J1RbR8SuHUm2oVvJpbbXHLY+8Tk",
    "{SHA256}OZ5/WZIOCVNZXbsI2AgEe/kIiryppezUOSYUktPeneI=",
    "{SHA512}VMzfIXYzhxo00Q9uUBfGVY2er4hhn03956lllgQ/XRCaK/EA+zeT2GqCYc+/99alWO4gm06GLlofa0Msb/lD4A==",
    "{SSHA}9jUaS5d0lTs9kqECTgTeCO+Tf/m6QwDu",
    "{SSHA256}TgYQum1VjlaZOSLqveQzuKJJ3pqfiPhEK7HjtNGeYRDaNXes",
    "{SSHA512}6sSMQiWlpr0mnZPJhWzjZO8kyE3FcQmIP1asLskdZuU9DPcdbKT17p17BDmUPxePLgDfTe78DJpQ++HModEj7Pf9Rkg=",
    "{SMD5}z4oW8vjisrl7uvdxwUsvQFORNU0=",
    "{PLAIN-MD4}bb335b559325f573bffe18ff3b586d47",
    "{PLAIN-MD5}e1e88468bcf41d9884975d064fbfbc03",
    "{PLAIN-MD5}4eiEaLz0HZiEl10GT7+8Aw==",
    "{LDAP-MD5}4eiEaLz0HZiEl10GT7+8Aw==",
    "{DIGEST-MD5}ceb202175b0ce39c8fed66b6e7bec78c",
    "{HMAC-MD5}950f055adef4f0825d18349f53ba9f73d8af3bab0ec25d6d60173c76887611ae",
    "{CRAM-MD5}950f055adef4f0825d18349f53ba9f73d8af3bab0ec25d6d60173c76887611ae",
    "{OTP}sha1 1024 760a2830d7eda013 2078824cfe618f16",
    "{PLAIN}se cret:42ä",
    "{CLEAR}se cret:42ä",
    "{CLEARTEXT}se cret:42ä",
    "{PLAIN.b64}c2UgY3JldDo0MsOk",
    "{PLAIN.HEX}736520637265743a3432c3a4",
    "{PLAIN-TRUNC}se cret:42ä",
    "{DES-CRYPT}hdUHxpEkkGx8E",
    "{MD5}$1$J4WUogTo$Y9pTWPGI153apxRFQU/gA1",
    "{MD5-CRYPT}$1$.Y4A9Tj/$V/0UMbN8dPsMcOOvJo2Hj0",
    "{SHA256-CRYPT}$5$mSpCxnr.dJbT.WTn$9nQY27i4qB0U1WkbRZRElTitRekdLPN3L1I6yq990i6",
    "{SHA512-CRYPT}$6$E0cU9y7GOdCKUM7q$E4noD4A8QSf4vxpsN9xyYIRsspY3Q73qFpiiZM6VhheeDnRacBIKv3FjAffUnz/zND92ufO7tSH9EwED.MzNb1",
    "{BLF-CRYPT}$2y$05$wkY3fJN3xR5qDfTGFQ5QMeLeK3KrmxvJMo6mR8IFMRu1NVt1DFMrS",
    "{CRYPT}$2y$05$TKfyEWXIc.SKU5HEweG2hOJNJbQisvC6DnbUoE7K3DcX8V2lgyKEO",
    "{PBKDF2}$1$Wquy6Efao/Auocj6$5000$d10e77002d0d433181b1869de207a9df74ce73ae",
    "{SCRAM-SHA-1}4096,cCvGPIso3ZpxmhZXnep1pg==,WHFOj8VGkQmmAKzOR1/1iUEJ3rw=,hGGIxKztAqtznZv8nXDRABBFhmk=",
    "{SCRAM-SHA-256}4096,Ik2MqQZo63gpfPAdC3x1Nw==,Us7cVUbp8PfRlkWNtfe6aHN/EmS7xgZjLj98O5rd5f8=,VnWVb8IrPMhzuqGuc05C90tj6LOHaB0lWzu0wysFTh0=",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$DA/hVh5fVrJUVvC2BrrB2w$OgAqk+Gfktj8OGOaYiWkvNP/Wc2JAdxBs27hYXqc6UY",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$SygkBkLZKf0H48kdJLLoVg$Qnq5L3BB/bfGWymXiUCZKGKt7vwtMqML9ISskbTmin8",
)
PASSLIB = (
    "$pbkdf2$1000$LuW8V2oNIcQYQ8hZS8nZuw$1IRsr5Q3V9MHgeN5x8M7hwSLtUI",
    "$pbkdf2-sha256$1000$aA3hfM/5/5.zlrLW.n9vTQ$39gnq/uYMxbjGHEPQ9AUS1uY7eTXhabftaLRwCaM7f4",
    "$pbkdf2-sha512$1000$uJeS0tpbq1VKyTlnDGGMkQ$u7wXDmAwnIuqYrzb/Ei2H8HcwrNnTRVRUSuTh7aO8Iil.f2TATJZUMhVm97lzkGGpKjMqnW.HyFiN1m2FdSM.A",
    "{PBKDF2}1000$EwLAOCfEOOdcS4mRMqaUEg$B9CFEPSOPdTCaMQFMaTxe/KvCzo",
    "{PBKDF2-SHA256}1000$0ro3BqBUSsn5/5/zfq8VAg$M8SMSt5MJplW972/2fL2ugYdFXX2ENlpTnYSh44d/wo",
    "{PBKDF2-SHA512}1000$/n.PMUaIUWrtXavVmrOW0g$EMaedWidKCI2.GfFXx15bvniyZQB2YL6FHBDpWhu.i9Mdcx4g1FN3u1MZ2V440l924K8/UPp4ZRbtdApR8E.TA",
    "$scrypt$ln=10,r=8,p=1$710Lwfhfi1Eq5XzvHYPw/g$803ssjfuDEOwnRYz7DM4J8tRLoT7GKfnDHQPYtJ+2tg",
    "$argon2id$v=19$m=64,t=1,p=4$bi0l5Pwf4xzDWIvxHsMYow$fC4enx4seKNjIr3lXzp+1GBmW0clVClCjeMZjxEb3rI",
    "$2b$04$AFTmoYhelh15GXxD1bRg9OHU93iIzQTX1BOjxRfdFY.rlAtNdf3YW",
    "{SSHA}KH/YMHVYshfUpyjRt5aYTKZ5VPIihPA+",
    "{SMD5}zocMTncdtwtOb/8d33+c7z2nNCY=",
    "{MD5}4eiEaLz0HZiEl10GT7+8Aw==",
    "_dD..Pc6Tf7vbOddUvbA",
    "WnlkjWLYUYFL2",
    "$1$o91j3pER$lnbX.Za4S3eKbQRLmj6vJ/",
    "$5$s2TvPTXBbPISgZkE$9nQQHjf6ayzggFO2B5Jh.QHmi22dutxKYc2KmpZfiJ4",
    "$6$rounds=1500$RPIo1W/jwoV4fQLn$k8egFF0/2Vb1xWtto3H.hisxqewqGpuwmI6EnIAoooQopFK2lQwmPr4K1g5FIqgcNCgJixm9bAZv3Dc8TDYVl1",
    "$sha1$500$7ywz/hU/$n3T3WxcdbXMGpbdi6OweiQW5JA19",
)
WEB = (
    "pbkdf2_sha256$1000$seasalt$uvn0UA3o881WMUDoKE3XNKLcGZAb1uVCQcNrvBLy6gg=",
    "pbkdf2_sha1$1000$seasalt$FVWVt56KUUEhEaYYU1GpQsfexyw=",
    "scrypt$1024$seasalt$8$5$hty8/qdpE0S0rb6Cgt8MGv+Cj4QOGMti8NJuPpxQsDc2yGdcBSJyXb0aH/Ehf2kZ39lZnSalEi1jyocn0nIWvQ==",
    "argon2$argon2id$v=19$m=64,t=1,p=1$c2Vhc2FsdHNlYQ$XEYh/j68uUukH0rNoOWnPX0BACbD7Id3PNAKj44/vls",
    "bcrypt$$2b$04$5sZXFWha5Z5zlPHeUEa/9Ow8WgoYayMY07p1JNEjxoQKHseXyRhyK",
    "pbkdf2:sha256:1000$tMfaCLHxStvoF8Nr$31ebe7a1affd5cef5f5a9152293e1448512111c4891530b53b36d954fdf1adf4",
    "scrypt:1024:8:1$Nuzye18UnGMy4EX1$e7bcc200168e2208e8bade8c52fe53d5195a044964234176b9f3da4dd577af1f"
    "05d0c01020de9a84fda4be44e765380fdee49fd605a5e3b4831be3a332ec0d02",
)
#: Hashes that only a system's own crypt(3) computes, of "secret".
YESCRYPT = "$y$j9T$k2XAnEHBqQ1Ct2aMXFKNa/HAmA1BpMnBsYHMWB4NZN4$h0St5STpahXaP5PeOEAlzD7.r8nVuT2/ycfr/tjHfz/"


def rows() -> list[object]:
    return [pytest.param(stored, id=f"{maker}-{stored[:22]}")
            for maker, made in (("dovecot", DOVECOT), ("passlib", PASSLIB), ("web", WEB)) for stored in made]  # fmt: skip


@pytest.mark.parametrize("stored", rows())
def test_what_others_keep_is_compared_with_the_right_password_and_with_no_other(stored: str) -> None:
    assert passwords.check(stored) == stored
    assert verify(stored, PASSWORD, NAME)
    assert not verify(stored, "Se cret:42ä", NAME)
    assert not verify(stored, "", NAME)


@pytest.mark.parametrize("stored", rows())
def test_what_others_keep_is_to_be_renewed(stored: str) -> None:
    assert passwords.needs_rehash(stored)


@pytest.mark.parametrize("scheme", [scheme.name for scheme in SCHEMES.values() if scheme.make])
def test_what_we_make_is_what_we_read(scheme: str) -> None:
    made = hash_password(PASSWORD, scheme.lower(), NAME)
    assert made.startswith(f"{{{scheme}}}")
    assert verify(made, PASSWORD, NAME)
    assert not verify(made, PASSWORD + "x", NAME)


@pytest.mark.parametrize("scheme", ["DES-CRYPT", "MD5-CRYPT", "PLAIN-MD4", "OTP", "ROT13", "{PLAIN}"])
def test_what_is_only_understood_is_not_made(scheme: str) -> None:
    with pytest.raises(UnknownScheme, match="these can: ARGON2ID"):
        hash_password(PASSWORD, scheme)


def test_two_hashes_of_one_password_differ_where_there_is_salt() -> None:
    for scheme in ("SSHA512", "SHA512-CRYPT", "SCRYPT", "PBKDF2", "SCRAM-SHA-256"):
        assert hash_password(PASSWORD, scheme) != hash_password(PASSWORD, scheme)


def test_a_shadow_file_of_today_is_understood() -> None:
    assert verify(YESCRYPT, "secret")
    assert not verify(YESCRYPT, "Secret")


def test_a_name_is_mixed_in_where_the_scheme_says_so() -> None:
    stored = "{DIGEST-MD5}ceb202175b0ce39c8fed66b6e7bec78c"
    assert not verify(stored, PASSWORD, "bert@blue.example")


def test_truncated_passwords_are_known_by_their_beginning() -> None:
    assert verify("{PLAIN-TRUNC}8-longpass", "longpassword")
    assert not verify("{PLAIN-TRUNC}8-longpass", "longpass word"[:7])


@pytest.mark.parametrize("stored", [
    pytest.param("", id="empty"),
    pytest.param("{}x", id="no-name"),
    pytest.param("{SSHA.rot13}x", id="no-encoding"),
    pytest.param("{SSHA}c2hvcnQ=", id="shorter-than-its-digest"),
    pytest.param("{SSHA}not base64", id="no-base64"),
    pytest.param("{SHA}" + "A" * 27 + "\xe9", id="eight-bit"),
    pytest.param("{SHA256}J1RbR8SuHUm2oVvJpbbXHLY+8Tk=", id="of-another-length"),
    pytest.param("{PLAIN-MD5}zz" + "0" * 30, id="no-hex"),
    pytest.param("{SHA512-CRYPT}$5$salt$" + "a" * 43, id="another-crypt"),
    pytest.param("{BLF-CRYPT}$2a$05$short", id="cut-off"),
    pytest.param("$2x$05$" + "a" * 53, id="the-broken-bcrypt"),
    pytest.param("{OTP}sha9 1 seed 0123456789abcdef", id="unknown-hash-of-one-time-passwords"),
    pytest.param("{SCRAM-SHA-256}4096,c2FsdA==,Us7cVUbp,VnWVb8Ir", id="short-scram-keys"),
    pytest.param("{SCRAM-SHA-256}4096,c2FsdA==", id="too-few-scram-keys"),
    pytest.param("{SCRAM-SHA-256}many,c2FsdA==,a,b", id="no-number-of-rounds"),
    pytest.param("$scrypt$ln=0,r=8,p=1$c2FsdA$" + "a" * 43, id="scrypt-without-cost"),
    pytest.param("scrypt:1000:8:1$salt$" + "0" * 64, id="scrypt-cost-is-no-power-of-two"),
    pytest.param("scrypt:1024:0:1$salt$" + "0" * 64, id="scrypt-without-blocks"),
    pytest.param("$pbkdf2-sha3$1000$c2FsdA$" + "a" * 43, id="unknown-hash"),
    pytest.param("$pbkdf2$0$c2FsdA$" + "a" * 43, id="no-rounds"),
    pytest.param("$1$salt$" + "a" * 22 + "\n", id="line-end"),
    pytest.param("{PLAIN}" + "x" * 5000, id="endless"),
])
def test_what_is_broken_is_said_to_be(stored: str) -> None:
    with pytest.raises(UnknownScheme, match="\n"):
        passwords.check(stored)


@pytest.mark.parametrize("stored", [
    pytest.param("$argon2id$v=19$m=1048576,t=5,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", id="argon2-memory-times-passes"),
    pytest.param("$argon2id$v=19$m=1048577,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", id="argon2-memory"),
    pytest.param("$pbkdf2-sha256$5000001$c2FsdA$" + "a" * 43, id="pbkdf2"),
    pytest.param("{PBKDF2}$1$salt$999999999$" + "0" * 40, id="pbkdf2-of-dovecot"),
    pytest.param("pbkdf2_sha256$99999999$salt$" + "a" * 43 + "=", id="pbkdf2-of-django"),
    pytest.param("$6$rounds=999999999$salt$" + "a" * 86, id="sha512-crypt"),
    pytest.param("$5$rounds=999999999$salt$" + "a" * 43, id="sha256-crypt"),
    pytest.param("$sha1$999999999$salt$" + "a" * 28, id="sha1-crypt"),
    pytest.param("_zzzz" + "a" * 15, id="bsdi"),
    pytest.param("$2b$16$" + "a" * 53, id="bcrypt"),
    pytest.param("$y$jFT$salt$" + "a" * 43, id="yescrypt"),
    pytest.param("$scrypt$ln=40,r=8,p=1$c2FsdA$" + "a" * 43, id="scrypt-memory"),
    pytest.param("$scrypt$ln=99,r=999,p=999$c2FsdA$" + "a" * 43, id="scrypt-everything"),
    pytest.param("scrypt:65536:8:99$salt$" + "0" * 64, id="scrypt-lanes"),
    pytest.param("{SCRAM-SHA-1}9999999,c2FsdA==,WHFOj8VGkQmmAKzOR1/1iUEJ3rw=,hGGIxKztAqtznZv8nXDRABBFhmk=", id="scram"),
])
def test_a_hash_cannot_ask_for_more_work_than_we_give(stored: str) -> None:
    began = time.process_time()
    with pytest.raises(UnknownScheme, match="more memory or time than we give"):
        verify(stored, "secret")
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("stored", [pytest.param(stored, id=stored[:24]) for stored in (*DOVECOT, *PASSLIB, YESCRYPT)
                                    if "argon2" not in stored])  # fmt: skip
@pytest.mark.parametrize("password", [
    pytest.param("nul\0byte", id="nul"),
    pytest.param("x" * 600, id="longer-than-crypt-takes"),
    pytest.param("x" * 100_000, id="longer-than-anybody-takes"),
    pytest.param("\udc80\udcff", id="no-utf-8"),
])
def test_strange_passwords_are_wrong_and_nothing_else(stored: str, password: str) -> None:
    assert not verify(stored, password, NAME)


def test_a_nul_does_not_cut_a_password_short() -> None:
    stored = "$2b$04$AFTmoYhelh15GXxD1bRg9OHU93iIzQTX1BOjxRfdFY.rlAtNdf3YW"
    assert not verify(stored, PASSWORD + "\0more")
    assert not verify("$1$o91j3pER$lnbX.Za4S3eKbQRLmj6vJ/", PASSWORD + "\0more")


def test_letters_that_can_be_typed_in_two_ways_are_one() -> None:
    composed, decomposed = "gr\u00fc\u00dfgott", "gru\u0308\u00dfgott"
    assert verify(hash_password(decomposed), composed)
    assert verify(hash_password(composed), decomposed)
    assert verify("{PLAIN}" + decomposed, decomposed)
    assert not verify("{PLAIN}" + decomposed, "gru\u00dfgott")


@given(st.text(max_size=80) | st.builds("{{{}}}{}".format, st.sampled_from(sorted(SCHEMES)), st.text(max_size=60))
       | st.builds("${}${}".format, st.sampled_from(["1", "5", "6", "2b", "y", "scrypt", "pbkdf2", "argon2id"]), st.text(max_size=60)))
def test_whatever_is_stored_is_read_or_named_unknown(stored: str) -> None:
    try:
        said = passwords.check(stored)
    except UnknownScheme as unknown:
        said = str(unknown)
    assert said == stored or "\n" in said
