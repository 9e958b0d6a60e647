"""Verify beside a server that works: what changes while we look is no anomaly."""

import threading
import time

from tests.backup.conftest import ALICE, House
from tests.helpers import result_of
from twistmail.mail.mailbox import FlagChange
from twistmail.store.verify import verify_account

ROUNDS = 15


def test_nothing_is_told_of_what_changes_meanwhile(tmp_path):
    house = House(tmp_path)
    house.append("INBOX", *(b"Subject: %d\r\n\r\n" % number for number in range(200)))
    stopped, errors, delivered = threading.Event(), [], []

    def load():
        try:
            while not stopped.is_set():
                delivered.append(None)
                house.deliver(b"Subject: load\r\n\r\n" + b"y" * (len(delivered) * 37 % 5000))
                box = house.open()
                result_of(box.store([box.uids[-1]], FlagChange.ADD, ["\\Seen", "Work"]))
                if len(delivered) % 2:
                    result_of(box.expunge([box.uids[len(box.uids) // 2]]))
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=load)
    thread.start()
    try:
        rounds = 0
        while not errors and (rounds < ROUNDS or len(delivered) < 50):
            rounds += 1
            assert verify_account(house.tree, ALICE, time.time(), deep=True).anomalies == []
    finally:
        stopped.set()
        thread.join()
        house.store.close()
    assert errors == []
    assert verify_account(house.tree, ALICE, time.time(), deep=True).anomalies == []
