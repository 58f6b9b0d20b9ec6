// A stand-in for libcublasLt.so.13 that needs no GPU: descriptors are checked and kept, and a
// multiplication is done in host memory and in double precision; queued where the emulated driver is
// loaded, else at once. Prototypes, types and numbers are those of the real <cublasLt.h>.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <dlfcn.h>

#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace {

long alive = 0;
std::string failing;
int fail_status = 0;

struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t leading;
  int32_t batch = 1;
  int64_t stride = 0;
};
struct Operation {
  cublasComputeType_t compute;
  cudaDataType scale;
  int32_t transpose[2] = {0, 0};
};
struct Preference {
  uint64_t most_workspace = 0;
};

// Real descriptors are opaque too; ours live behind the same pointers.
Layout* of(cublasLtMatrixLayout_t layout) { return reinterpret_cast<Layout*>(layout); }
Operation* of(cublasLtMatmulDesc_t operation) { return reinterpret_cast<Operation*>(operation); }
Preference* of(cublasLtMatmulPreference_t one) { return reinterpret_cast<Preference*>(one); }

cublasStatus_t enter(char const* name) {
  return failing == name ? static_cast<cublasStatus_t>(fail_status) : CUBLAS_STATUS_SUCCESS;
}

double read(void const* data, int64_t i, cudaDataType type) {
  switch (type) {
    case CUDA_R_64F: return static_cast<double const*>(data)[i];
    case CUDA_R_32F: return static_cast<float const*>(data)[i];
    case CUDA_R_16F: return __half2float(static_cast<__half const*>(data)[i]);
    case CUDA_R_16BF: return __bfloat162float(static_cast<__nv_bfloat16 const*>(data)[i]);
    case CUDA_R_8I: return static_cast<int8_t const*>(data)[i];
    case CUDA_R_32I: return static_cast<int32_t const*>(data)[i];
    case CUDA_R_8F_E4M3: return float(static_cast<__nv_fp8_e4m3 const*>(data)[i]);
    default: return 0;
  }
}

void write(void* data, int64_t i, cudaDataType type, double value) {
  switch (type) {
    case CUDA_R_64F: static_cast<double*>(data)[i] = value; break;
    case CUDA_R_32F: static_cast<float*>(data)[i] = float(value); break;
    case CUDA_R_16F: static_cast<__half*>(data)[i] = __float2half(float(value)); break;
    case CUDA_R_16BF: static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16(float(value)); break;
    case CUDA_R_32I: static_cast<int32_t*>(data)[i] = int32_t(value); break;
    default: break;
  }
}

// op(X)[i, j], of a column-major X.
double element(void const* data, Layout const& layout, bool turned, int64_t batch, int64_t i, int64_t j) {
  int64_t row = turned ? j : i, column = turned ? i : j;
  return read(data, batch * layout.stride + column * layout.leading + row, layout.type);
}

bool fits(Operation const& op, Layout const& a, Layout const& b, Layout const& c) {
  uint64_t m = op.transpose[0] ? a.columns : a.rows, k = op.transpose[0] ? a.rows : a.columns;
  uint64_t k2 = op.transpose[1] ? b.columns : b.rows, n = op.transpose[1] ? b.rows : b.columns;
  return m == c.rows && n == c.columns && k == k2 && a.batch == b.batch && b.batch == c.batch;
}

// The rules of the documentation's table for what the stand-in is asked.
bool is_supported(Operation const& op, Layout const& a, Layout const& b, Layout const& c) {
  if (!fits(op, a, b, c) || a.type != b.type) return false;
  switch (a.type) {
    case CUDA_R_64F: return op.compute == CUBLAS_COMPUTE_64F && op.scale == CUDA_R_64F && c.type == CUDA_R_64F;
    case CUDA_R_32F:
      return (op.compute == CUBLAS_COMPUTE_32F || op.compute == CUBLAS_COMPUTE_32F_FAST_TF32) &&
             op.scale == CUDA_R_32F && c.type == CUDA_R_32F;
    case CUDA_R_16F: case CUDA_R_16BF:
      return op.compute == CUBLAS_COMPUTE_32F && op.scale == CUDA_R_32F && c.type == a.type;
    case CUDA_R_8I:
      return op.compute == CUBLAS_COMPUTE_32I && op.scale == CUDA_R_32I && c.type == CUDA_R_32I &&
             op.transpose[0] == CUBLAS_OP_T && op.transpose[1] == CUBLAS_OP_N && a.leading % 4 == 0 &&
             b.leading % 4 == 0 && c.leading % 4 == 0;
    case CUDA_R_8F_E4M3:
      return op.compute == CUBLAS_COMPUTE_32F && op.scale == CUDA_R_32F && c.type == CUDA_R_16BF &&
             op.transpose[0] == CUBLAS_OP_T && op.transpose[1] == CUBLAS_OP_N && a.leading % 16 == 0 &&
             b.leading % 16 == 0 && c.leading % 16 == 0;
    default: return false;
  }
}

struct Scalars {
  double alpha, beta;
};
struct Matrix {
  void const* data;
  Layout layout;
};
struct Result {
  void* data;
  Layout layout;
};

void multiply(Operation const& op, Scalars by, Matrix const& a, Matrix const& b, Matrix const& c,
              Result const& d) {
  int64_t const depth = op.transpose[0] ? a.layout.rows : a.layout.columns;
  for (int64_t batch = 0; batch < d.layout.batch; ++batch)
    for (int64_t j = 0; j < int64_t(d.layout.columns); ++j)
      for (int64_t i = 0; i < int64_t(d.layout.rows); ++i) {
        double sum = 0;
        for (int64_t k = 0; k < depth; ++k)
          sum += element(a.data, a.layout, op.transpose[0], batch, i, k) *
                 element(b.data, b.layout, op.transpose[1], batch, k, j);
        double value = by.alpha * sum;
        if (by.beta != 0) value += by.beta * element(c.data, c.layout, false, batch, i, j);
        write(d.data, batch * d.layout.stride + j * d.layout.leading + i, d.layout.type, value);
      }
}

