// One GEMM kernel of CUTLASS 2.x: GemmUniversal, on CUDA cores or with mma.sync.
//
// Macros say which; the README lists them. C and D are row-major.
//
// The kernel's parameters are computed on the device, by CUTLASS's own host code: the host that
// launches needs neither a host compiler nor CUTLASS's headers. Of that host code only
// `init_workspace` is not run, because it calls the runtime: the pointer is bound here.
#include <cutlass/cutlass.h>
#include <cutlass/epilogue/thread/linear_combination.h>
#include <cutlass/gemm/kernel/default_gemm_universal.h>
#include <cutlass/gemm/threadblock/threadblock_swizzle.h>

#include "problem.h"

using Operand = GEMM_OPERAND;
using Output = GEMM_OUTPUT;
using Accumulator = GEMM_ACCUMULATOR;

using Epilogue = cutlass::epilogue::thread::LinearCombination<Output, GEMM_OUTPUT_ALIGNMENT,
                                                              Accumulator, Accumulator>;

using Kernel = typename cutlass::gemm::kernel::DefaultGemmUniversal<
    Operand, cutlass::layout::GEMM_LAYOUT_A, cutlass::ComplexTransform::kNone, GEMM_ALIGNMENT,
    Operand, cutlass::layout::GEMM_LAYOUT_B, cutlass::ComplexTransform::kNone, GEMM_ALIGNMENT,
    Output, cutlass::layout::RowMajor, Accumulator, cutlass::arch::GEMM_UNIT, cutlass::arch::GEMM_SM,
    cutlass::gemm::GemmShape<GEMM_TILE>, cutlass::gemm::GemmShape<GEMM_WARP_TILE>,
    cutlass::gemm::GemmShape<GEMM_INSTRUCTION>, Epilogue,
    cutlass::gemm::threadblock::GemmIdentityThreadblockSwizzle<GEMM_SWIZZLE>, GEMM_STAGES,
    cutlass::arch::GEMM_MATH>::GemmKernel;

using Params = typename Kernel::Params;

extern "C" __device__ const unsigned gemm_params_bytes = sizeof(Params);
extern "C" __device__ const unsigned gemm_shared_bytes = sizeof(typename Kernel::SharedStorage);
extern "C" __device__ const unsigned gemm_threads = Kernel::kThreadCount;

// A batch is one grid. So are slices along k, which add up in D one after the other: a semaphore
// for each tile, in the workspace, keeps their order, and the last slice sets it back to zero.
__device__ typename Kernel::Arguments arguments_of(Problem const& problem) {
  using Mode = cutlass::gemm::GemmUniversalMode;
  bool const is_batch = problem.batch > 1;
  return {is_batch ? Mode::kBatched : Mode::kGemm,
          {problem.m, problem.n, problem.k},
          is_batch ? problem.batch : problem.split_k,
          {Accumulator(problem.alpha), Accumulator(problem.beta)},
          problem.a,
          problem.b,
          problem.c,
          problem.d,
          problem.stride_a,
          problem.stride_b,
          problem.stride_c,
          problem.stride_d,
          problem.lda,
          problem.ldb,
          problem.ldc,
          problem.ldd};
}

// What CUTLASS cannot run gets a grid of 0 blocks, which the driver refuses to launch.
__device__ bool can_run(Problem const& problem) {
  return Kernel::can_implement({problem.m, problem.n, problem.k}) == cutlass::Status::kSuccess &&
         (problem.batch == 1 || problem.split_k == 1);
}

extern "C" __global__ void gemm_make_params(Params* params, Launch* launches,
                                            Problem const* problems, int count) {
  int const i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  Problem const problem = problems[i];
  Params made(arguments_of(problem), problem.sm_count, problem.occupancy);
  made.semaphore = static_cast<int*>(problem.workspace);
  dim3 const grid = can_run(problem) ? made.get_grid_dims() : dim3(0, 0, 0);
  launches[i] = {{grid.x, grid.y, grid.z},
                 {gemm_threads, 1, 1},
                 {1, 1, 1},
                 gemm_shared_bytes,
                 made.get_workspace_size()};
  params[i] = made;
}

// Without launch bounds, as CUTLASS itself has it (cutlass/device_kernel.h): with them ptxas spills
// in some kernels of f16 on CUDA cores.
extern "C" __global__ void gemm_run(Params params) {
  extern __shared__ int shared[];
  Kernel::invoke(params, *reinterpret_cast<typename Kernel::SharedStorage*>(shared));
}
