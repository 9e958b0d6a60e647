"""Puts together who has the connections to other servers: this process, or one beside it (`relay.beside`). Called by `assembly`."""

from __future__ import annotations

from contextlib import nullcontext

from twistmail.config.settled import Config
from twistmail.foundation import Ground
from twistmail.relay.beside import Beside, launcher
from twistmail.relay.carrier import Capacity, Carrier, Connections
from twistmail.relay.connect import Dialer
from twistmail.relay.exchange import Manners
from twistmail.relay.link import Together
from twistmail.relay.told import Equipment


def carrier_of(config: Config, ground: Ground, manners: Manners, capacity: Capacity, together: Together = nullcontext) -> Carrier:
    """Where the way out is pretended (`Ground.dial`) nothing leaves this process. *together*: `IQueue.together`."""
    settings, reactor = config["relay"], ground.reactor
    here = Connections(ground.dial or Dialer(reactor), manners, capacity, reactor, ground.threads)
    if settings.process == "no" or ground.dial is not None or not hasattr(reactor, "adoptStreamConnection"):
        return here
    authorities = str(config.file(settings.tls_ca)) if settings.tls_ca else ""
    equipment = Equipment(manners.hello, authorities, manners.avoided, capacity)
    return Beside(here, launcher(reactor, equipment, ground.threads, together), reactor, always=settings.process == "yes")
