// One GEMM kernel of CUTLASS 3.x for Hopper: wgmma and TMA, warp-specialised, in clusters.
//
// Macros say which; the README lists them. C and D are row-major. As with CUTLASS 2.x, the
// parameters are computed on the device, by CUTLASS's own host code; of TMA descriptors, which
// only the driver can encode, they hold records (tma_record.h).
#include "nvrtc_std.h"

#include "cutlass/kernel_hardware_info.h"
#include <cute/tensor.hpp>
#include <cutlass/cutlass.h>
#include <cutlass/epilogue/collective/collective_builder.hpp>
#include <cutlass/gemm/collective/collective_builder.hpp>
#include <cutlass/gemm/kernel/gemm_universal.hpp>

#include "problem.h"
#include "record_tma.h"

template <int... EXTENTS>
using Extents = cute::Shape<cute::Int<EXTENTS>...>;

using Operand = GEMM_OPERAND;
using Output = GEMM_OUTPUT;
using Accumulator = GEMM_ACCUMULATOR;
using Tile = Extents<GEMM_TILE>;
using Cluster = Extents<GEMM_CLUSTER>;
using Sm = cutlass::arch::Sm90;
using Unit = cutlass::arch::OpClassTensorOp;
using OutputLayout = cutlass::layout::RowMajor;

using Epilogue = typename cutlass::epilogue::collective::CollectiveBuilder<
    Sm, Unit, Tile, Cluster, cutlass::epilogue::collective::EpilogueTileAuto, Accumulator,
    Accumulator, Output, OutputLayout, GEMM_OUTPUT_ALIGNMENT, Output, OutputLayout,
    GEMM_OUTPUT_ALIGNMENT, cutlass::epilogue::GEMM_EPILOGUE>::CollectiveOp;

// As many stages as fit beside what the epilogue takes.
using Stages = cutlass::gemm::collective::StageCountAutoCarveout<static_cast<int>(
    sizeof(typename Epilogue::SharedStorage))>;

using Mainloop = typename cutlass::gemm::collective::CollectiveBuilder<
    Sm, Unit, Operand, cutlass::layout::GEMM_LAYOUT_A, GEMM_ALIGNMENT, Operand,
    cutlass::layout::GEMM_LAYOUT_B, GEMM_ALIGNMENT, Accumulator, Tile, Cluster, Stages,
    cutlass::gemm::GEMM_SCHEDULE>::CollectiveOp;

using Kernel =
    cutlass::gemm::kernel::GemmUniversal<cute::Shape<int, int, int, int>, Mainloop, Epilogue>;
using Params = typename Kernel::Params;
using Arguments = typename Kernel::Arguments;

extern "C" __device__ const unsigned gemm_params_bytes = sizeof(Params);
extern "C" __device__ const unsigned gemm_shared_bytes = Kernel::SharedStorageSize;
extern "C" __device__ const unsigned gemm_threads = Kernel::MaxThreadsPerBlock;

// A stride has one mode that is static and 1, the contiguous one, one that is the leading
// dimension, and the batch's.
template <class Stride>
CUTE_HOST_DEVICE void set_stride(Stride& stride, long long leading, long long batch) {
  using First = cute::remove_cvref_t<decltype(cute::get<0>(stride))>;
  if constexpr (cute::is_static_v<First>) {
    cute::get<1>(stride) = leading;
  } else {
    cute::get<0>(stride) = leading;
  }
  cute::get<2>(stride) = batch;
}

