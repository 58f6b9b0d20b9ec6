// A stand-in for libcuda.so.1 that needs no GPU: memory is the host's, work is queued and done by a
// thread of its own, and a module is a shared object of host functions (host_kernel.h). Prototypes
// and types are those of the real <cuda.h>, so that what calls it calls the real one in the same
// way.
//
// Beside the driver's own names it exports emulated_*: how many resources are alive, how many calls
// were made, and which call is to fail with which code.
#include <cuda.h>
#include <dlfcn.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "host_kernel.h"

namespace {

struct Node {
  std::function<void()> other;  // work of another library
  HostKernel const* kernel;     // null: a memset
  std::vector<char> bytes;
  std::vector<size_t> offsets;
  unsigned grid[3], block[3], shared;
  void* target;
  size_t length;
};

struct State {
  std::map<void*, size_t> device, pinned;
  std::set<void*> modules, streams, events, graphs, executables;
  std::map<void*, std::string> functions;
  int contexts = 0;
  long calls = 0, fail_at = -1;
  int fail_code = 0;
  std::atomic<int> sticky = 0;
  std::string fail_name;
  size_t total = size_t(96) << 20, used = 0;
  int sm_count = 132, l2_bytes = 60 << 20, capability = 90;
  int version = 13000;  // of CUDA, that the driver supports
  int memory_clock_khz = 3201000;
  std::vector<Node>* capturing = nullptr;
  std::atomic<long> launches = 0, memsets = 0;
  unsigned cluster[3] = {0, 0, 0};
  std::map<void*, int> shared_limit;

  State() {
    // For processes that nobody can call into before they open the GPU.
    char const* text = std::getenv("GPPERF_EMULATED_SIZE");
    if (text) std::sscanf(text, "%d %d %zu", &sm_count, &l2_bytes, &total);
    char const* supported = std::getenv("GPPERF_EMULATED_VERSION");
    if (supported) std::sscanf(supported, "%d", &version);
  }
} state;

struct Graph {
  std::vector<Node> nodes;
};
struct Event {
  std::atomic<bool> recorded = false;
  std::chrono::steady_clock::time_point at;
};
struct Module {
  void* handle;
};

// The one stream that there is: work in order, on a thread that outlives everything.
class Queue {
 public:
  void add(std::function<void()> work) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!is_started_) std::thread([this] { serve(); }).detach();
    is_started_ = true;
    work_.push_back(std::move(work));
    changed_.notify_all();
  }
  void drain() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return work_.empty(); });
  }

 private:
  [[noreturn]] void serve() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !work_.empty(); });
      std::function<void()> work = work_.front();
      lock.unlock();
      // After a fault nothing is done any more.
      if (!state.sticky) work();
      lock.lock();
      work_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  bool is_started_ = false;
};
Queue& stream = *new Queue;

CUresult enter(char const* name) {
  ++state.calls;
  if (state.calls == state.fail_at || state.fail_name == name) {
    CUresult code = static_cast<CUresult>(state.fail_code);
    if (state.fail_name != name) state.fail_at = -1;
    return code;
  }
  return static_cast<CUresult>(state.sticky.load());
}

void run(Node const& node) {
  if (node.other) {
    node.other();
    return;
  }
  if (!node.kernel) {
    std::memset(node.target, 0, node.length);
    ++state.memsets;
    return;
  }
  std::vector<void*> arguments;
  for (size_t offset : node.offsets) arguments.push_back(const_cast<char*>(node.bytes.data()) + offset);
  ++state.launches;
  int code = node.kernel->run(arguments.data(), node.grid, node.block, node.shared);
  if (code) state.sticky = code;
}

void queue(Node&& node) {
  if (state.capturing)
    state.capturing->push_back(std::move(node));
  else
    stream.add([node = std::move(node)] { run(node); });
}

