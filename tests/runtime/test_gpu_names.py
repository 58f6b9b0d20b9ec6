"""Names of GPUs: each is of the board that it is of, or is refused with the reason and a way on."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import gpperf_lite as gp
from gpperf_lite._gpu_boards import BOARDS
from gpperf_lite._gpu_facts import find_gpu, known_gpus
from gpperf_lite._gpu_names import corrected, gpu_name, is_written_by_a_program, short_name

TOLD = {
    # NVML, `nvidia-smi --query-gpu=name`, `torch.cuda.get_device_name()`
    "NVIDIA H100 80GB HBM3": "h100_sxm",
    "NVIDIA H100 PCIe": "h100_pcie",
    "NVIDIA H100 NVL": "h100_nvl",
    "NVIDIA H200": "h200_sxm",
    "NVIDIA H200 NVL": "h200_nvl",
    "NVIDIA H800": "h800_sxm",
    "NVIDIA H20": "h20",
    "NVIDIA GH200 480GB": "gh200",
    "NVIDIA GH200 120GB": "gh200",
    "NVIDIA B200": "b200_sxm",
    "NVIDIA B300 SXM6 AC": "b300_sxm",
    "NVIDIA GB200": "gb200",
    "NVIDIA GB300": "gb300",
    "NVIDIA GB10": "gb10",
    "NVIDIA A100-SXM4-80GB": "a100_sxm",
    "NVIDIA A100-SXM4-40GB": "a100_sxm_40gb",
    "A100-SXM4-40GB": "a100_sxm_40gb",
    "NVIDIA A100-PCIE-40GB": "a100_pcie_40gb",
    "NVIDIA A100 80GB PCIe": "a100_pcie_80gb",
    "NVIDIA A30": "a30",
    "NVIDIA A10": "a10",
    "NVIDIA A10G": "a10g",
    "NVIDIA A40": "a40",
    "NVIDIA L4": "l4",
    "NVIDIA L40": "l40",
    "NVIDIA L40S": "l40s",
    "Tesla T4": "t4",
    "Tesla V100-SXM2-16GB": "v100_sxm_16gb",
    "Tesla V100-SXM2-32GB": "v100_sxm_32gb",
    "Tesla V100-PCIE-32GB": "v100_pcie_32gb",
    "Tesla P100-PCIE-16GB": "p100_pcie_16gb",
    "Tesla P4": "p4",
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "NVIDIA GeForce RTX 4070 Ti SUPER": "rtx4070tisuper",
    "NVIDIA GeForce RTX 3090 Ti": "rtx3090ti",
    "GeForce RTX 2080 Ti": "rtx2080ti",
    "NVIDIA RTX A6000": "rtx_a6000",
    "NVIDIA RTX 6000 Ada Generation": "rtx_6000_ada",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "rtx_pro_6000_server",
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": "rtx_pro_6000_workstation",
    "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition": "rtx_pro_6000_max_q",
    # nvidia-smi -L, lspci
    "GPU 0: NVIDIA H200 (UUID: GPU-4d1f7a52-0f5c-11ef-9f3c-d75bb6c5bbfd)": "h200_sxm",
    "GPU 3: NVIDIA A100-SXM4-80GB (UUID: GPU-0a1b2c3d)\n": "a100_sxm",
    "GPU 0: NVIDIA GeForce RTX 4090": "rtx4090",
    "17:00.0 3D controller: NVIDIA Corporation GH100 [H100 SXM5 80GB] (rev a1)": "h100_sxm",
    "NVIDIA Corporation GA102GL [RTX A6000]": "rtx_a6000",
    # Slurm
    "gpu:nvidia_a100-sxm4-80gb:8": "a100_sxm",
    "gpu:nvidia_a100-sxm4-80gb:8(S:0-1)": "a100_sxm",
    "gres/gpu:a100_sxm_40gb:4": "a100_sxm_40gb",
    "gres/gpu:l40s=4": "l40s",
    "--gres=gpu:rtx_a6000:2": "rtx_a6000",
    "gpu:nvidia_geforce_rtx_3090:1": "rtx3090",
    "t4:2": "t4",
    # Kubernetes and Google's names
    "NVIDIA-H100-80GB-HBM3": "h100_sxm",
    "NVIDIA-A100-SXM4-40GB": "a100_sxm_40gb",
    "NVIDIA-GeForce-RTX-3090": "rtx3090",
    "nvidia.com/gpu.product=NVIDIA-A100-SXM4-80GB": "a100_sxm",
    '"nvidia.com/gpu.product": "NVIDIA-L40S"': "l40s",
    "cloud.google.com/gke-accelerator: nvidia-l4": "l4",
    "nvidia-tesla-t4": "t4",
    "nvidia-tesla-p4": "p4",
    "nvidia-l4": "l4",
    "nvidia-b200": "b200_sxm",
    "nvidia-gb200": "gb200",
    "nvidia-h100-mega-80gb": "h100_sxm",
    "nvidia-h200-141gb": "h200_sxm",
    # Shops, papers, people
    "H100 SXM5 80GB": "h100_sxm",
    "H100-SXM5": "h100_sxm",
    "h100sxm": "h100_sxm",
    "HGX H100": "h100_sxm",
    "DGX H100": "h100_sxm",
    "H100 NVL 94GB": "h100_nvl",
    "h100-pcie-80gb": "h100_pcie",
    "H200 SXM": "h200_sxm",
    "H200 SXM5 141GB HBM3e": "h200_sxm",
    "HGX B200": "b200_sxm",
    "A100 SXM 80GB": "a100_sxm",
    "A100-SXM4-80G": "a100_sxm",
    "A100 80 GB PCI-E": "a100_pcie_80gb",
    "NVIDIA A100 40GB PCIe Tensor Core GPU": "a100_pcie_40gb",
    "1xA100-SXM4-40GB": "a100_sxm_40gb",
    "V100 SXM2 32GB": "v100_sxm_32gb",
    "GB200 NVL72": "gb200",
    "GB300-NVL72": "gb300",
    "DGX Spark": "gb10",
    "RTX A5000": "rtx_a5000",
    "a6000": "rtx_a6000",
    "RTX 6000 Ada": "rtx_6000_ada",
    "rtx6000ada": "rtx_6000_ada",
    "RTX PRO 6000 Max-Q": "rtx_pro_6000_max_q",
    "GeForce® RTX™ 4080 SUPER": "rtx4080super",
    "4090": "rtx4090",
    "2080ti": "rtx2080ti",
    "RTX 4090 24GB": "rtx4090",
    "RTX 3080 10GB": "rtx3080",
    "rtx-3060ti": "rtx3060ti",
    "Jetson AGX Orin 64GB": "jetson_agx_orin",
    "Jetson AGX Thor 128GB": "jetson_agx_thor",
    "t4 16gb": "t4",
    "GB200 Grace Blackwell Superchip": "gb200",
    "jetson_agx_orin": "jetson_agx_orin",
    "NVIDIA RTX A5000 24 GB": "rtx_a5000",
    "NVIDIA H100 (PCIe)": "h100_pcie",
}
"""Names that are of one board and of no other."""

TAKEN = {
    "h100": "h100_sxm",
    "H100 80GB": "h100_sxm",
    "NVIDIA H100": "h100_sxm",
    "nvidia-h100-80gb": "h100_sxm",
    "gpu:h100:8": "h100_sxm",
    "--gpus-per-node=h100:4": "h100_sxm",
    "h200": "h200_sxm",
    "gpu:h200:1": "h200_sxm",
    "h800": "h800_sxm",
    "a100": "a100_sxm",
    "gres/gpu:a100:4": "a100_sxm",
    "nvidia-a100-80gb": "a100_sxm",
    "A100 SXM4": "a100_sxm",
    "DGX A100": "a100_sxm",
    "A100 40GB": "a100_sxm_40gb",
    "nvidia-tesla-a100": "a100_sxm_40gb",
    "v100": "v100_sxm_16gb",
    "nvidia-tesla-v100": "v100_sxm_16gb",
    "V100 32GB": "v100_sxm_32gb",
    "b200": "b200_sxm",
    "b300": "b300_sxm",
    "gh200": "gh200",
    "NVIDIA GH200 Grace Hopper Superchip": "gh200",
    "NVIDIA Jetson AGX Orin Developer Kit": "jetson_agx_orin",
    "RTX PRO 6000": "rtx_pro_6000_server",
    "nvidia-rtx-pro-6000": "rtx_pro_6000_server",
    "Orin": "jetson_agx_orin",
    "NVIDIA Thor": "jetson_agx_thor",
}
"""Names that several boards have, each with the one as which it is taken."""

SLICE, SEVERAL, PORTABLE = "a MIG slice is part of a GPU", "more than one GPU", "a GPU of laptops"
REFUSED = {
    # Parts of GPUs
    "NVIDIA H100 80GB HBM3 MIG 1g.10gb": SLICE,
    "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb": SLICE,
    "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb-SHARED": SLICE,
    "  MIG 1g.10gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)": SLICE,
    "GPU 0: NVIDIA H200 (UUID: GPU-1)\n  MIG 1g.18gb Device 0: (UUID: MIG-2)": SLICE,
    "gpu:a100_1g.5gb:2": SLICE,
    "gpu:1g.10gb:1": SLICE,
    "nvidia.com/mig-1g.10gb": SLICE,
    "NVIDIA A40-48Q": "a vGPU is part of a GPU",
    "GRID A100-40C": "a vGPU is part of a GPU",
    # More than one, or none
    "gpu:a100:2,gpu:v100:2": SEVERAL,
    "GPU 0: NVIDIA H200 (UUID: GPU-1)\nGPU 1: NVIDIA H200 (UUID: GPU-2)": SEVERAL,
    "RTX 4090 RTX 3090": SEVERAL,
    "h100 h200": SEVERAL,
    "gpu:4": "no model of GPU",
    "gres/gpu:8": "no model of GPU",
    "": "no model of GPU",
    "NVIDIA": "no model of GPU",
    # Boards that differ in memory
    "NVIDIA A100-SXM-64GB": "no a100 with '64gb'",
    "NVIDIA A100-SXM4-320GB": "no a100 with '320gb'",
    "NVIDIA H100 96GB HBM3": "no h100 with '96gb'",
    "NVIDIA GH200 144G HBM3e": "no gh200 with '144gb hbm3e'",
    "NVIDIA H20-3e": "no h20 with '3e'",
    "H20 141GB": "no h20 with '141gb'",
    "P100-PCIE-12GB": "no p100 with '12gb'",
    "RTX 3080 12GB": "the rtx3080 that is known has 10 GB",
    "RTX 4060 Ti 16GB": "the rtx4060ti that is known has 8 GB",
    "RTX 5060 Ti 8 GB": "the rtx5060ti that is known has 16 GB",
    "Jetson AGX Orin 32GB": "no orin with '32gb'",
    # Boards that differ in form
    "NVIDIA H100 CNX": "no h100 with 'cnx'",
    "NVIDIA H800 PCIe": "no h800 with 'pcie'",
    "NVIDIA H800 NVL": "no h800 with 'nvl'",
    "H100 SXM4": "no h100 with 'sxm4'",
    "Tesla V100-SXM3-32GB": "no v100 with 'sxm3'",
    "Tesla V100-DGXS-32GB": "no v100 with 'dgxs'",
    "Tesla V100-FHHL-16GB": "no v100 with 'fhhl'",
    "Tesla V100-SXM2-32GB-LS": "no v100 with 'ls'",
    "Tesla P100-SXM2-16GB": "no p100 with 'sxm2'",
    "GB200 NVL4": "no gb200 with 'nvl4'",
    "Jetson Orin Nano": "no orin with 'nano'",
    "NVIDIA RTX A5000 Laptop GPU": PORTABLE,
    "NVIDIA RTX 5000 Ada Generation Laptop GPU": PORTABLE,
    "Quadro RTX 5000 with Max-Q Design": PORTABLE,
    "Quadro RTX 6000": "no rtx 6000 with 'quadro'",
    # Cards that differ in a word or a letter
    "NVIDIA GeForce RTX 4090 D": "no rtx 4090 with 'd'",
    "rtx5090d": "no rtx 5090 with 'd'",
    "NVIDIA GeForce RTX 4090 Laptop GPU": PORTABLE,
    "NVIDIA GeForce RTX 3080 Ti Laptop GPU": PORTABLE,
    "GeForce RTX 2080 with Max-Q Design": PORTABLE,
    "RTX 3070 Mobile": PORTABLE,
    "RTX 3080 Lite Hash Rate": "no rtx 3080 with",
    "NVIDIA GeForce RTX 4090 Ti": "",
    "NVIDIA GeForce RTX 3090 SUPER": "",
    "NVIDIA GeForce RTX 3050": "",
    "RTX 4091": "",
    "NVIDIA A100X": "",
    "NVIDIA A800-SXM4-80GB": "",
    "NVIDIA A10M": "",
    "NVIDIA A2": "",
    "NVIDIA L2": "",
    "NVIDIA L20": "",
    "NVIDIA_L20Y": "",
    "NVIDIA L40G": "",
    "T4G": "",
    "Tesla V100S-PCIE-32GB": "",
    "Tesla P40": "",
    "Tesla K80": "",
    "NVIDIA TITAN RTX": "",
    "GeForce GTX 1080 Ti": "",
    "NVIDIA RTX A4000": "",
    "NVIDIA RTX A1000": "",
    "NVIDIA RTX PRO 5000 Blackwell": "",
    "AMD_Instinct_MI300X": "",
    "H300": "",
    "H2000": "",
    "gb301": "",
    "6000 Ada": "",
    "RTX 6000 Blackwell": "no rtx 6000 with 'blackwell'",
    "cuda:0": "",
    "A10-0": "no a10 with '0'",
    "RTX 4090 \u0422i": "no rtx 4090 with",
    "h200é": "",
    # Names that several known boards have, none of which is the usual one
    "V100 PCIe": "say which, v100_pcie_16gb, v100_pcie_32gb",
    "A100 PCIe": "say which, a100_pcie_40gb, a100_pcie_80gb",
    "P100": "say which, p100_pcie_16gb",
    "RTX 6000": "say which, rtx_6000_ada",
    "H100 HBM2e": "say which, h100_pcie",
}  # fmt: skip
"""Names of boards that are not known, of parts of boards, and of none, each with the reason."""

MISSPELT = {
    "h20O": "h200",
    "hl00": "h100",
    "H1OO PCIe": "h100 pcie",
    "l4o": "l40",
    "RTX 4O9O": "rtx 4090",
    "Nvdia H200": "nvidia h200",
    "Telsa T4": "tesla t4",
    "RTX 4070 Ti Supr": "rtx 4070 ti super",
    "RTX PRO 6000 Blackwel Server Edition": "rtx pro 6000 blackwell server edition",
}

ALL = {**TOLD, **TAKEN}


@pytest.mark.parametrize("name", TOLD)
def test_a_name_of_one_board_is_of_that_board(name: str) -> None:
    assert find_gpu(name) == (TOLD[name], known_gpus()[TOLD[name]])
    assert gpu_name(name).note == ""


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_of_several_boards_is_taken_as_the_usual_one_and_a_note_says_so(name: str) -> None:
    assert find_gpu(name)[0] == TAKEN[name]
    assert gpu_name(name).note.startswith(f"{name!r} is taken as {TAKEN[name]}, ")


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_of_another_board_is_refused_with_the_reason_and_what_to_do(name: str) -> None:
    with pytest.raises(gp.UnknownGpuError) as caught:
        gp.load(name)
    text = str(caught.value)
    assert REFUSED[name] in text
    assert "'gpperf gpus' lists those that are known" in text
    assert "--gpu-facts" in text
    assert "did you mean" not in text
    assert text.isprintable()
    with pytest.raises(gp.UnknownGpuError, match=re.escape("add another to gpperf_lite/gpus.json")):
        find_gpu(name)


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_name_is_refused_with_the_same_name_spelt_right(name: str) -> None:
    with pytest.raises(gp.UnknownGpuError) as caught:
        gp.load(name)
    assert f"did you mean {MISSPELT[name]!r}?" in str(caught.value)


def test_a_gpu_that_is_shared_is_predicted_as_if_it_were_not_and_a_note_says_so() -> None:
    alone = "predicted as a GPU that nobody else uses"
    assert gpu_name("Tesla-T4-SHARED") == ("t4", alone, "", ())
    both = gpu_name("nvidia-h100-80gb-SHARED")
    assert both.short == "h100_sxm"
    assert both.note.startswith("'nvidia-h100-80gb-SHARED' is taken as h100_sxm, ")
    assert both.note.endswith(f"; {alone}")


def test_every_board_with_a_row_is_known_and_called_by_its_own_name() -> None:
    for board in BOARDS:
        assert board.short in known_gpus()
        assert short_name(board.short) == board.short
        # Of one GPU by its own name nothing is to be said, but where that is the family's, too.
        assert (gpu_name(board.short).note == "") == (board.short != "gh200")


@pytest.mark.parametrize("name", known_gpus())
def test_the_name_of_a_driver_is_taken_as_it_is(name: str) -> None:
    noted = gpu_name(known_gpus()[name].name).note
    assert bool(noted) == (name in ("jetson_agx_orin", "jetson_agx_thor"))


GAPS = st.text(" -_\t\n\r\x00\x1b\x7f\u200b\u00a0", min_size=1, max_size=3)


@given(st.data(), st.sampled_from(sorted([*ALL, *REFUSED])))
def test_capitals_gaps_and_control_characters_do_not_count(data: st.DataObject, name: str) -> None:
    spelt = re.sub(r"[ _\n-]+", lambda _: data.draw(GAPS), name.strip())
    letters = [data.draw(st.sampled_from([str.upper, str.lower]))(letter) for letter in spelt]
    around = "".join(letters).replace("Ä", "ä")
    if around.lower() != spelt.lower():  # a letter of no single capital
        around = spelt
    again = gpu_name(data.draw(GAPS) + around + data.draw(GAPS))
    once = gpu_name(name)
    assert (again.short, again.refusal) == (once.short, once.refusal)
    assert bool(again.note) == bool(once.note)


TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(
            [
                *("nvidia", "tesla", "geforce", "rtx", "pro", "a100", "h100", "h200", "4090"),
                *("6000", "80gb", "80", "gb", "g", "1g.5gb", "mig", "ti", "super", "d", "sxm"),
                *("sxm4", "pcie", "nvl", "shared", "gpu:", ":1", "gres/", "0:", "(uuid:x)", "["),
                *("]", "ada", "max", "q", "8x", "h100sxm", "24gb", "é", "l4o", "nvdia", "ti\x00"),
            ]
        ),
        max_size=7,
    ).map(" ".join),
)


@given(TEXTS)
@example("NVIDIA GeForce Tesla X1")
def test_the_short_name_of_a_short_name_is_itself(name: str) -> None:
    short = short_name(name)
    assert short_name(short) == short
    assert re.fullmatch(r"[a-z0-9_]*", short)
    assert bool(short) == any(map(str.isalnum, name))


@given(TEXTS)
def test_any_text_is_of_a_known_board_or_an_error_of_ours_that_can_be_printed(name: str) -> None:
    try:
        short, gpu = find_gpu(name)
        reason = gpu_name(name).refusal
        assert (known_gpus()[short], reason) == (gpu, "")
    except gp.UnknownGpuError as error:
        reason = str(error)
    assert reason.isprintable()
    assert len(reason) < 600


@given(TEXTS)
def test_what_is_suggested_is_never_another_board(name: str) -> None:
    """The words that tell boards apart are in both, but for letters that look like digits."""
    name = re.sub(r"[:=/[]", " ", name)  # without counts of GPUs
    mended = corrected(name)
    known = [one for one in (name, mended) if not gpu_name(one).refusal]
    if [one for one in known if gpu_name(one).short in known_gpus()] == [mended]:
        assert words_with_digits(name) == words_with_digits(mended)


def words_with_digits(name: str) -> set[str]:
    """Return the words of a name that tell its number and memory, O as 0 and I and L as 1."""
    words = re.findall(r"[a-z0-9]*[0-9][a-z0-9]*", name.lower())
    return {word.translate(str.maketrans("oil", "011")) for word in words}


def test_names_of_programs_with_a_slash_are_no_paths() -> None:
    assert gp.load("gres/gpu:l40s:4").name == "l40s"
    assert gp.load("nvidia.com/gpu.product=NVIDIA-L40S").name == "l40s"
    for path in ("models/mine", "./h200", "a/gpu", "/gpu/h200"):
        assert not is_written_by_a_program(path)
        with pytest.raises(gp.ArtefactError, match="cannot read"):
            gp.load(path)


def test_neither_a_built_in_model_nor_its_refusals_of_names_need_the_data_sheets() -> None:
    """All that a name says is in its words: see test_neither_importing_nor_loading_..., too."""
    for name in (*gp.available(), "h200", "NVIDIA H100 80GB HBM3"):
        assert gpu_name(name).short in gp.available()


def test_the_table_is_long_enough_to_be_of_use() -> None:
    assert len(ALL) >= 56
    assert len(REFUSED) >= 25
    assert not set(ALL) & set(REFUSED)
