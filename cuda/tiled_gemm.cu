// The classic GEMM: a block computes square tiles of D, and brings the tiles of A and B that it
// needs into shared memory, one pair at a time.
//
// TILE: side of a tile and of a block, 1 to 32. ELEMENT: of A, B, C and D; float, double or half.
#include <cuda_fp16.h>

#include "problem.h"

using Params = Problem;

namespace {

using Element = ELEMENT;

template <class T>
struct AccumulatorOf {
  using Type = float;
};
template <>
struct AccumulatorOf<double> {
  using Type = double;
};
using Accumulator = AccumulatorOf<Element>::Type;

// Rows are padded, so that threads that write a column do not all meet one bank. Those of B by one
// element: each meets another. Those of A by 16 bytes: four share one, but rows stay aligned, for A
// is read along the row, several elements at once.
using TileOfA = Accumulator[TILE][TILE + 16 / sizeof(Accumulator)];
using TileOfB = Accumulator[TILE][TILE + 1];

constexpr unsigned LARGEST_GRID_Y = 65535;
constexpr unsigned LARGEST_GRID_Z = 65535;

__device__ unsigned tiles_along(unsigned extent) { return (extent + TILE - 1) / TILE; }

__device__ unsigned smaller(unsigned left, unsigned right) { return left < right ? left : right; }

// What one thread brings of an operand: one element of each tile along k.
struct Share {
  Element const* matrix;
  long long next;          // index in the matrix
  long long step;          // from one tile to the next
  unsigned across, along;  // where in a tile: across k, and along it
  bool is_inside;          // of the matrix, across k
};

// threadIdx.x runs along the extent that is contiguous in memory, so that the threads of a warp
// read neighbouring elements. `first`: where the tiles begin across k; `extent`: of the matrix,
// across k.
__device__ Share share_of(void const* operand, long long origin, long long leading,
                          bool k_is_contiguous, unsigned first, unsigned extent) {
  unsigned const across = k_is_contiguous ? threadIdx.y : threadIdx.x;
  unsigned const along = k_is_contiguous ? threadIdx.x : threadIdx.y;
  unsigned const place = first + across;
  long long const offset = k_is_contiguous ? place * leading + along : along * leading + place;
  return {static_cast<Element const*>(operand),
          origin + offset,
          k_is_contiguous ? TILE : TILE * leading,
          across,
          along,
          place < extent};
}

// Returns the next element; 0 where the matrix has ended. `left`: of k, from the start of the tile.
__device__ Accumulator taken_from(Share& share, unsigned left) {
  bool const is_inside = share.is_inside && share.along < left;
  auto const value = is_inside ? static_cast<Accumulator>(share.matrix[share.next]) : 0;
  share.next += share.step;
  return value;
}

__device__ void store(Params const& params, unsigned gemm, unsigned row, unsigned column,
                      Accumulator sum) {
  Accumulator result = static_cast<Accumulator>(params.alpha) * sum;
  if (params.beta != 0) {
    auto const* c = static_cast<Element const*>(params.c) + gemm * params.stride_c;
    result += static_cast<Accumulator>(params.beta) *
              static_cast<Accumulator>(c[row * params.ldc + column]);
  }
  auto* d = static_cast<Element*>(params.d) + gemm * params.stride_d;
  d[row * params.ldd + column] = static_cast<Element>(result);
}

}  // namespace

extern "C" __device__ const unsigned gemm_params_bytes = sizeof(Params);
extern "C" __device__ const unsigned gemm_shared_bytes = sizeof(TileOfA) + sizeof(TileOfB);
extern "C" __device__ const unsigned gemm_threads = TILE * TILE;

extern "C" __global__ void gemm_make_params(Params* params, Launch* launches,
                                            Problem const* problems, int count) {
  int const index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return;
  Problem const& problem = problems[index];
  params[index] = problem;
  // gemm_run loops over the tiles and GEMMs that a grid cannot hold.
  launches[index] = {{tiles_along(problem.n),
                      smaller(tiles_along(problem.m), LARGEST_GRID_Y),
                      smaller(problem.batch, LARGEST_GRID_Z)},
                     {TILE, TILE, 1},
                     {1, 1, 1},
                     0,
                     0};
}

extern "C" __global__ void __launch_bounds__(TILE* TILE) gemm_run(Params params) {
  __shared__ TileOfA a_tile;
  __shared__ TileOfB b_tile;
  // All unsigned: an index may pass its extent, 2^31 - 1 at most, by a tile or a grid.
  unsigned const m = params.m, n = params.n, k = params.k, batch = params.batch;
  unsigned const first_column = blockIdx.x * TILE;
  for (unsigned gemm = blockIdx.z; gemm < batch; gemm += gridDim.z) {
    for (unsigned tile = blockIdx.y; tile < tiles_along(m); tile += gridDim.y) {
      unsigned const first_row = tile * TILE;
      Share a = share_of(params.a, gemm * params.stride_a, params.lda, params.a_is_row_major,
                         first_row, m);
      Share b = share_of(params.b, gemm * params.stride_b, params.ldb, !params.b_is_row_major,
                         first_column, n);
      Accumulator sum = 0;
      for (unsigned done = 0; done < k; done += TILE) {
        a_tile[a.across][a.along] = taken_from(a, k - done);
        b_tile[b.along][b.across] = taken_from(b, k - done);
        __syncthreads();
        for (int i = 0; i < TILE; ++i) sum += a_tile[threadIdx.y][i] * b_tile[i][threadIdx.x];
        // No thread may write the next tiles while another still reads these.
        __syncthreads();
      }
      unsigned const row = first_row + threadIdx.y, column = first_column + threadIdx.x;
      if (row < m && column < n) store(params, gemm, row, column, sum);
    }
  }
}