CUresult launch(CUfunction f, unsigned const grid[3], unsigned const block[3], unsigned shared,
                void** arguments) {
  auto const* kernel = reinterpret_cast<HostKernel const*>(f);
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  for (int i = 0; i < 3; ++i)
    if (!grid[i] || !block[i]) return CUDA_ERROR_INVALID_VALUE;
  if (size_t(block[0]) * block[1] * block[2] > 1024) return CUDA_ERROR_INVALID_VALUE;
  if (grid[1] > 65535 || grid[2] > 65535) return CUDA_ERROR_INVALID_VALUE;
  auto limit = state.shared_limit.find((void*)f);
  if (shared > unsigned(limit == state.shared_limit.end() ? 48 * 1024 : limit->second))
    return CUDA_ERROR_INVALID_VALUE;
  // The real driver takes as many pointers as there are parameters, whatever they are; ours end with
  // a null (launching.py).
  for (unsigned i = 0; i < kernel->n_arguments; ++i)
    if (!arguments[i]) return CUDA_ERROR_INVALID_VALUE;
  if (arguments[kernel->n_arguments]) return CUDA_ERROR_INVALID_VALUE;
  Node node{};
  node.kernel = kernel;
  size_t total = 0;
  for (unsigned i = 0; i < kernel->n_arguments; ++i) total += kernel->argument_bytes[i] + 64;
  node.bytes.resize(total);
  size_t at = 0;
  for (unsigned i = 0; i < kernel->n_arguments; ++i) {
    size_t alignment = kernel->argument_alignment[i];
    // The vector's own memory is aligned to 16 bytes, which is enough for host code.
    at = (at + alignment - 1) / alignment * alignment;
    std::memcpy(node.bytes.data() + at, arguments[i], kernel->argument_bytes[i]);
    node.offsets.push_back(at);
    at += kernel->argument_bytes[i];
  }
  std::memcpy(node.grid, grid, sizeof node.grid);
  std::memcpy(node.block, block, sizeof node.block);
  node.shared = shared;
  queue(std::move(node));
  return CUDA_SUCCESS;
}

}  // namespace

#define ENTER(name)                        \
  do {                                     \
    if (CUresult code = enter(name)) return code; \
  } while (0)

