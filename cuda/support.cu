// The kernels that measuring needs beside the GEMMs: operands, references, a clock, a load.
// README.md has the launch of each kernel and the meaning of its arguments.
#include <special_registers.h>

#include "element.h"
#include "problem.h"
#include "support.h"

namespace {

constexpr int REFERENCE_THREADS = 128;

constexpr int SPIN_THREADS = 256;
constexpr int SPIN_SIDE = 64;   // of the tile of a block, 16 by 16 threads
constexpr int SPIN_DEPTH = 16;  // of one pair of tiles
constexpr int SPIN_EACH = 4;    // side of the tile of a thread
constexpr int SPIN_WORDS = SPIN_DEPTH * SPIN_SIDE;

constexpr int LONGEST_WAIT_FOR_TICK = 10000;  // readings of the timer

constexpr float INTEGER_SIGMA = 32;

__device__ long long thread_of_grid() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ long long threads_of_grid() { return static_cast<long long>(gridDim.x) * blockDim.x; }

struct Words {
  unsigned word[4];
};

// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
__device__ Words random_words(unsigned long long counter, unsigned long long seed) {
  unsigned c0 = counter, c1 = counter >> 32, c2 = 0, c3 = 0;
  unsigned k0 = seed, k1 = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    unsigned long long const left = 0xD2511F53ull * c0;
    unsigned long long const right = 0xCD9E8D57ull * c2;
    c0 = static_cast<unsigned>(right >> 32) ^ c1 ^ k0;
    c2 = static_cast<unsigned>(left >> 32) ^ c3 ^ k1;
    c1 = right;
    c3 = left;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Box-Muller: two uniform numbers become two that are N(0, 1).
__device__ void normal_pair(unsigned first, unsigned second, float (&pair)[2]) {
  float const uniform = (static_cast<float>(first) + 0.5f) * 0x1p-32f;  // above 0, at most 1
  float const angle = static_cast<float>(second) * (0x1p-32f * 6.28318531f);
  float const radius = sqrtf(-2.0f * logf(uniform));
  pair[0] = radius * cosf(angle);
  pair[1] = radius * sinf(angle);
}

// In float64, from 53 bits each, so that every bit of the mantissa is random.
__device__ void normal_pair(unsigned long long first, unsigned long long second,
                            double (&pair)[2]) {
  double const uniform = (static_cast<double>(first >> 11) + 0.5) * 0x1p-53;
  double const angle = static_cast<double>(second >> 11) * (0x1p-53 * 6.283185307179586);
  double const radius = sqrt(-2.0 * log(uniform));
  pair[0] = radius * cos(angle);
  pair[1] = radius * sin(angle);
}

__device__ unsigned long long joined(unsigned high, unsigned low) {
  return static_cast<unsigned long long>(high) << 32 | low;
}

// Elements first to first + 1, those of them that are below count.
__device__ void fill_two(double* data, long long first, long long count, Words const& words) {
  double pair[2];
  normal_pair(joined(words.word[0], words.word[1]), joined(words.word[2], words.word[3]), pair);
  for (int i = 0; i < 2 && first + i < count; ++i) data[first + i] = pair[i];
}

// Elements first to first + 3, those of them that are below count.
__device__ void fill_four(void* data, long long first, long long count, int type,
                          Words const& words) {
  float const scale = type == TYPE_S8 || type == TYPE_S32 ? INTEGER_SIGMA : 1.0f;
  float pairs[2][2];
  normal_pair(words.word[0], words.word[1], pairs[0]);
  normal_pair(words.word[2], words.word[3], pairs[1]);
  for (int i = 0; i < 4 && first + i < count; ++i)
    element::write(data, first + i, type, scale * pairs[i / 2][i % 2]);
}

// Address of an element, in elements from the start of its matrix.
__device__ long long place(long long row, long long column, long long leading, bool is_row_major) {
  return is_row_major ? row * leading + column : column * leading + row;
}

// The part that one thread adds to the product of row `row` of A and column `column` of B.
__device__ double part_of_product(Problem const& problem, int type_a, int type_b, long long gemm,
                                  long long row, long long column) {
  double sum = 0;
  for (long long i = threadIdx.x; i < problem.k; i += REFERENCE_THREADS) {
    long long const at_a = place(row, i, problem.lda, problem.a_is_row_major);
    long long const at_b = place(i, column, problem.ldb, problem.b_is_row_major);
    sum += element::read(problem.a, gemm * problem.stride_a + at_a, type_a) *
           element::read(problem.b, gemm * problem.stride_b + at_b, type_b);
  }
  return sum;
}

// Returns the sum over the block to its first thread; in a fixed order.
__device__ double sum_of_block(double part) {
  __shared__ double sums[REFERENCE_THREADS];
  __syncthreads();  // `sums` may still be read for the entry before
  sums[threadIdx.x] = part;
  for (unsigned half = REFERENCE_THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return threadIdx.x == 0 ? sums[0] : 0;  // others would read it while it is written
}

using SpinTile = float[SPIN_DEPTH][SPIN_SIDE];

// Brings two neighbouring tiles to shared memory, from a place of their own in each step.
__device__ void load_spin_tiles(SpinTile (&tiles)[2], float const* memory, long long count,
                                long long step) {
  long long const n_places = count / (2 * SPIN_WORDS);
  long long const place = (step * gridDim.x + blockIdx.x) % n_places;
  for (int i = threadIdx.x; i < 2 * SPIN_WORDS; i += SPIN_THREADS)
    tiles[i / SPIN_WORDS][i / SPIN_SIDE % SPIN_DEPTH][i % SPIN_SIDE] =
        memory[place * 2 * SPIN_WORDS + i];
}

__device__ void multiply_spin_tiles(float (&sums)[SPIN_EACH][SPIN_EACH],
                                    SpinTile const (&tiles)[2]) {
  int const row = threadIdx.x / (SPIN_SIDE / SPIN_EACH) * SPIN_EACH;
  int const column = threadIdx.x % (SPIN_SIDE / SPIN_EACH) * SPIN_EACH;
  for (int depth = 0; depth < SPIN_DEPTH; ++depth)
    for (int i = 0; i < SPIN_EACH; ++i)
      for (int j = 0; j < SPIN_EACH; ++j)
        sums[i][j] += tiles[0][depth][row + i] * tiles[1][depth][column + j];
}

}  // namespace

extern "C" __global__ void fill_normal(void* data, long long count, int type,
                                       unsigned long long seed) {
  int const each = type == TYPE_F64 ? 2 : 4;
  for (long long i = thread_of_grid(); i * each < count; i += threads_of_grid()) {
    Words const words = random_words(i, seed);
    if (type == TYPE_F64)
      fill_two(static_cast<double*>(data), i * each, count, words);
    else
      fill_four(data, i * each, count, type, words);
  }
}

extern "C" __global__ void fill_nan(void* data, long long count, int type) {
  for (long long i = thread_of_grid(); i < count; i += threads_of_grid())
    element::write_nan(data, i, type);
}

extern "C" __global__ void count_non_finite(Problem problem, int type_d,
                                            unsigned long long* count) {
  long long const rows = static_cast<long long>(problem.batch) * problem.m;
  unsigned long long found = 0;
  for (long long i = thread_of_grid(); i < rows * problem.n; i += threads_of_grid()) {
    long long const row = i / problem.n;
    long long const at = row / problem.m * problem.stride_d + row % problem.m * problem.ldd;
    found += !element::is_finite(problem.d, at + i % problem.n, type_d);
  }
  if (found) atomicAdd(count, found);
}

extern "C" __global__ void __launch_bounds__(REFERENCE_THREADS)
    reference_entries(Problem problem, int type_a, int type_b, int type_c, int type_d, int gemm,
                      long long const* rows, long long const* columns, int count, double* got,
                      double* wanted) {
  for (long long i = blockIdx.x; i < count; i += gridDim.x) {
    long long const row = rows[i], column = columns[i];
    double const part = part_of_product(problem, type_a, type_b, gemm, row, column);
    double result = problem.alpha * sum_of_block(part);
    if (threadIdx.x > 0) continue;
    if (problem.beta != 0)
      result += problem.beta * element::read(problem.c, gemm * problem.stride_c +
                                                            row * problem.ldc + column, type_c);
    wanted[i] = element::limited(result, type_d);
    got[i] = element::read(problem.d, gemm * problem.stride_d + row * problem.ldd + column,
                           type_d);
  }
}

extern "C" __global__ void stamp_clock(Stamp* stamps) {
  if (threadIdx.x > 0) return;
  unsigned long long const before = global_timer_ns();
  unsigned long long now = before;
  for (int i = 0; i < LONGEST_WAIT_FOR_TICK && now == before; ++i) now = global_timer_ns();
  stamps[blockIdx.x] = {clock64(), now, sm_number(), 0};
}

extern "C" __global__ void __launch_bounds__(SPIN_THREADS)
    spin_gemm(float const* memory, long long count, long long iterations,
              unsigned long long duration_ns) {
  __shared__ SpinTile tiles[2];
  __shared__ bool is_over;
  unsigned long long const began_ns = global_timer_ns();
  float sums[SPIN_EACH][SPIN_EACH] = {};
  for (long long step = 0; step < iterations; ++step) {
    if (threadIdx.x == 0) is_over = global_timer_ns() - began_ns >= duration_ns;
    load_spin_tiles(tiles, memory, count, step);
    __syncthreads();
    if (is_over) break;
    multiply_spin_tiles(sums, tiles);
    __syncthreads();
  }
  // Never true; without a use of the sums the compiler would drop their computation.
  for (auto const& row : sums)
    for (float sum : row)
      if (sum == 0x1.fedcbap126f) __trap();
}

extern "C" __global__ void do_nothing() {}
