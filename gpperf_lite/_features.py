"""The features that the forests look at, computed here for training and for use alike.

`describe` works on Python floats and on float64 arrays and gives the same bits for both: only
+ - * /, floor division, minimum and maximum, which IEEE 754 rounds in one way everywhere. Trees do
not change under monotone transforms of a feature, so there are no logarithms here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ._arithmetic import Arithmetic
from ._physics import Own, View

FEATURES = {
    "m": "rows of C",
    "n": "columns of C",
    "k": "length of the sums",
    "mn": "elements of C",
    "mk": "elements of A",
    "nk": "elements of B",
    "mnk": "multiply-adds",
    "bytes": "bytes of A, B and C, each once",
    "intensity": "multiply-adds per byte",
    "base_s": "the physical model's time",
    "n_per_m": "shape of C",
    "k_per_n": "shape of B",
    "k_per_m": "shape of A",
    "k_per_mn": "length of the sums over elements of C",
    "compute_share": "compute time over base time",
    "memory_share": "memory time over base time",
    "fill_64x64": "tiles of 64x64 over waves: SMs at work on average",
    "fill_128x64": "the same for tiles of 128x64",
    "fill_64x128": "the same for tiles of 64x128",
    "fill_128x128": "the same for tiles of 128x128",
    "fill_256x128": "the same for tiles of 256x128",
    "fill_128x256": "the same for tiles of 128x256",
    "fill_64x256": "the same for tiles of 64x256",
    "fill_256x256": "the same for tiles of 256x256",
    "fill_128x192": "the same for tiles of 128x192",
    "fill_192x128": "the same for tiles of 192x128",
    "fill_16x128": "the same for tiles of 16x128",
    "fill_32x64": "the same for tiles of 32x64",
    "pad8_m": "m in steps of 8, over m",
    "pad16_m": "m in steps of 16, over m",
    "pad64_m": "m in steps of 64, over m",
    "pad128_m": "m in steps of 128, over m",
    "pad256_m": "m in steps of 256, over m",
    "pad128_n": "n in steps of 128, over n",
    "pad256_n": "n in steps of 256, over n",
    "footprint": "bytes that must stay in L2 for the next launch to find its operands there",
    "miss_share": "share of the bytes that come through DRAM",
    "rows_share": "time for preparing the rows of A over base time",
    "reads_c": "1 where beta is not 0, so that C is read",
    "a_row_major": "1 where A is row-major",
    "b_row_major": "1 where B is row-major",
    "own_fill": "tiles of the kernel itself over waves; 0 for the library",
    "own_k_steps": "steps of the kernel's main loop; 0 for the library",
    "pad128_k": "k in steps of 128, over k: so long is a block that shares a scale",
}
"""Features of every kernel, the library included. Sizes count all GEMMs of a batch."""

KERNEL_FEATURES = {
    "own_rounds": "rounds of the blocks that all SMs hold side by side",
    "own_round_fill": "tiles over all places for blocks in those rounds",
    "own_pad": "elements of the kernel's tiles over elements of C",
    "own_load_per_mac": "bytes of A and B that a tile loads for one multiply-add",
    "own_tile_m": "rows of the kernel's tile",
    "own_tile_n": "columns of the kernel's tile",
    "own_tile_k": "depth of the kernel's tile",
    "own_slices": "slices along k",
    "own_blocks": "blocks that an SM holds side by side; 1 where that is not known",
    "own_warp_m": "rows of a warp's tile; 0 where not known, like all that follow",
    "own_warp_n": "columns of a warp's tile",
    "own_stages": "stages of the software pipeline",
    "own_threads": "threads of a block",
    "own_registers": "registers of a thread",
    "own_shared_bytes": "shared memory of a block",
    "own_occupancy": "warps that an SM holds over those that it could",
    "own_alignment": "elements that contiguous extents are a multiple of",
    "own_swizzle": "width of the swizzle of blocks",
    "own_cluster": "blocks of a cluster",
    "own_instruction": "multiply-adds of one instruction",
    "own_spill_bytes": "bytes that a thread keeps in memory for want of registers",
    "own_slowness": "time of the main loop over what the tile explains of it",
    "own_sums": "elements of C that a thread adds up; 0 where threads are not known",
    "own_strip_bytes": "bytes of A and B that a tile loads from the first step to the last",
    "own_stream_share": "time of all loads of tiles, did they come through DRAM, over base time",
}
"""Features of kernels that are known, which come after FEATURES."""

LINE_BYTES = 128.0
"""Bytes of a line of L2 (CUDA C++ Best Practices Guide, "Coalesced Access to Global Memory")."""

ALL_FEATURES = FEATURES | KERNEL_FEATURES
"""Names, in the order of the columns, and what they mean.

