"""Background check that the declared GPUs exist, which takes seconds."""

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread

from snakemake_interface_common.exceptions import WorkflowError

from tapemill.core.errors import TapemillError
from tapemill.devices.device import Kind


class GpuCheck:
    """A check that starts on construction."""

    def __init__(self, kind: Kind, numbers: Sequence[int]) -> None:
        self._outcome: Future[None] = Future()
        # A daemon thread: a run that ends for another reason does not wait for it.
        Thread(target=self._run, args=(kind, numbers), name="gpu check", daemon=True).start()

    def raise_if_known(self) -> None:
        """Raise WorkflowError if GPUs are already known to be missing."""
        if self._outcome.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the check; raise WorkflowError if GPUs are missing."""
        try:
            self._outcome.result()
        except TapemillError as error:
            raise WorkflowError(str(error)) from None

    def _run(self, kind: Kind, numbers: Sequence[int]) -> None:
        try:
            from tapemill.lanes.gpu_registry import check_lanes

            check_lanes(kind, numbers)
        except BaseException as error:  # noqa: BLE001  raised again by `wait`, in the calling thread
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(None)
