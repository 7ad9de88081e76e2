"""What all tests share: nothing they measure is kept in the home of whoever runs them."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
