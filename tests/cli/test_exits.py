"""Every error that a command may meet has an exit code."""

import pytest

from talekeeper import errors
from talekeeper.cli.exits import exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.TalekeeperError("x"), 1),
        (errors.NotFound("x"), 1),
        (errors.ConfigurationError("x"), 2),
        (errors.InvalidInput("x"), 2),
        (errors.StoreUnavailable("x"), 3),
        (errors.DatabaseDamaged("x"), 4),
        (errors.DataFolderInUse("x"), 5),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_an_error_ends_a_command_with_its_code(error: errors.TalekeeperError, code: int):
    assert exit_code(error) == code
