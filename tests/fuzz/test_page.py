"""docs/FUZZ.md says what the code and the results say."""

from tests.fuzz.page import PAGE, page


def test_the_page_is_of_this_code_and_these_results() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "it is not: make fuzz-page"
