"""Runs under the arm64 Python: `ncnn_network.py NETWORK.param 224x224x3 COUNT` infers as ncnn's own benchmark does."""

import sys

import ncnn

OPTIONS = (
    "lightmode",
    "use_winograd_convolution",
    "use_sgemm_convolution",
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_int8_inference",
    "use_int8_storage",
    "use_int8_arithmetic",
    "use_packing_layout",
)


def main(path: str, shape: str, count: str) -> None:
    net, blobs, workspace = ncnn.Net(), ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
    blobs.set_size_compare_ratio(0.0)
    workspace.set_size_compare_ratio(0.0)
    net.opt.blob_allocator, net.opt.workspace_allocator, net.opt.num_threads = blobs, workspace, 1
    for option in OPTIONS:
        setattr(net.opt, option, True)
    net.load_param(path)
    net.load_model(ncnn.DataReaderFromEmpty())
    image = ncnn.Mat(*map(int, shape.split("x")))
    image.fill(0.01)
    for _ in range(int(count)):
        infer(net, image)
    net.clear()
    del net  # before its allocators


def infer(net: ncnn.Net, image: ncnn.Mat) -> None:
    extractor = net.create_extractor()
    for name in net.input_names():
        extractor.input(name, image)
    for name in net.output_names():
        extractor.extract(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
