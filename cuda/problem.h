// The contract between every kernel of this folder and the host that launches it.
//
// Each gemm source exports, by these names:
//   extern "C" __device__ const unsigned gemm_params_bytes, gemm_shared_bytes, gemm_threads;
//   extern "C" __global__ void gemm_make_params(Params* params, Launch* launches,
//                                               Problem const* problems, int count);
//   extern "C" __global__ void gemm_run(Params params);
// The host launches gemm_make_params with one thread a problem, reads both arrays back, and passes
// Params by value to gemm_run in the shape that Launch gives. gemm_shared_bytes is all shared
// memory of a block, static and dynamic. README.md says the rest.
#pragma once

// C[m, n] = alpha * A[m, k] B[k, n] + beta * C, `batch` times. D is written, C is read; they may be
// the same. C and D are row-major; A and B as the layout of the kernel says. Leading dimensions and
// the strides of a batch count elements.
struct Problem {
  void const* a;
  void const* b;
  void const* c;
  void* d;
  void* workspace;  // zeroed by the host when bound; a kernel leaves it so, unless its README says
  long long lda, ldb, ldc, ldd;
  long long stride_a, stride_b, stride_c, stride_d;
  double alpha, beta;
  int m, n, k, batch;
  int split_k;    // slices along k
  int sm_count;   // of the GPU
  int occupancy;  // blocks of this kernel that an SM holds at once
  int swizzle;    // width of the raster's swizzle, where it is no template parameter
  int a_is_row_major, b_is_row_major;  // for a kernel that takes any layout
};

// How to launch gemm_run for one problem.
struct Launch {
  unsigned grid[3];
  unsigned block[3];
  unsigned cluster[3];  // 1, 1, 1 where there are none
  unsigned shared_bytes;  // dynamic shared memory to ask for; static memory is not counted
  unsigned long long workspace_bytes;
};
