"""What `python -m benchmarks` says of itself: a figure that is not measured does not hold."""

import pytest
from benchmarks.__main__ import main


def test_a_figure_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as refused:
        main(["--only", "G1,G99"])
    assert refused.value.code == 2
    assert "there is no G99" in capsys.readouterr().err
