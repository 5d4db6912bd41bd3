"""Numbers for the text."""

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from esgd_minimal.prose import say


def test_a_value_is_printed_without_its_pages_prefix_and_with_a_true_minus(capsys):
    say(page_best_lr="-0.10 ± 2e-05", page_kind="one-sided")
    assert capsys.readouterr().out == "best lr: −0.10 ± 2e-05\nkind: one-sided\n"


def test_in_a_notebook_a_value_is_kept_for_the_page():
    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            say(page_gap="-0.5")
    finally:
        InteractiveShell.clear_instance()
    (kept,) = captured.outputs
    assert kept.metadata["scrapbook"]["name"] == "page-gap"
    assert kept.data == {"application/papermill.record/text/plain": "'−0.5'"}
