"""The addresses of this machine."""

from __future__ import annotations

from pathlib import Path

from twistmail.relay.ours import addresses_of_this_machine

TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 192.0.2.7
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""
SIX = "20010db8000000000000000000000007 02 40 00 80     eth0\n"


def test_local_addresses_of_both_families_are_found_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "trie").write_text(TRIE)
    (tmp_path / "six").write_text(SIX)
    assert addresses_of_this_machine(tmp_path / "trie", tmp_path / "six") == {"192.0.2.7", "127.0.0.1", "2001:db8::7"}


def test_a_system_without_these_files_knows_nothing(tmp_path: Path) -> None:
    assert addresses_of_this_machine(tmp_path / "none", tmp_path / "none") == frozenset()
