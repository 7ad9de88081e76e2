"""Making `import torchvision`, which spandrel needs, work beside a torch that it was not built for."""

from __future__ import annotations


def make_importable() -> None:
    """Define the two operator schemas that torchvision looks for on import, if it cannot be imported without.

    The torchvision of PyPI is built for CUDA. Beside another build of torch its compiled part does not load, nor do the
    operators in it; all that is in Python works.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # A library that is collected takes its definitions with it.
    _KEPT.append(library)


_KEPT: list[object] = []
