"""What all tests share: nothing they measure is kept in the home of whoever runs them; signals mean what they do."""

import signal

import pytest

# Started by `nohup`, or in the background by a script, tests and all that they start would ignore what they send.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
