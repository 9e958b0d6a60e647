import configparser

from hypothesis import given, settings
from hypothesis import strategies as st

from twistmail.config import ini


def values(text):
    blocks, problems = ini.read(text, "f")
    assert problems == ()
    return {block.name: {entry.key: entry.text for entry in block.entries} for block in blocks}


def test_values_go_on_in_indented_lines_and_end_at_an_empty_one():
    assert values("[a]\nlist = one\n    two\n    # not three\n    four\n\n  next = x\n") == {"a": {"list": "one\ntwo\nfour", "next": "x"}}


def test_a_hash_inside_a_value_belongs_to_it():
    assert values("[a]\npassword = x#y ; z$%(s)s\n; comment\n# comment\n") == {"a": {"password": "x#y ; z$%(s)s"}}


def test_line_ends_and_marks_of_other_systems_do_not_matter():
    assert values("\ufeff[a]\r\nk = v\r\n") == {"a": {"k": "v"}}


def test_names_keep_what_is_behind_the_colon():
    assert list(values("[alias:Info@Blue.example]\nto = x\n")) == ["alias:Info@Blue.example"]
    assert list(values("[ alias : info@blue.example ]\nto = x\n")) == ["alias:info@blue.example"]


def test_places_count_from_one():
    block = ini.read("\n[a]\n  key =  value\n     more\n", "f")[0][0]
    entry = block.entries[0]
    assert [(p.line, p.column) for p in (block.place, entry.place, *(line.place for line in entry.lines))] == [
        (2, 1),
        (3, 3),
        (3, 10),
        (4, 6),
    ]


def test_a_huge_file_is_refused():
    assert "larger than 4 MB" in ini.read("#" * (ini.LONGEST_FILE + 1), "f")[1][0].text


@given(st.text(alphabet="[]=#;: \t\r\nab_\u00e9", max_size=200))
@settings(max_examples=200)
def test_no_text_breaks_the_reader(text):
    blocks, problems = ini.read(text, "f")
    assert all(1 <= place.line <= text.count("\n") + 1 for place in [b.place for b in blocks] + [p.place for p in problems])


words = st.text(alphabet="abcdefgh$%#;=.", min_size=1, max_size=12).filter(lambda word: word[0] not in "#;=")


@given(st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(words, min_size=1, max_size=3), min_size=1))
@settings(max_examples=100)
def test_what_we_read_is_what_configparser_reads(section):
    text = "[s]\n" + "".join(f"{key} = " + "\n   ".join(lines) + "\n" for key, lines in section.items())
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), empty_lines_in_values=False)
    parser.read_string(text)
    assert values(text)["s"] == dict(parser["s"])