bool is_capturing() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  auto ask = driver ? reinterpret_cast<int (*)()>(dlsym(driver, "emulated_is_capturing")) : nullptr;
  return ask && ask();
}

// A graph may run it again, so it is never given back.
void queue(std::function<void()> work) {
  using Add = void (*)(void (*)(void*), void*);
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  auto add = driver ? reinterpret_cast<Add>(dlsym(driver, "emulated_queue")) : nullptr;
  auto* kept = new std::function<void()>(std::move(work));
  if (add)
    add([](void* data) { (*static_cast<std::function<void()>*>(data))(); }, kept);
  else
    (*kept)();
}

}  // namespace

#define ENTER(name)                                  \
  do {                                               \
    if (cublasStatus_t status = enter(name)) return status; \
  } while (0)

extern "C" {

long emulated_lt_alive() { return alive; }
void emulated_lt_fail(char const* name, int status) {
  failing = name;
  fail_status = status;
}

size_t cublasLtGetVersion(void) { return 130000; }
char const* cublasLtGetStatusName(cublasStatus_t status) {
  return status == CUBLAS_STATUS_INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE" : "CUBLAS_STATUS_OTHER";
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  ENTER("cublasLtCreate");
  *handle = reinterpret_cast<cublasLtHandle_t>(&alive);
  ++alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { --alive; return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  ENTER("cublasLtMatrixLayoutCreate");
  if (leading < int64_t(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, leading});
  ++alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete of(layout);
  --alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                void const* value, size_t bytes) {
  ENTER("cublasLtMatrixLayoutSetAttribute");
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == 4)
    std::memcpy(&of(layout)->batch, value, 4);
  else if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == 8)
    std::memcpy(&of(layout)->stride, value, 8);
  else
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  ENTER("cublasLtMatmulDescCreate");
  *operation = reinterpret_cast<cublasLtMatmulDesc_t>(new Operation{compute, scale});
  ++alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  delete of(operation);
  --alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute, void const* value,
                                              size_t bytes) {
  ENTER("cublasLtMatmulDescSetAttribute");
  if (bytes != 4) return CUBLAS_STATUS_INVALID_VALUE;
  if (attribute != CUBLASLT_MATMUL_DESC_TRANSA && attribute != CUBLASLT_MATMUL_DESC_TRANSB)
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&of(operation)->transpose[attribute == CUBLASLT_MATMUL_DESC_TRANSB], value, 4);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  ENTER("cublasLtMatmulPreferenceCreate");
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  ++alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete of(preference);
  --alive;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void const* value, size_t bytes) {
  ENTER("cublasLtMatmulPreferenceSetAttribute");
  if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES || bytes != 8) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&of(preference)->most_workspace, value, 8);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  ENTER("cublasLtMatmulAlgoGetHeuristic");
  *found = 0;
  if (wanted < 1 || !of(preference)->most_workspace) return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_supported(*of(operation), *of(a), *of(b), *of(c))) return CUBLAS_STATUS_NOT_SUPPORTED;
  results[0] = {};
  results[0].algo.data[0] = 66;
  results[0].workspaceSize = 4096;
  results[0].wavesCount = 1.5f;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(cublasLtMatmulAlgo_t const* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  ENTER("cublasLtMatmulAlgoConfigGetAttribute");
  std::map<int, std::pair<uint32_t, size_t>> const values = {
      {CUBLASLT_ALGO_CONFIG_ID, {uint32_t(algo->data[0]), 4}},
      {CUBLASLT_ALGO_CONFIG_TILE_ID, {CUBLASLT_MATMUL_TILE_128x256, 4}},
      {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, {1, 4}},
      {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, {0, 4}},
      {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, {1, 4}},
      {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, {0, 4}},
      {CUBLASLT_ALGO_CONFIG_STAGES_ID, {CUBLASLT_MATMUL_STAGES_64x3, 4}},
      {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, {0, 2}},
      {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, {CUBLASLT_CLUSTER_SHAPE_2x1x1, 2}}};
  auto found = values.find(attribute);
  if (found == values.end() || found->second.second != bytes) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &found->second.first, bytes);
  *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, void const* alpha,
                              void const* A, cublasLtMatrixLayout_t a, void const* B,
                              cublasLtMatrixLayout_t b, void const* beta, void const* C,
                              cublasLtMatrixLayout_t c, void* D, cublasLtMatrixLayout_t d,
                              cublasLtMatmulAlgo_t const* algo, void* workspace, size_t workspace_bytes,
                              cudaStream_t) {
  ENTER("cublasLtMatmul");
  if (!algo || algo->data[0] != 66 || !workspace || workspace_bytes < 4096)
    return CUBLAS_STATUS_INVALID_VALUE;
  // The library loads a kernel when it is first launched; a capture does not allow that.
  static std::set<int> loaded;
  int const kernel = of(a)->type;
  if (!loaded.count(kernel) && is_capturing()) return CUBLAS_STATUS_INTERNAL_ERROR;
  loaded.insert(kernel);
  Operation const op = *of(operation);
  Layout const left = *of(a), right = *of(b), third = *of(c), result = *of(d);
  double const factor = read(alpha, 0, op.scale), addend = read(beta, 0, op.scale);
  queue([=] { multiply(op, {factor, addend}, {A, left}, {B, right}, {C, third}, {D, result}); });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
