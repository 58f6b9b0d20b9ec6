// Stands for CUDA where there is none: the dialect, and a launch that runs a grid on one host core.
//
// Included before anything else (g++ -include). The threads of a block are fibers: each runs until
// a barrier or its end, one after another, in an order that the caller chooses. A kernel is sound
// only if no order changes a bit of its result. Also found: a barrier that not all threads reach,
// or not the same one; shared memory that is read before it is written (it holds NaN when a block
// begins); an address that is not mapped; with FIND_RACES, races for shared memory (races.h); and,
// with -fsanitize, what the compiler's checks find.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

namespace host_cuda {

struct Extent {
  unsigned x = 1, y = 1, z = 1;

  long long size() const { return static_cast<long long>(x) * y * z; }
  Extent at(long long i) const {
    return {unsigned(i % x), unsigned(i / x % y), unsigned(i / x / y)};
  }
};

enum Order : int { FORWARD = 0, REVERSE = 1, SHUFFLED = 2 };

// How to launch, and in which order blocks and threads take their turns.
struct Setup {
  Extent grid, block;
  int order = FORWARD;
  unsigned seed = 0;
};

inline Extent thread_index, block_index, block_extent, grid_extent;

constexpr size_t STACK_BYTES = 64 * 1024;
constexpr int MOST_THREADS = 1024;
constexpr Extent LARGEST_GRID = {2147483647, 65535, 65535};

struct Fiber {
  ucontext_t beginning;  // of its first block
  jmp_buf place;         // where it goes on, once it has begun
  bool has_begun;
  Extent index;
  int barrier;  // line of the one that it waits at
  bool is_done;
};

// A ucontext makes the stack of a fiber; all further switches are jumps, which, unlike swapcontext,
// make no system call.
inline jmp_buf scheduler;
inline Fiber* running = nullptr;
inline std::function<void()> const* kernel = nullptr;
inline std::string failure;
inline long long n_intervals = 0;  // between barriers, in all launches so far

// Ends the launch, from within a fiber.
[[noreturn]] inline void fail(std::string const& text) {
  failure = text;
  _longjmp(scheduler, 1);
}

inline void pause() {
  if (!_setjmp(running->place)) _longjmp(scheduler, 1);
}

inline void wait_at_barrier(int line) {
  running->barrier = line;
  pause();
}

// Is one thread of each block after the other.
inline void run_threads() {
  for (;;) {
    (*kernel)();
    running->is_done = true;
    pause();
  }
}

// Lets the running fiber run up to its next barrier, its end or a failure.
inline void resume() {
  if (_setjmp(scheduler)) return;
  if (running->has_begun) _longjmp(running->place, 1);
  running->has_begun = true;
  setcontext(&running->beginning);
}

inline void on_illegal_address(int number, siginfo_t*, void*) {
  if (running) fail("illegal address");
  signal(number, SIG_DFL);
}

// Random numbers of splitmix64 (Steele, Lea and Flood 2014). <random> would take as long to compile
// as all else here.
struct Dice {
  unsigned long long state;