extern "C" {

// -- what tests ask and set -----------------------------------------------------------------------
long emulated_calls() { return state.calls; }
long emulated_launches() {
  stream.drain();
  return state.launches;
}
long emulated_memsets() {
  stream.drain();
  return state.memsets;
}
unsigned emulated_cluster(int i) { return state.cluster[i]; }
size_t emulated_used_bytes() { return state.used; }
// For libraries that queue work of their own; `work` is called once a launch.
void emulated_queue(void (*work)(void*), void* data) {
  Node node{};
  node.other = [=] { work(data); };
  queue(std::move(node));
}
void emulated_size(int sm_count, int l2_bytes, size_t total_bytes) {
  state.sm_count = sm_count;
  state.l2_bytes = l2_bytes;
  state.total = total_bytes;
}
int emulated_is_capturing() { return state.capturing != nullptr; }
void emulated_version(int version) { state.version = version; }
void emulated_memory_clock(int khz) { state.memory_clock_khz = khz; }
void emulated_capability(int capability) { state.capability = capability; }
void emulated_fail_at(long call, int code) {
  state.fail_at = call < 0 ? -1 : state.calls + call;
  state.fail_code = code;
}
void emulated_fail_name(char const* name, int code) {
  state.fail_name = name;
  state.fail_code = code;
}
void emulated_recover() {
  stream.drain();
  state.sticky = 0;
  state.fail_at = -1;
  state.fail_name = "";
  state.capturing = nullptr;
  state.version = 13000;
  state.memory_clock_khz = 3201000;
  state.capability = 90;
}
long emulated_alive(char const* kind) {
  std::map<std::string, size_t> const alive = {
      {"memory", state.device.size()}, {"host memory", state.pinned.size()},
      {"modules", state.modules.size()}, {"streams", state.streams.size()},
      {"events", state.events.size()}, {"graphs", state.graphs.size()},
      {"executables", state.executables.size()}, {"contexts", size_t(state.contexts)}};
  return long(alive.at(kind));
}

// -- the driver -----------------------------------------------------------------------------------
CUresult cuInit(unsigned) { ENTER("cuInit"); return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int* version) { ENTER("cuDriverGetVersion"); *version = state.version; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int* count) { ENTER("cuDeviceGetCount"); *count = 2; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  ENTER("cuDeviceGet");
  if (ordinal < 0 || ordinal > 1) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  ENTER("cuDeviceGetUuid");
  for (int i = 0; i < 16; ++i) uuid->bytes[i] = char(0x10 * i + device);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  ENTER("cuDeviceGetName");
  std::strncpy(name, device ? "NVIDIA Unheard Of" : "NVIDIA H200", length);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetPCIBusId(char* id, int length, CUdevice device) {
  ENTER("cuDeviceGetPCIBusId");
  std::strncpy(id, device ? "0000:C1:00.0" : "0000:1B:00.0", length);
  return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t* bytes, CUdevice) { ENTER("cuDeviceTotalMem"); *bytes = state.total; return CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  ENTER("cuDeviceGetAttribute");
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = state.sm_count; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 1980000; break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = state.memory_clock_khz; break;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 6144; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = state.l2_bytes; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = state.capability / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = state.capability % 10; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
  ENTER("cuDevicePrimaryCtxRetain");
  ++state.contexts;
  *context = reinterpret_cast<CUcontext>(&state);
  return CUDA_SUCCESS;
}
// Giving back works after a fault too: the process is to end in order.
CUresult cuDevicePrimaryCtxRelease(CUdevice) {
  ++state.calls;
  --state.contexts;
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext) { ENTER("cuCtxSetCurrent"); return CUDA_SUCCESS; }
CUresult cuMemGetInfo(size_t* available, size_t* total) {
  ENTER("cuMemGetInfo");
  *available = state.total - state.used;
  *total = state.total;
  return CUDA_SUCCESS;
}
CUresult cuMemAlloc(CUdeviceptr* address, size_t bytes) {
  ENTER("cuMemAlloc");
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  if (state.used + bytes > state.total) return CUDA_ERROR_OUT_OF_MEMORY;
  size_t rounded = (bytes + 255) / 256 * 256;
  void* memory = std::aligned_alloc(256, rounded);
  std::memset(memory, 0xA5, rounded);
  state.device[memory] = bytes;
  state.used += bytes;
  *address = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr address) {
  ++state.calls;
  stream.drain();
  auto found = state.device.find(reinterpret_cast<void*>(address));
  if (found == state.device.end()) return CUDA_ERROR_INVALID_VALUE;
  state.used -= found->second;
  std::free(found->first);
  state.device.erase(found);
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuMemHostAlloc(void** address, size_t bytes, unsigned) {
  ENTER("cuMemHostAlloc");
  *address = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  state.pinned[*address] = bytes;
  return CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* address) {
  ++state.calls;
  stream.drain();
  if (!state.pinned.erase(address)) return CUDA_ERROR_INVALID_VALUE;
  std::free(address);
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuMemHostGetDevicePointer(CUdeviceptr* device, void* host, unsigned) {
  ENTER("cuMemHostGetDevicePointer");
  *device = reinterpret_cast<CUdeviceptr>(host);
  return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoD(CUdeviceptr to, void const* from, size_t bytes) {
  ENTER("cuMemcpyHtoD");
  stream.drain();
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoH(void* to, CUdeviceptr from, size_t bytes) {
  ENTER("cuMemcpyDtoH");
  stream.drain();
  std::memcpy(to, reinterpret_cast<void*>(from), bytes);
  return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, void const* from, size_t bytes, CUstream) {
  ENTER("cuMemcpyHtoDAsync");
  if (state.capturing) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  // Of pageable memory, the source is copied before the call returns.
  auto const* first = static_cast<char const*>(from);
  std::vector<char> copy(first, first + bytes);
  stream.add([=] { std::memcpy(reinterpret_cast<void*>(to), copy.data(), bytes); });
  return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream) {
  ENTER("cuMemcpyDtoHAsync");
  if (state.capturing) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  stream.add([=] { std::memcpy(to, reinterpret_cast<void*>(from), bytes); });
  return CUDA_SUCCESS;
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream) {
  ENTER("cuMemsetD8Async");
  if (value) return CUDA_ERROR_INVALID_VALUE;  // nobody asks for anything but zero
  Node node{};
  node.target = reinterpret_cast<void*>(to);
  node.length = bytes;
  queue(std::move(node));
  return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream* stream, unsigned) {
  ENTER("cuStreamCreate");
  *stream = reinterpret_cast<CUstream>(new int(0));
  state.streams.insert(*stream);
  return CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream stream) {
  ++state.calls;
  if (!state.streams.erase(stream)) return CUDA_ERROR_INVALID_HANDLE;
  delete reinterpret_cast<int*>(stream);
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuStreamSynchronize(CUstream) {
  ENTER("cuStreamSynchronize");
  if (state.capturing) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  stream.drain();
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuStreamBeginCapture(CUstream, CUstreamCaptureMode) {
  ENTER("cuStreamBeginCapture");
  if (state.capturing) return CUDA_ERROR_ILLEGAL_STATE;
  auto* graph = new Graph;
  state.graphs.insert(graph);
  state.capturing = &graph->nodes;
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream, CUgraph* graph) {
  CUresult code = enter("cuStreamEndCapture");
  if (!state.capturing) return CUDA_ERROR_ILLEGAL_STATE;
  Graph* captured = nullptr;
  for (void* one : state.graphs)
    if (&static_cast<Graph*>(one)->nodes == state.capturing) captured = static_cast<Graph*>(one);
  state.capturing = nullptr;
  if (code) {  // a capture that fails leaves no graph
    state.graphs.erase(captured);
    delete captured;
    *graph = nullptr;
    return code;
  }
  *graph = reinterpret_cast<CUgraph>(captured);
  return CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  ENTER("cuGraphInstantiateWithFlags");
  auto* made = new Graph(*reinterpret_cast<Graph*>(graph));
  state.executables.insert(made);
  *executable = reinterpret_cast<CUgraphExec>(made);
  return CUDA_SUCCESS;
}
CUresult cuGraphUpload(CUgraphExec, CUstream) { ENTER("cuGraphUpload"); return CUDA_SUCCESS; }
CUresult cuGraphLaunch(CUgraphExec executable, CUstream) {
  ENTER("cuGraphLaunch");
  // A graph may be destroyed before its replays are done.
  auto nodes = std::make_shared<std::vector<Node>>(reinterpret_cast<Graph*>(executable)->nodes);
  stream.add([=] {
    for (Node const& node : *nodes) run(node);
  });
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
  ++state.calls;
  if (!state.graphs.erase(graph)) return CUDA_ERROR_INVALID_VALUE;
  delete reinterpret_cast<Graph*>(graph);
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuGraphExecDestroy(CUgraphExec executable) {
  ++state.calls;
  if (!state.executables.erase(executable)) return CUDA_ERROR_INVALID_VALUE;
  delete reinterpret_cast<Graph*>(executable);
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuEventCreate(CUevent* event, unsigned) {
  ENTER("cuEventCreate");
  auto* made = new Event;
  state.events.insert(made);
  *event = reinterpret_cast<CUevent>(made);
  return CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent event) {
  ++state.calls;
  stream.drain();
  if (!state.events.erase(event)) return CUDA_ERROR_INVALID_HANDLE;
  delete reinterpret_cast<Event*>(event);
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuEventRecord(CUevent event, CUstream) {
  ENTER("cuEventRecord");
  auto* one = reinterpret_cast<Event*>(event);
  one->recorded = false;
  stream.add([=] {
    one->at = std::chrono::steady_clock::now();
    one->recorded = true;
  });
  return CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent event) {
  ENTER("cuEventQuery");
  return reinterpret_cast<Event*>(event)->recorded ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
CUresult cuEventElapsedTime(float* milliseconds, CUevent first, CUevent last) {
  ENTER("cuEventElapsedTime");
  auto* a = reinterpret_cast<Event*>(first);
  auto* b = reinterpret_cast<Event*>(last);
  if (!a->recorded || !b->recorded) return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds = std::chrono::duration<float, std::milli>(b->at - a->at).count();
  return CUDA_SUCCESS;
}
CUresult cuModuleLoadData(CUmodule* module, void const* image) {
  ENTER("cuModuleLoadData");
  auto const* text = static_cast<char const*>(image);
  // As a cubin does, an image begins with the release of CUDA that made it: "host:13000:".
  int version = 0, length = 0;
  if (std::sscanf(text, "host:%d:%n", &version, &length) != 1 || !length) return CUDA_ERROR_INVALID_IMAGE;
  if (version > state.version) return CUDA_ERROR_INVALID_IMAGE;
  void* handle = dlopen(text + length, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return CUDA_ERROR_INVALID_IMAGE;
  auto* made = new Module{handle};
  state.modules.insert(made);
  *module = reinterpret_cast<CUmodule>(made);
  return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
  ++state.calls;
  if (!state.modules.erase(module)) return CUDA_ERROR_INVALID_HANDLE;
  delete reinterpret_cast<Module*>(module);  // the object stays loaded: graphs may hold its kernels
  return static_cast<CUresult>(state.sticky.load());
}
CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, char const* name) {
  ENTER("cuModuleGetFunction");
  void* found = dlsym(reinterpret_cast<Module*>(module)->handle, (std::string(name) + "__host").c_str());
  if (!found) return CUDA_ERROR_NOT_FOUND;
  state.functions[found] = name;
  *function = reinterpret_cast<CUfunction>(found);
  return CUDA_SUCCESS;
}
CUresult cuFuncLoad(CUfunction) { ENTER("cuFuncLoad"); return CUDA_SUCCESS; }
CUresult cuModuleGetGlobal(CUdeviceptr* address, size_t* bytes, CUmodule module, char const* name) {
  ENTER("cuModuleGetGlobal");
  void* found = dlsym(reinterpret_cast<Module*>(module)->handle, name);
  if (!found) return CUDA_ERROR_NOT_FOUND;
  *address = reinterpret_cast<CUdeviceptr>(found);
  *bytes = sizeof(unsigned);
  return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  ENTER("cuFuncSetAttribute");
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
    if (value > 227 * 1024) return CUDA_ERROR_INVALID_VALUE;
    state.shared_limit[(void*)function] = value;
  }
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int threads, size_t shared) {
  ENTER("cuOccupancyMaxActiveBlocksPerMultiprocessor");
  *blocks = threads > 1024 ? 0 : 2048 / (threads ? threads : 1);
  if (shared) *blocks = std::min<int>(*blocks, int(228 * 1024 / (shared + 1024)));
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveClusters(int* clusters, CUfunction, CUlaunchConfig const* config) {
  ENTER("cuOccupancyMaxActiveClusters");
  CUlaunchAttribute const& one = config->attrs[0];
  *clusters = 132 / int(one.value.clusterDim.x * one.value.clusterDim.y * one.value.clusterDim.z);
  return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                        unsigned bz, unsigned shared, CUstream, void** arguments, void**) {
  ENTER("cuLaunchKernel");
  unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
  return launch(f, grid, block, shared, arguments);
}
CUresult cuLaunchKernelEx(CUlaunchConfig const* config, CUfunction f, void** arguments, void**) {
  ENTER("cuLaunchKernelEx");
  unsigned grid[3] = {config->gridDimX, config->gridDimY, config->gridDimZ};
  unsigned block[3] = {config->blockDimX, config->blockDimY, config->blockDimZ};
  for (unsigned i = 0; i < config->numAttrs; ++i)
    if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) {
      state.cluster[0] = config->attrs[i].value.clusterDim.x;
      state.cluster[1] = config->attrs[i].value.clusterDim.y;
      state.cluster[2] = config->attrs[i].value.clusterDim.z;
    }
  return launch(f, grid, block, config->sharedMemBytes, arguments);
}
// A descriptor that can be read back: 'E', then what it was made of.
CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t modes,
                                void* address, cuuint64_t const* extents, cuuint64_t const* strides,
                                cuuint32_t const* box, cuuint32_t const* steps,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  ENTER("cuTensorMapEncodeTiled");
  // As cuda.h demands of the map.
  if (reinterpret_cast<size_t>(map) % 64) return CUDA_ERROR_INVALID_VALUE;
  if (interleave || fill || modes != 2 || steps[0] != 1 || steps[1] != 1) return CUDA_ERROR_INVALID_VALUE;
  cuuint64_t words[16] = {'E', cuuint64_t(type), reinterpret_cast<cuuint64_t>(address), extents[0],
                          extents[1], strides[0], box[0], box[1], cuuint64_t(swizzle),
                          cuuint64_t(promotion)};
  std::memcpy(map, words, sizeof words);
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult code, char const** text) {
  *text = code == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "an emulated error";
  return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult code, char const** text) {
  *text = code == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_EMULATED";
  return CUDA_SUCCESS;
}

// The bindings look up every function by the name that the documentation gives it.
CUresult cuGetProcAddress_v2(char const* symbol, void** function, int, cuuint64_t,
                             CUdriverProcAddressQueryResult* status) {
  if (status) *status = CU_GET_PROC_ADDRESS_SUCCESS;
#define ENTRY(name) {#name, reinterpret_cast<void*>(name)}
  static std::map<std::string, void*> const table = {
      ENTRY(cuInit), ENTRY(cuDriverGetVersion), ENTRY(cuDeviceGetCount), ENTRY(cuDeviceGet),
      ENTRY(cuDeviceGetUuid), ENTRY(cuDeviceGetName), ENTRY(cuDeviceGetPCIBusId),
      ENTRY(cuDeviceTotalMem), ENTRY(cuDeviceGetAttribute), ENTRY(cuDevicePrimaryCtxRetain),
      ENTRY(cuDevicePrimaryCtxRelease), ENTRY(cuCtxSetCurrent), ENTRY(cuMemGetInfo),
      ENTRY(cuMemAlloc), ENTRY(cuMemFree), ENTRY(cuMemHostAlloc), ENTRY(cuMemFreeHost),
      ENTRY(cuMemHostGetDevicePointer), ENTRY(cuMemcpyHtoD), ENTRY(cuMemcpyDtoH),
      ENTRY(cuMemcpyHtoDAsync), ENTRY(cuMemcpyDtoHAsync), ENTRY(cuMemsetD8Async),
      ENTRY(cuStreamCreate), ENTRY(cuStreamDestroy), ENTRY(cuStreamSynchronize),
      ENTRY(cuStreamBeginCapture), ENTRY(cuStreamEndCapture), ENTRY(cuGraphInstantiateWithFlags),
      ENTRY(cuGraphUpload), ENTRY(cuGraphLaunch), ENTRY(cuGraphDestroy), ENTRY(cuGraphExecDestroy),
      ENTRY(cuEventCreate), ENTRY(cuEventDestroy), ENTRY(cuEventRecord), ENTRY(cuEventQuery),
      ENTRY(cuEventElapsedTime), ENTRY(cuModuleLoadData), ENTRY(cuModuleUnload),
      ENTRY(cuModuleGetFunction), ENTRY(cuFuncLoad), ENTRY(cuModuleGetGlobal), ENTRY(cuFuncSetAttribute),
      ENTRY(cuOccupancyMaxActiveBlocksPerMultiprocessor), ENTRY(cuOccupancyMaxActiveClusters),
      ENTRY(cuLaunchKernel), ENTRY(cuLaunchKernelEx), ENTRY(cuTensorMapEncodeTiled),
      {"cuGetProcAddress", reinterpret_cast<void*>(cuGetProcAddress_v2)}, ENTRY(cuGetErrorString), ENTRY(cuGetErrorName)};
  auto found = table.find(symbol);
  *function = found == table.end() ? nullptr : found->second;
  return found == table.end() ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

}  // extern "C"
