"""docs/FUZZ.md and docs/FUZZ_COVERAGE.md say what the code and the results say."""

from tests.fuzz.page import COVERAGE, PAGE, coverage, page


def test_the_page_is_of_this_code_and_these_results() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "it is not: make fuzz-page"
    assert coverage() == COVERAGE.read_text(), "it is not: make fuzz-page"