  long long below(long long count) {
    unsigned long long bits = (state += 0x9e3779b97f4a7c15ull);
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ull;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebull;
    return (bits ^ bits >> 31) % static_cast<unsigned long long>(count);
  }
};

inline std::vector<long long> turns(long long count, int order, Dice& dice) {
  std::vector<long long> turns(count);
  std::iota(turns.begin(), turns.end(), 0);
  if (order == REVERSE) std::reverse(turns.begin(), turns.end());
  for (long long i = count; order == SHUFFLED && i > 1; --i)
    std::swap(turns[i - 1], turns[dice.below(i)]);
  return turns;
}

inline char* stacks() {
  static char* const memory = static_cast<char*>(
      mmap(nullptr, STACK_BYTES * MOST_THREADS, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  return memory;
}

inline void make(Fiber& fiber, long long i) {
  fiber.has_begun = false;
  fiber.index = block_extent.at(i);
  getcontext(&fiber.beginning);
  fiber.beginning.uc_stack = {stacks() + i * STACK_BYTES, 0, STACK_BYTES};
  fiber.beginning.uc_link = nullptr;
  makecontext(&fiber.beginning, run_threads, 0);
}

// Lets every thread run up to its next barrier or its end. Returns whether all are done.
inline bool run_to_barrier(std::vector<Fiber>& fibers, std::vector<long long> const& turns) {
  ++n_intervals;
  for (long long turn : turns) {
    running = &fibers[turn];
    thread_index = running->index;
    resume();
    running = nullptr;
    if (!failure.empty()) return true;
  }
  for (Fiber const& fiber : fibers) {
    if (fiber.is_done != fibers[0].is_done) failure = "a barrier that not all threads reach";
    if (!fiber.is_done && !fibers[0].is_done && fiber.barrier != fibers[0].barrier)
      failure = "threads wait at different barriers";
  }
  return fibers[0].is_done || !failure.empty();
}

inline std::string fault_of(Setup const& setup) {
  Extent const grid = setup.grid, block = setup.block;
  if (grid.size() < 1 || block.size() < 1) return "an empty grid or block";
  if (block.size() > MOST_THREADS || block.z > 64) return "too many threads in a block";
  if (grid.x > LARGEST_GRID.x || grid.y > LARGEST_GRID.y || grid.z > LARGEST_GRID.z)
    return "too large a grid";
  return "";
}

// Bounds of everything that is declared __shared__; the linker defines them.
extern "C" __attribute__((visibility("hidden"))) char __start_shared_memory[];
extern "C" __attribute__((visibility("hidden"))) char __stop_shared_memory[];

inline void run_block(std::vector<Fiber>& fibers, int order, Dice& dice) {
  memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);
  for (Fiber& fiber : fibers) fiber.is_done = false;
  while (!run_to_barrier(fibers, turns(fibers.size(), order, dice)));
}

// A GPU's clocks, as the host sets them: time passes only where a register is read.
struct Clocks {
  double now_ns, read_ns;    // the time, and what a reading takes
  double tick_ns;            // of the global timer
  double cycles_per_ns;      // of every SM
  long long cycles_apart;    // counter of one SM over that of the SM before
  unsigned n_sms;
};
inline Clocks clocks = {0, 5, 32, 1.5, 0, 1};

constexpr int MOST_READINGS = 1000000;  // in one launch, after which it is taken to be endless
inline int n_readings;

inline double time_of_reading() {
  if (++n_readings > MOST_READINGS) fail("a wait without end");
  return clocks.now_ns += clocks.read_ns;
}

// Returns what went wrong, "" where nothing did. The text lives until the next launch.
inline char const* launch(Setup const& setup, std::function<void()> const& body) {
  failure = fault_of(setup);
  if (!failure.empty()) return failure.c_str();
  struct sigaction action = {}, old_segv, old_bus;
  action.sa_sigaction = on_illegal_address;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;  // the handler is left by a jump
  sigaction(SIGSEGV, &action, &old_segv);
  sigaction(SIGBUS, &action, &old_bus);
  kernel = &body;
  n_readings = 0;
  grid_extent = setup.grid;
  block_extent = setup.block;
  Dice dice = {setup.seed};
  std::vector<Fiber> fibers(setup.block.size());
  for (size_t i = 0; i < fibers.size(); ++i) make(fibers[i], i);
  for (long long block : turns(setup.grid.size(), setup.order, dice)) {
    block_index = setup.grid.at(block);
    run_block(fibers, setup.order, dice);
    if (!failure.empty()) break;
  }
  sigaction(SIGSEGV, &old_segv, nullptr);
  sigaction(SIGBUS, &old_bus, nullptr);
  return failure.c_str();
}

inline unsigned sm_of_block() { return block_index.x % clocks.n_sms; }

}  // namespace host_cuda

#ifdef FIND_RACES
#include "races.h"
#endif

#define __global__
#define __device__
#define __shared__ static __attribute__((section("shared_memory")))
#define __launch_bounds__(...)
#define threadIdx (host_cuda::thread_index)
#define blockIdx (host_cuda::block_index)
#define blockDim (host_cuda::block_extent)
#define gridDim (host_cuda::grid_extent)
#define __syncthreads() host_cuda::wait_at_barrier(__LINE__)
#define __trap() host_cuda::fail("trap")

template <class To, class From>
inline To copied_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline double __longlong_as_double(long long bits) { return copied_bits<double>(bits); }
inline long long __double_as_longlong(double value) { return copied_bits<long long>(value); }
inline unsigned __float_as_uint(float value) { return copied_bits<unsigned>(value); }

inline unsigned long long atomicAdd(unsigned long long* address, unsigned long long value) {
  unsigned long long const old = *address;
  *address += value;
  return old;
}

inline long long clock64() {
  return host_cuda::time_of_reading() * host_cuda::clocks.cycles_per_ns +
         host_cuda::clocks.cycles_apart * host_cuda::sm_of_block();
}

// What -fsanitize calls. The first member of each argument is where in the source it happened.
struct SourcePlace {
  char const* file;
  unsigned line;
};
#define CHECK_OF_COMPILER(name, text, ...)                                               \
  extern "C" inline __attribute__((used)) void __ubsan_handle_##name(__VA_ARGS__) {      \
    host_cuda::fail(std::string(text ", line ") + std::to_string(place->line) + " of " + \
                    place->file);                                                        \
  }
CHECK_OF_COMPILER(out_of_bounds, "an index beyond its array", SourcePlace* place, void*)
CHECK_OF_COMPILER(add_overflow, "an overflow", SourcePlace* place, void*, void*)
CHECK_OF_COMPILER(sub_overflow, "an overflow", SourcePlace* place, void*, void*)
CHECK_OF_COMPILER(mul_overflow, "an overflow", SourcePlace* place, void*, void*)
CHECK_OF_COMPILER(negate_overflow, "an overflow", SourcePlace* place, void*)
CHECK_OF_COMPILER(divrem_overflow, "an overflow", SourcePlace* place, void*, void*)
CHECK_OF_COMPILER(shift_out_of_bounds, "too wide a shift", SourcePlace* place, void*, void*)
