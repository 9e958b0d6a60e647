"""One certificate from an ACME authority, from the account to the file. Blocking; in a thread of its own (`renewal`).

The protocol is spoken by the package acme (the extra twistmail[acme]); what is
ours is the order of steps, the waiting, which ends when the server stops, and
what went wrong, in words. The account is its key: `new_account` finds the one
that there is (RFC 8555 §7.3.1), so nothing else is kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import josepy
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from twistmail.tls.acme.answers import Answers
from twistmail.tls.acme.proofs import Proof, proof_of
from twistmail.tls.acme.settings import Failed, Wish
from twistmail.tls.acme.updates import TROUBLE as DNS_TROUBLE
from twistmail.tls.bringing import keep
from twistmail.tls.certificates import Certificate, parse
from twistmail.tls.files import UNREADABLE, read, write_secret

#: Seconds: for one request, between two questions how far it is, until the authority must have decided.
PATIENCE, POLL_EVERY, LONGEST = 20, 1.0, 90.0
#: That we are ready (RFC 8555 §7.5.1); it is the same for every way.
LOOK = challenges.HTTP01Response(key_authorization="")
TROUBLE = (requests.RequestException, errors.Error, josepy.errors.Error, *DNS_TROUBLE, *UNREADABLE)


class Issuing:
    """One try to get what *wish* says. Keys of accounts are kept in *folder*; *stopping* ends every wait."""

    def __init__(self, wish: Wish, folder: Path, answers: Answers, stopping: threading.Event) -> None:
        self._wish = wish
        self._folder = folder
        self._stopping = stopping
        self._proof: Proof = proof_of(wish, answers, self._pause)

    def certificate(self, own: Path) -> Certificate:
        """Get it, and put it into the folder *own*. Failed."""
        try:
            return self._issue(own)
        except TROUBLE as error:
            raise Failed(said(error)) from error

    def suggestion(self, certificate: Certificate) -> float | None:
        """When the authority would have *certificate* renewed (RFC 9773), in POSIX seconds; None where it does not say. Failed."""
        pem = certificate.chain[0].public_bytes(serialization.Encoding.PEM)
        try:
            suggested, _ = self._unregistered().renewal_time(pem)
        except TROUBLE as error:
            raise Failed(said(error)) from error
        return suggested.timestamp() if suggested else None

    # ----- the steps

    def _issue(self, own: Path) -> Certificate:
        key = _new_key(self._wish.key)
        registered = self._registered()
        order = registered.new_order(crypto_util.make_csr(key, list(self._wish.names)))
        self._prove(registered, order)
        chain = self._finalized(registered, order)
        certificate = parse(own, key + chain.encode("ascii"))
        missing = set(self._wish.names).difference(certificate.names)
        if missing:
            raise ValueError(f"the certificate that came is not for {' '.join(sorted(missing))}")
        keep(certificate, own)
        return certificate

    def _unregistered(self) -> Any:
        verify: Any = str(self._wish.authorities) if self._wish.authorities else True
        network = client.ClientNetwork(
            josepy.JWKEC(key=self._account_key()), alg=josepy.ES256, verify_ssl=verify, user_agent="twistmail", timeout=PATIENCE
        )
        return client.ClientV2(client.ClientV2.get_directory(self._wish.directory, network), network)

    def _registered(self) -> Any:
        """A client with an account: a new one, or the one that the key has already."""
        unregistered = self._unregistered()
        told: dict[str, Any] = {"terms_of_service_agreed": True}
        if self._wish.email:
            told["email"] = self._wish.email
        if self._wish.external:
            binding = messages.ExternalAccountBinding
            public = unregistered.net.key.public_key()
            told["external_account_binding"] = binding.from_data(public, *self._wish.external, unregistered.directory)
        try:
            unregistered.new_account(messages.NewRegistration.from_data(**told))
        except errors.ConflictError as there:
            unregistered.net.account = messages.RegistrationResource(uri=there.location, body=messages.Registration())
        return unregistered

    def _account_key(self) -> ec.EllipticCurvePrivateKey:
        """One per authority."""
        path = self._folder / f"{sha256(self._wish.directory.encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            write_secret(path, _new_key("ecdsa"))
        key = serialization.load_pem_private_key(read(path), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} holds no key of ours")
        return key

    def _prove(self, registered: Any, order: Any) -> None:
        """Show that the names are ours, those that the authority does not believe from before. Failed."""
        waiting = [one for one in order.authorizations if one.body.status != messages.STATUS_VALID]
        with ExitStack() as shown:
            chosen = [self._challenge(one) for one in waiting]
            for one, challenge in zip(waiting, chosen, strict=True):
                token = _asked(challenge)["token"]
                thumbprint = josepy.b64encode(registered.net.key.thumbprint()).decode()
                shown.enter_context(self._proof.shown(one.body.identifier.value, token, f"{token}.{thumbprint}"))
            if waiting:
                self._proof.settle()
            for challenge in chosen:
                registered.answer_challenge(challenge, LOOK)
            self._await_decisions(registered, waiting)

    def _challenge(self, authorization: Any) -> Any:
        for challenge in authorization.body.challenges:
            if _asked(challenge)["type"] == self._proof.kind:
                return challenge
        raise Failed(f"{authorization.body.identifier.value}: the authority does not offer {self._proof.kind}")

    def _await_decisions(self, registered: Any, authorizations: Iterable[Any]) -> None:
        deadline = time.monotonic() + LONGEST
        for one in authorizations:
            while one.body.status in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
                if time.monotonic() > deadline:
                    raise Failed(f"{one.body.identifier.value}: the authority does not decide")
                self._pause(POLL_EVERY)
                one, _ = registered.poll(one)
            if one.body.status != messages.STATUS_VALID:
                raise Failed(f"{one.body.identifier.value}: {_why(one)}")

    def _finalized(self, registered: Any, order: Any) -> str:
        """The chain, as PEM."""
        try:
            order = registered.begin_finalization(order)
        except messages.Error as error:
            if error.code != "orderNotReady":  # polling tells when it is, and asks again
                raise
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            try:
                chain: str = registered.poll_finalization(order, datetime.now() + timedelta(seconds=3 * POLL_EVERY)).fullchain_pem
                return chain
            except errors.TimeoutError:
                self._pause(0)
        raise Failed("the authority does not hand out the certificate")

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Failed("the server stops")


def _new_key(kind: str) -> bytes:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _asked(challenge: Any) -> dict[str, Any]:
    """What the authority wants to see. Newer releases of acme know nothing of tls-alpn-01, but what was said is there."""
    told: dict[str, Any] = challenge.chall.to_partial_json()
    return told


def _why(authorization: Any) -> str:
    troubles = [challenge.error for challenge in authorization.body.challenges if challenge.error is not None]
    return said(troubles[0]) if troubles else f"the authority says {authorization.body.status.name}"


def said(error: BaseException) -> str:
    """What is wrong, in one line that people can read."""
    if isinstance(error, messages.Error):
        return _line(error.detail or error.description or error.title or str(error))
    if isinstance(error, errors.IssuanceError):
        return said(error.error)
    if isinstance(error, requests.exceptions.SSLError):
        return f"nobody whom this machine trusts vouches for the authority: {_line(str(error))}"
    if isinstance(error, requests.ConnectionError):
        return f"the authority cannot be reached: {_line(str(error))}"
    return _line(str(error)) or type(error).__name__


def _line(text: str) -> str:
    return " ".join(text.split())[:400]