New ones are added at the end: an artefact names the first of them, as many as there were.
"""


class GemmFeatures(NamedTuple):
    """Times and features of one GEMM, or many: floats, or float64 arrays of shape (n_rows,).

    base_s: the physical model's time; light_s: the time that no kernel can beat, at peak FLOP/s
    and at the peak bandwidth of L2 where the operands fit there, of DRAM where not.
    compute_s, memory_s: the two parts of base_s beside the launch.
    macs_s, dram_s: all multiply-adds at peak FLOP/s; all bytes at the peak bandwidth of DRAM.
    stored_bytes: of A, B and C in memory.
    row: the features, in the order of ALL_FEATURES; of the library, those of FEATURES alone.
    """

    base_s: Any
    light_s: Any
    compute_s: Any
    memory_s: Any
    macs_s: Any
    dram_s: Any
    stored_bytes: Any
    row: tuple[Any, ...]


def describe(
    m: Any, n: Any, k: Any, batch: Any, reads_c: float, view: View, arithmetic: Arithmetic
) -> GemmFeatures:
    """Return the physical model's times and the features of one GEMM, or of many.

    m, n, k, batch: floats, or float64 arrays of shape (n_rows,), of whole numbers from 1 on.
    reads_c: 1.0 where beta is not 0.
    """
    return GemmFeatures(*described(m, n, k, batch, reads_c, view, arithmetic))


def described(
    m: Any, n: Any, k: Any, batch: Any, reads_c: float, view: View, arithmetic: Arithmetic
) -> tuple[Any, ...]:
    """Return the fields of `describe` in their order.

    A plain tuple: a GemmFeatures that is made and taken apart again costs one prediction a few
    percent of its time.
    """
    minimum, maximum = arithmetic.minimum, arithmetic.maximum
    sms = view.sm_count
    more = sms - 1.0
    # Blocks of rows and columns. A batch is a stack of GEMMs: its blocks of rows add up.
    m16, m32, m64 = (
        (m + 15.0) // 16.0 * batch,
        (m + 31.0) // 32.0 * batch,
        (m + 63.0) // 64.0 * batch,
    )
    m128, m192 = (m + 127.0) // 128.0 * batch, (m + 191.0) // 192.0 * batch
    m256 = (m + 255.0) // 256.0 * batch
    n64, n128 = (n + 63.0) // 64.0, (n + 127.0) // 128.0
    n192, n256 = (n + 191.0) // 192.0, (n + 255.0) // 256.0
    # Tiles t and waves w of tile sizes (m x n), first in the order of TILES:
    # 0: 64x64, 1: 128x64, 2: 64x128, 3: 128x128, 4: 256x128, 5: 128x256, 6: 64x256;
    # then those that only the forests look at:
    # 7: 256x256, 8: 128x192, 9: 192x128, 10: 16x128, 11: 32x64.
    t0, t1, t2, t3 = m64 * n64, m128 * n64, m64 * n128, m128 * n128
    t4, t5, t6 = m256 * n128, m128 * n256, m64 * n256
    w0, w1 = (t0 + more) // sms, (t1 + more) // sms
    w2, w3 = (t2 + more) // sms, (t3 + more) // sms
    w4, w5, w6 = (t4 + more) // sms, (t5 + more) // sms, (t6 + more) // sms
    t7, t8, t9 = m256 * n256, m128 * n192, m192 * n128
    t10, t11 = m16 * n128, m32 * n64
    rows = m * batch
    mn, mk, nk = rows * n, rows * k, n * k * batch
    macs = mn * k
    operands = (mk + nk) * view.b_bytes + mk * view.more_a_bytes
    result = mn * view.output_bytes
    moved = operands + mn * (view.output_bytes * (1.0 + reads_c))

    kernel_row: tuple[Any, ...] = ()
    stream_s = 0.0
    if view.own is None:
        own_fill = own_k_steps = m * 0.0
        # Of the same tiles: g seconds for one step along k, p for one tile.
        g0, g1, g2, g3, g4, g5, g6 = view.s_per_k
        p0, p1, p2, p3, p4, p5, p6 = view.s_per_tile
        whole_s = minimum(
            minimum(
                minimum(w0 * (k * g0 + p0), w1 * (k * g1 + p1)),
                minimum(w2 * (k * g2 + p2), w3 * (k * g3 + p3)),
            ),
            minimum(
                minimum(w4 * (k * g4 + p4), w5 * (k * g5 + p5)),
                w6 * (k * g6 + p6),
            ),
        )
        # Slices of k that a library may choose: 2 or 4 of 128x128, 4 of 128x64, 4 or 8 of 64x64.
        join_s = mn * view.split_s_per_element
        join4_s, k4 = join_s * 4.0, k * 0.25
        split_s = minimum(
            minimum(
                (t3 * 2.0 + more) // sms * (k * 0.5 * g3 + p3) + join_s * 2.0,
                (t3 * 4.0 + more) // sms * (k4 * g3 + p3) + join4_s,
            ),
            minimum(
                (t1 * 4.0 + more) // sms * (k4 * g1 + p1) + join4_s,
                minimum(
                    (t0 * 8.0 + more) // sms * (k * 0.125 * g0 + p0) + join_s * 8.0,
                    (t0 * 4.0 + more) // sms * (k4 * g0 + p0) + join4_s,
                ),
            ),
        )
        tiles_s = minimum(whole_s, split_s + view.split_s)
    else:
        own_fill, own_k_steps, tiles_s, stream_s, kernel_row = _own_tiles(
            m, n, k, batch, mn, view.own, view, maximum
        )

    compute_s = maximum(tiles_s, macs * view.s_per_mac)
    footprint = moved + nk * (view.b_bytes * view.rotation)
    misses = minimum(moved, maximum(footprint - view.resident_bytes, 0.0) * view.miss_growth)
    memory_s = misses * view.s_per_dram_byte + (moved - misses) * view.s_per_l2_byte
    longer, shorter = maximum(compute_s, memory_s), minimum(compute_s, memory_s)
    written = maximum(result - 0.25 * view.l2_bytes, 0.0)
    unhidden_s = view.unhidden * shorter + written * view.s_per_written_byte
    rows_s = rows * (view.s_per_row + ((k + 2047.0) // 2048.0) * view.s_per_row_step)
    base_s = maximum(longer + unhidden_s + rows_s + view.launch_s, view.host_s)
    macs_s, dram_s = macs * view.macs_s, moved * view.dram_s
    # Where the operands do not fit in L2, all of them come through DRAM at least once.
    over_l2 = moved > view.l2_bytes
    light_s = maximum(macs_s, maximum(moved * view.l2_s, dram_s * over_l2))

    row: tuple[Any, ...] = (
        m,
        n,
        k,
        mn,
        mk,
        nk,
        macs,
        moved,
        macs / moved,
        base_s,
        n / m,
        k / n,
        k / m,
        k / mn,
        compute_s / base_s,
        memory_s / base_s,
        t0 / w0,
        t1 / w1,
        t2 / w2,
        t3 / w3,
        t4 / w4,
        t5 / w5,
        t6 / w6,
        t7 / ((t7 + more) // sms),
        t8 / ((t8 + more) // sms),
        t9 / ((t9 + more) // sms),
        t10 / ((t10 + more) // sms),
        t11 / ((t11 + more) // sms),
        (m + 7.0) // 8.0 / m,
        m16 / rows,
        m64 / rows,
        m128 / rows,
        m256 / rows,
        n128 / n,
        n256 / n,
        footprint,
        misses / moved,
        rows_s / base_s,
        reads_c,
        view.a_is_row_major,
        view.b_is_row_major,
        own_fill,
        own_k_steps,
        (k + 127.0) // 128.0 / k,
    )
    if view.own is not None:
        row = (*row, *kernel_row, stream_s / base_s)
    return base_s, light_s, compute_s, memory_s, macs_s, dram_s, operands + result, row


def _own_tiles(
    m: Any,
    n: Any,
    k: Any,
    batch: Any,
    mn: Any,
    own: Own,
    view: View,
    maximum: Callable[[Any, Any], Any],
) -> tuple[Any, Any, Any, Any, tuple[Any, ...]]:
    """Return tiles over waves, steps, times of the tiles and of their loads, and features.

    Of the loads, did all of them come through DRAM. Features: KERNEL_FEATURES but the last.
    """
    tile_m, tile_n, tile_k, slices, blocks, *rest = own
    threads = own.threads
    sms = view.sm_count
    tiles_m, tiles_n = (m + (tile_m - 1.0)) // tile_m, (n + (tile_n - 1.0)) // tile_n
    tiles = tiles_m * tiles_n * batch * slices
    waves = (tiles + (sms - 1.0)) // sms
    places = sms * blocks
    rounds = (tiles + (places - 1.0)) // places
    steps = (k + (tile_k * slices - 1.0)) // (tile_k * slices)
    loaded = (tile_m + tile_n) * view.b_bytes + tile_m * view.more_a_bytes
    s_per_k = maximum(tile_m * tile_n * view.sm_s_per_mac, loaded * view.sm_s_per_byte)
    s_per_k = s_per_k + view.sm_s_per_k
    whole_s = k / slices * s_per_k
    # A few warps leave an SM waiting: as long in every round, however many blocks share it. Where
    # they are not known, there are taken to be two for each of its four schedulers.
    warps = maximum(threads / 32.0, (threads == 0.0) * 8.0)
    alone_s = whole_s * (view.half_warps / warps)
    spilled_s = own.spill_bytes * threads * view.sm_s_per_spilled_byte
    whole_s = whole_s + steps * spilled_s
    busy_s = maximum(waves * whole_s + rounds * alone_s, rounds * (steps * view.step_s))
    busy_s = busy_s * own.slowness
    join_s = (slices > 1.0) * (mn * view.split_s_per_element * slices + view.split_s)
    row = (
        rounds,
        tiles / (rounds * places),
        tiles_m * tile_m / m * (tiles_n * tile_n / n),
        loaded / (tile_m * tile_n),
        tile_m,
        tile_n,
        tile_k,
        slices,
        blocks,
        *rest,
        tile_m * tile_n * (threads != 0.0) / maximum(threads, 1.0),
        loaded * (k / slices),
    )
    # DRAM is read in lines; a row of a tile that is shorter than one leaves the rest unused.
    a_row = view.a_is_row_major * tile_k + (1.0 - view.a_is_row_major) * tile_m
    b_row = view.b_is_row_major * tile_n + (1.0 - view.b_is_row_major) * tile_k
    a_bytes, b_bytes = view.b_bytes + view.more_a_bytes, view.b_bytes
    lines = tile_m * maximum(a_bytes, LINE_BYTES / a_row)
    lines = lines + tile_n * maximum(b_bytes, LINE_BYTES / b_row)
    stream_s = tiles_m * tiles_n * batch * k * lines * view.dram_s
    tiles_s = busy_s + rounds * view.tile_s + join_s + view.streamed * stream_s
    return tiles / waves, steps, tiles_s, stream_s, row