CUTE_HOST_DEVICE Arguments arguments_of(Problem const& problem) {
  Arguments arguments{};
  arguments.mode = cutlass::gemm::GemmUniversalMode::kGemm;
  arguments.problem_shape = {problem.m, problem.n, problem.k, problem.batch};
  auto& mainloop = arguments.mainloop;
  mainloop.ptr_A = static_cast<decltype(mainloop.ptr_A)>(problem.a);
  mainloop.ptr_B = static_cast<decltype(mainloop.ptr_B)>(problem.b);
  set_stride(mainloop.dA, problem.lda, problem.stride_a);
  set_stride(mainloop.dB, problem.ldb, problem.stride_b);
  auto& epilogue = arguments.epilogue;
  epilogue.ptr_C = static_cast<Output const*>(problem.c);
  epilogue.ptr_D = static_cast<Output*>(problem.d);
  set_stride(epilogue.dC, problem.ldc, problem.stride_c);
  set_stride(epilogue.dD, problem.ldd, problem.stride_d);
  epilogue.thread.alpha = static_cast<Accumulator>(problem.alpha);
  epilogue.thread.beta = static_cast<Accumulator>(problem.beta);
  arguments.hw_info.sm_count = problem.sm_count;
  if constexpr (!cute::is_const_v<decltype(arguments.scheduler.max_swizzle_size)>) {
    arguments.scheduler.max_swizzle_size = problem.swizzle;
  }
  return arguments;
}

// Only an epilogue that stores through TMA has descriptors.
template <class EpilogueParams>
CUTE_HOST_DEVICE auto record_epilogue(EpilogueParams& params, Arguments const& arguments, int)
    -> decltype(params.tma_store_d, void()) {
  auto [m, n, k, batch] = arguments.problem_shape;
  auto const shape = cute::make_shape(m, n, batch);
  auto const& epilogue = arguments.epilogue;
  record_tma(params.tma_load_c, epilogue.ptr_C, shape, epilogue.dC, 1);
  record_tma(params.tma_store_d, epilogue.ptr_D, shape, epilogue.dD, 1);
}
template <class EpilogueParams>
CUTE_HOST_DEVICE void record_epilogue(EpilogueParams&, Arguments const&, long) {}

CUTE_HOST_DEVICE void record_descriptors(Params& params, Arguments const& arguments) {
  auto [m, n, k, batch] = arguments.problem_shape;
  auto const& mainloop = arguments.mainloop;
  // Blocks of a cluster that share a row of tiles load parts of A for each other, those that
  // share a column parts of B.
  record_tma(params.mainloop.tma_load_a, mainloop.ptr_A, cute::make_shape(m, k, batch),
             mainloop.dA, cute::size<1>(Cluster{}));
  record_tma(params.mainloop.tma_load_b, mainloop.ptr_B, cute::make_shape(n, k, batch),
             mainloop.dB, cute::size<0>(Cluster{}));
  record_epilogue(params.epilogue, arguments, 0);
}

// What CUTLASS cannot run gets a grid of 0 blocks, which the driver refuses to launch.
CUTE_HOST_DEVICE bool can_run(Problem const& problem, Arguments const& arguments) {
  return Kernel::can_implement(arguments) && problem.split_k == 1;
}

CUTE_HOST_DEVICE void make_params(Params& params, Launch& launch, Problem const& problem) {
  Arguments const arguments = arguments_of(problem);
  Params made = Kernel::to_underlying_arguments(arguments, problem.workspace);
  record_descriptors(made, arguments);
  dim3 const grid = can_run(problem, arguments) ? Kernel::get_grid_shape(made) : dim3(0, 0, 0);
  dim3 const block = Kernel::get_block_shape();
  launch = {{grid.x, grid.y, grid.z},
            {block.x, block.y, block.z},
            {cute::size<0>(Cluster{}), cute::size<1>(Cluster{}), cute::size<2>(Cluster{})},
            gemm_shared_bytes,
            Kernel::get_workspace_size(arguments)};
  params = made;
}

extern "C" __global__ void gemm_make_params(Params* params, Launch* launches,
                                            Problem const* problems, int count) {
  int const i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) make_params(params[i], launches[i], problems[i]);
}

extern "C" __global__
__launch_bounds__(Kernel::MaxThreadsPerBlock, Kernel::MinBlocksPerMultiprocessor) void gemm_run(
    __grid_constant__ Params const params) {
  extern __shared__ char shared[];
  Kernel{}(params, shared);
}
