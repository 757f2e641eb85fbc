"""Keys and strings of settings that an installer pastes."""

import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from gatectl.decision.toml_text import toml_key, toml_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # TOML is UTF-8, which has no lone surrogates


@example(name="a\x7f", text="\x7f")
@given(name=TEXTS, text=TEXTS)
def test_any_key_and_any_string_are_read_as_they_were(name, text):
    table = {name: text, "number": 5, "is": True}
    assert tomli.loads(f"{toml_key(name)} = {toml_value(text)}") == {name: text}
    assert tomli.loads(f"table = {toml_value(table)}") == {"table": table}


def test_a_key_is_quoted_only_where_it_must_be():
    assert [toml_key(name) for name in ("side-door_2", "Side door", "")] == [
        "side-door_2",
        '"Side door"',
        '""',
    ]
