/*
 * A small execution provider for tests, as a vendor would ship one: a library that ONNX Runtime loads by
 * RegisterExecutionProviderLibrary. It computes MatMul, Gemm, Add, Relu, Sigmoid and Gather of columns itself, on the
 * processor, one node at a time, and forests as tree ensembles; what it lacks it does not claim. Two providers lie in it:
 *
 *   AcmeExecutionProvider        works in the host's memory;
 *   AcmeMemoryExecutionProvider  has memory of its own, in which every bit is turned over: whoever reads or writes it without the
 *                                provider's own copying gets nonsense.
 *
 * Options: fail_file=PATH has runs fail while the file is there, hang_file=PATH has them wait as long as it is, deaf to everything;
 * error=NUMBER is added to what Sigmoid gives; lacks=OPERATOR is not claimed.
 */
#include "ort.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VENDOR "Acme Accelerators"
#define VENDOR_ID 0xACACu
#define RANK_MAX 2
#define INPUTS_MAX 3
#define OPTION_MAX 512
#define EXPORTED __attribute__((visibility("default")))

#define DECLARE(place, result, name, parameters) static result(*name) parameters;
RUNTIME(DECLARE)
PROVIDER(DECLARE)

/* Returns what went wrong to the runtime. */
#define TRY(call)                                \
  do {                                           \
    OrtStatus* status_ = (call);                 \
    if (status_ != NULL) return status_;         \
  } while (0)

/* What tests look at: node computations, providers that live, and floats copied to and from the memory of our own. */
EXPORTED atomic_long acme_computed, acme_living, acme_copied, acme_allocated;

/* Set before the library is registered, it has the first provider only: ONNX Runtime 1.29 keeps one allocator for all memory of
   one vendor and device, and loses it when a second library brings the same. */
EXPORTED atomic_long acme_is_without_memory;

typedef struct {
  OrtEpFactory base;
  const char* name;
  OrtMemoryInfo *own, *reachable; /* null without memory of its own */
  OrtDataTransferImpl transfer;
} Factory;

typedef struct {
  OrtEp base;
  const Factory* factory;
  char fail_file[OPTION_MAX], hang_file[OPTION_MAX], lacks[OPTION_MAX];
  float error;
} Provider;

/* The nodes of a forest that adds up one score a row; all arrays have one element a node. */
typedef struct {
  size_t count;
  int64_t *tree, *feature, *when_true, *when_false, *tracks_true;
  float *value, *leaf;
  size_t *root; /* of the node's tree: its place */
  float base;
} Forest;

typedef struct Kernel Kernel;
typedef OrtStatus* (*Computation)(const Kernel*, OrtKernelContext*);

/* One node of the model. */
struct Kernel {
  OrtNodeComputeInfo base;
  const Provider* provider;
  Computation compute;
  size_t input_count, inputs[INPUTS_MAX]; /* places among the inputs that the runtime hands over */
  float alpha, beta;
  int64_t is_transposed[2];
  Forest forest;
};

typedef struct {
  char* data;
  int64_t rows, columns; /* one dimension: one row */
  size_t rank;
  int type;
  uint32_t mask; /* of the memory it lies in */
} Tensor;

static OrtStatus* fail(const char* message) { return CreateStatus(ORT_EP_FAIL, message); }

/* ---- memory */

/* Ours, and not within the host's reach. */
static bool is_turned(const OrtMemoryDevice* device) {
  return device != NULL && MemoryDevice_GetDeviceType(device) == MEMORY_NPU && MemoryDevice_GetVendorId(device) == VENDOR_ID &&
         MemoryDevice_GetMemoryType(device) == MEMORY_DEFAULT;
}

static bool is_ours_or_hosts(const OrtMemoryDevice* device) {
  return MemoryDevice_GetDeviceType(device) == MEMORY_CPU || MemoryDevice_GetVendorId(device) == VENDOR_ID;
}

typedef struct {
  OrtAllocator base;
  const OrtMemoryInfo* memory;
} Allocator;

static void* allocate(OrtAllocator* self, size_t size) {
  (void)self;
  acme_allocated++;
  return aligned_alloc(64, (size + 64) / 64 * 64);
}

static void release(OrtAllocator* self, void* block) {
  (void)self;
  if (block != NULL) acme_allocated--;
  free(block);
}

static const OrtMemoryInfo* memory_of(const OrtAllocator* self) { return ((const Allocator*)self)->memory; }

static OrtStatus* create_allocator(OrtEpFactory* self, const OrtMemoryInfo* memory, const OrtKeyValuePairs* options, OrtAllocator** made) {
  (void)self, (void)options;
  *made = NULL;
  if (memory == NULL) return NULL;
  Allocator* allocator = calloc(1, sizeof *allocator);
  if (allocator == NULL) return fail("no memory");
  allocator->base = (OrtAllocator){.version = INTERFACE_VERSION, .Alloc = allocate, .Free = release, .Info = memory_of, .Reserve = allocate};
  allocator->memory = memory;
  *made = &allocator->base;
  return NULL;
}

static void release_allocator(OrtEpFactory* self, OrtAllocator* allocator) {
  (void)self;
  free(allocator);
}

static bool can_copy(const OrtDataTransferImpl* self, const OrtMemoryDevice* source, const OrtMemoryDevice* target) {
  (void)self;
  return (is_turned(source) || is_turned(target)) && is_ours_or_hosts(source) && is_ours_or_hosts(target);
}

static OrtStatus* copy_tensors(OrtDataTransferImpl* self, const OrtValue** sources, OrtValue** targets, void** streams, size_t count) {
  (void)self, (void)streams;
  for (size_t i = 0; i < count; i++) {
    void *from, *to;
    size_t size;
    TRY(GetTensorMutableData((OrtValue*)sources[i], &from));
    TRY(GetTensorMutableData(targets[i], &to));
    TRY(GetTensorSizeInBytes(sources[i], &size));
    bool turns = is_turned(Value_GetMemoryDevice(sources[i])) != is_turned(Value_GetMemoryDevice(targets[i]));
    for (size_t b = 0; b < size; b++) ((unsigned char*)to)[b] = ((unsigned char*)from)[b] ^ (turns ? 0xFF : 0);
    acme_copied += (long)(size / sizeof(float));
  }
  return NULL;
}

static void release_transfer(OrtDataTransferImpl* self) { (void)self; /* a part of its factory */ }

/* ---- tensors */

static OrtStatus* read_tensor(const OrtValue* value, Tensor* tensor) {
  OrtShape* shape;
  int64_t dimensions[RANK_MAX] = {1, 1};
  TRY(GetTensorTypeAndShape(value, &shape));
  OrtStatus* status = GetDimensionsCount(shape, &tensor->rank);
  if (status == NULL) status = GetTensorElementType(shape, &tensor->type);
  if (status == NULL && tensor->rank > RANK_MAX) status = fail("tensors of more than two dimensions are not computed here");
  if (status == NULL) status = GetDimensions(shape, dimensions + (RANK_MAX - tensor->rank), tensor->rank);
  ReleaseTensorTypeAndShapeInfo(shape);
  TRY(status);
  tensor->rows = dimensions[0];
  tensor->columns = dimensions[1];
  tensor->mask = is_turned(Value_GetMemoryDevice(value)) ? 0xFFFFFFFFu : 0;
  return GetTensorMutableData((OrtValue*)value, (void**)&tensor->data);
}

static OrtStatus* input(const Kernel* kernel, OrtKernelContext* context, size_t i, Tensor* tensor) {
  const OrtValue* value;
  TRY(KernelContext_GetInput(context, kernel->inputs[i], &value));
  return read_tensor(value, tensor);
}

static OrtStatus* output(OrtKernelContext* context, int64_t rows, int64_t columns, Tensor* tensor) {
  OrtValue* value;
  int64_t dimensions[] = {rows, columns};
  TRY(KernelContext_GetOutput(context, 0, dimensions, RANK_MAX, &value));
  return read_tensor(value, tensor);
}

static uint32_t word(const Tensor* tensor, int64_t i) { return ((const uint32_t*)tensor->data)[i] ^ tensor->mask; }

static float get(const Tensor* tensor, int64_t row, int64_t column) {
  uint32_t bits = word(tensor, (row * tensor->columns) + column);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* The same, with dimensions of 1 repeated. */
static float spread(const Tensor* tensor, int64_t row, int64_t column) {
  return get(tensor, tensor->rows == 1 ? 0 : row, tensor->columns == 1 ? 0 : column);
}

static void set(const Tensor* tensor, int64_t row, int64_t column, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  ((uint32_t*)tensor->data)[(row * tensor->columns) + column] = bits ^ tensor->mask;
}

/* ---- operators */

static OrtStatus* product(const Kernel* kernel, OrtKernelContext* context) {
  Tensor a, b, c, y;
  TRY(input(kernel, context, 0, &a));
  TRY(input(kernel, context, 1, &b));
  if (kernel->input_count > 2) TRY(input(kernel, context, 2, &c));
  bool ta = kernel->is_transposed[0] != 0, tb = kernel->is_transposed[1] != 0;
  int64_t rows = ta ? a.columns : a.rows, depth = ta ? a.rows : a.columns, columns = tb ? b.rows : b.columns;
  if (depth != (tb ? b.columns : b.rows)) return fail("the matrices do not fit");
  TRY(output(context, rows, columns, &y));
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t k = 0; k < columns; k++) {
      double sum = 0;
      for (int64_t d = 0; d < depth; d++) sum += (double)(ta ? get(&a, d, r) : get(&a, r, d)) * (tb ? get(&b, k, d) : get(&b, d, k));
      set(&y, r, k, (float)((kernel->alpha * sum) + (kernel->input_count > 2 ? kernel->beta * spread(&c, r, k) : 0)));
    }
  }
  return NULL;
}

static OrtStatus* add(const Kernel* kernel, OrtKernelContext* context) {
  Tensor a, b, y;
  TRY(input(kernel, context, 0, &a));
  TRY(input(kernel, context, 1, &b));
  TRY(output(context, a.rows > b.rows ? a.rows : b.rows, a.columns > b.columns ? a.columns : b.columns, &y));
  for (int64_t r = 0; r < y.rows; r++) {
    for (int64_t k = 0; k < y.columns; k++) set(&y, r, k, spread(&a, r, k) + spread(&b, r, k));
  }
  return NULL;
}

static OrtStatus* each(const Kernel* kernel, OrtKernelContext* context, bool is_logistic) {
  Tensor x, y;
  TRY(input(kernel, context, 0, &x));
  TRY(output(context, x.rows, x.columns, &y));
  for (int64_t r = 0; r < y.rows; r++) {
    for (int64_t k = 0; k < y.columns; k++) {
      float value = get(&x, r, k);
      set(&y, r, k, is_logistic ? (1 / (1 + expf(-value))) + kernel->provider->error : value > 0 ? value : 0);
    }
  }
  return NULL;
}

static OrtStatus* rectify(const Kernel* kernel, OrtKernelContext* context) { return each(kernel, context, false); }

static OrtStatus* logistic(const Kernel* kernel, OrtKernelContext* context) { return each(kernel, context, true); }

static OrtStatus* gather_columns(const Kernel* kernel, OrtKernelContext* context) {
  Tensor x, places, y;
  TRY(input(kernel, context, 0, &x));
  TRY(input(kernel, context, 1, &places));
  if (places.type != ELEMENT_INT32 || kernel->alpha != 1 || places.rows != 1) return fail("only columns are gathered, by places in one row of int32");
  TRY(output(context, x.rows, places.columns, &y));
  for (int64_t k = 0; k < y.columns; k++) {
    int64_t column = (int32_t)word(&places, k);
    if (column < 0 || column >= x.columns) return fail("there is no such column");
    for (int64_t r = 0; r < y.rows; r++) set(&y, r, k, get(&x, r, column));
  }
  return NULL;
}

/* A node is its tree's first and the node's id, since ids count from 0 in every tree. */
static OrtStatus* score_forest(const Kernel* kernel, OrtKernelContext* context) {
  const Forest* forest = &kernel->forest;
  Tensor x, y;
  TRY(input(kernel, context, 0, &x));
  TRY(output(context, x.rows, 1, &y));
  for (int64_t r = 0; r < x.rows; r++) {
    float sum = 0;
    for (size_t first = 0; first < forest->count; first++) {
      if (forest->root[first] != first) continue;
      size_t at = first;
      while (forest->feature[at] >= 0) {
        float value = get(&x, r, forest->feature[at]);
        bool is_true = isnan(value) ? forest->tracks_true[at] != 0 : value < forest->value[at];
        at = first + (size_t)(is_true ? forest->when_true[at] : forest->when_false[at]);
      }
      sum += forest->leaf[at];
    }
    set(&y, r, 0, sum + forest->base);
  }
  return NULL;
}

static const struct {
  const char* name;
  Computation compute;
} operators[] = {{"MatMul", product}, {"Gemm", product}, {"Add", add}, {"Relu", rectify}, {"Sigmoid", logistic}, {"Gather", gather_columns}, {"TreeEnsembleRegressor", score_forest}};

static Computation computation(const Provider* provider, const char* name) {
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    if (strcmp(operators[i].name, name) == 0 && strcmp(provider->lacks, name) != 0) return operators[i].compute;
  }
  return NULL;
}

/* ---- nodes */

static OrtStatus* create_state(OrtNodeComputeInfo* self, void* context, void** state) {
  (void)context;
  *state = self;
  return NULL;
}

static void release_state(OrtNodeComputeInfo* self, void* state) { (void)self, (void)state; }

static OrtStatus* compute(OrtNodeComputeInfo* self, void* state, OrtKernelContext* context) {
  const Kernel* kernel = state;
  const Provider* provider = kernel->provider;
  (void)self;
  while (provider->hang_file[0] != 0 && access(provider->hang_file, F_OK) == 0) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  if (provider->fail_file[0] != 0 && access(provider->fail_file, F_OK) == 0) return fail("the device has fallen off the bus");
  acme_computed++;
  return kernel->compute(kernel, context);
}

/* An attribute that is not there keeps its default. */
static void attribute(const OrtNode* node, const char* name, int type, void* value, size_t size) {
  const OrtOpAttr* found = NULL;
  OrtStatus* status = Node_GetAttributeByName(node, name, &found);
  if (status == NULL && found != NULL) status = ReadOpAttr(found, type, value, size, &size);
  if (status != NULL) ReleaseStatus(status);
}

/* A list, in memory that the caller frees; NULL where it is not there. */
static void* list(const OrtNode* node, const char* name, int type, size_t* size) {
  const OrtOpAttr* found = NULL;
  *size = 0;
  OrtStatus* status = Node_GetAttributeByName(node, name, &found);
  if (status != NULL) ReleaseStatus(status);
  if (found == NULL) return NULL;
  status = ReadOpAttr(found, type, NULL, 0, size); /* refused, with the size that it takes */
  if (status != NULL) ReleaseStatus(status);
  void* values = calloc(*size + 1, 1);
  status = values == NULL ? NULL : ReadOpAttr(found, type, values, *size, size);
  if (status != NULL) ReleaseStatus(status);
  return values;
}

static void free_forest(Forest* forest) {
  void* arrays[] = {forest->tree, forest->feature, forest->when_true, forest->when_false, forest->tracks_true, forest->value, forest->leaf, forest->root};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}

static OrtStatus* read_forest(const OrtNode* node, Forest* forest) {
  size_t size, sizes[6], modes_size, target_size, weight_size, base_size;
  forest->tree = list(node, "nodes_treeids", ATTRIBUTE_INTS, &size);
  forest->feature = list(node, "nodes_featureids", ATTRIBUTE_INTS, &sizes[0]);
  forest->when_true = list(node, "nodes_truenodeids", ATTRIBUTE_INTS, &sizes[1]);
  forest->when_false = list(node, "nodes_falsenodeids", ATTRIBUTE_INTS, &sizes[2]);
  forest->tracks_true = list(node, "nodes_missing_value_tracks_true", ATTRIBUTE_INTS, &sizes[3]);
  forest->value = list(node, "nodes_values", ATTRIBUTE_FLOATS, &sizes[4]);
  forest->count = size / sizeof(int64_t);
  forest->leaf = calloc(forest->count + 1, sizeof(float));
  forest->root = calloc(forest->count + 1, sizeof(size_t));
  int64_t* trees = list(node, "target_treeids", ATTRIBUTE_INTS, &target_size);
  int64_t* nodes = list(node, "target_nodeids", ATTRIBUTE_INTS, &sizes[5]);
  float* weights = list(node, "target_weights", ATTRIBUTE_FLOATS, &weight_size);
  float* base = list(node, "base_values", ATTRIBUTE_FLOATS, &base_size);
  char* modes = list(node, "nodes_modes", ATTRIBUTE_STRINGS, &modes_size);
  OrtStatus* status = NULL;
  if (size == 0 || sizes[0] != size || sizes[1] != size || sizes[2] != size || sizes[3] != size || sizes[4] * 2 != size || sizes[5] != target_size ||
      weight_size * 2 != target_size || forest->leaf == NULL || forest->root == NULL || modes == NULL) {
    status = fail("a forest's lists do not fit");
  }
  if (status == NULL && base != NULL) forest->base = base[0];
  const char* mode = modes;
  for (size_t i = 0; i < forest->count && status == NULL; i++, mode += strlen(mode) + 1) {
    forest->root[i] = i > 0 && forest->tree[i] == forest->tree[i - 1] ? forest->root[i - 1] : i;
    if (strcmp(mode, "LEAF") == 0) forest->feature[i] = -1;
    else if (strcmp(mode, "BRANCH_LT") != 0) status = fail("only BRANCH_LT is computed here");
  }
  for (size_t leaf = 0, i = 0; leaf < target_size / sizeof(int64_t) && status == NULL; leaf++) {
    while (i < forest->count && (forest->root[i] != i || forest->tree[i] != trees[leaf])) i++;
    if (i + (size_t)nodes[leaf] >= forest->count) status = fail("a leaf's node is not there");
    else forest->leaf[i + (size_t)nodes[leaf]] += weights[leaf];
  }
  free(trees), free(nodes), free(weights), free(base), free(modes);
  return status;
}

static OrtStatus* names(const OrtNode* node, const char** found, size_t max, size_t* count) {
  const OrtValueInfo* values[8];
  TRY(Node_GetNumInputs(node, count));
  if (*count > max || *count > 8) return fail("a node has too many inputs");
  TRY(Node_GetInputs(node, values, *count));
  for (size_t i = 0; i < *count; i++) TRY(GetValueInfoName(values[i], &found[i]));
  return NULL;
}

/* The runtime's node around ours may have its inputs in another order. */
static OrtStatus* compile_node(const Provider* provider, const OrtNode* node, const OrtNode* fused, Kernel* kernel) {
  const char *wanted[INPUTS_MAX], *given[8], *type;
  size_t given_count;
  TRY(Node_GetOperatorType(node, &type));
  TRY(names(node, wanted, INPUTS_MAX, &kernel->input_count));
  TRY(names(fused, given, 8, &given_count));
  for (size_t i = 0; i < kernel->input_count; i++) {
    size_t place = 0;
    while (place < given_count && strcmp(given[place], wanted[i]) != 0) place++;
    if (place == given_count) return fail("an input of a node is not handed over");
    kernel->inputs[i] = place;
  }
  kernel->base = (OrtNodeComputeInfo){INTERFACE_VERSION, create_state, compute, release_state};
  kernel->provider = provider;
  kernel->compute = computation(provider, type);
  kernel->alpha = kernel->beta = 1;
  attribute(node, "alpha", ATTRIBUTE_FLOAT, &kernel->alpha, sizeof kernel->alpha);
  attribute(node, "beta", ATTRIBUTE_FLOAT, &kernel->beta, sizeof kernel->beta);
  attribute(node, "transA", ATTRIBUTE_INT, &kernel->is_transposed[0], sizeof(int64_t));
  attribute(node, "transB", ATTRIBUTE_INT, &kernel->is_transposed[1], sizeof(int64_t));
  if (strcmp(type, "Gather") == 0) {
    int64_t axis = 0;
    attribute(node, "axis", ATTRIBUTE_INT, &axis, sizeof axis);
    kernel->alpha = (float)axis;
  }
  return strcmp(type, "TreeEnsembleRegressor") == 0 ? read_forest(node, &kernel->forest) : NULL;
}

/* ---- the provider */

static const char* provider_name(const OrtEp* self) { return ((const Provider*)self)->factory->name; }

static OrtStatus* get_capability(OrtEp* self, const OrtGraph* graph, OrtGraphSupport* support) {
  size_t count;
  TRY(Graph_GetNumNodes(graph, &count));
  const OrtNode** nodes = calloc(count + 1, sizeof *nodes);
  if (nodes == NULL) return fail("no memory");
  OrtStatus* status = Graph_GetNodes(graph, nodes, count);
  for (size_t i = 0; i < count && status == NULL; i++) {
    const char* type;
    status = Node_GetOperatorType(nodes[i], &type);
    if (status == NULL && computation((Provider*)self, type) != NULL) status = EpGraphSupportInfo_AddNodesToFuse(support, &nodes[i], 1, NULL);
  }
  free(nodes);
  return status;
}

static void release_kernels(OrtEp* self, OrtNodeComputeInfo** kernels, size_t count) {
  (void)self;
  for (size_t i = 0; i < count; i++) {
    if (kernels[i] != NULL) free_forest(&((Kernel*)kernels[i])->forest);
    free(kernels[i]);
  }
}

static OrtStatus* compile(OrtEp* self, const OrtGraph** graphs, const OrtNode** fused, size_t count, OrtNodeComputeInfo** kernels, OrtNode** contexts) {
  (void)contexts;
  for (size_t i = 0; i < count; i++) {
    const OrtNode* node;
    Kernel* kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL) return fail("no memory");
    kernels[i] = &kernel->base;
    TRY(Graph_GetNodes(graphs[i], &node, 1));
    TRY(compile_node((Provider*)self, node, fused[i], kernel));
  }
  return NULL;
}

/* ---- the factory */

static const char* factory_name(const OrtEpFactory* self) { return ((const Factory*)self)->name; }

static const char* factory_vendor(const OrtEpFactory* self) { (void)self; return VENDOR; }

static uint32_t factory_vendor_id(const OrtEpFactory* self) { (void)self; return VENDOR_ID; }

static const char* factory_version(const OrtEpFactory* self) { (void)self; return "1.2.3"; }

static bool is_stream_aware(const OrtEpFactory* self) { (void)self; return false; }

static OrtStatus* create_transfer(OrtEpFactory* self, OrtDataTransferImpl** made) {
  Factory* factory = (Factory*)self;
  *made = factory->own == NULL ? NULL : &factory->transfer;
  return NULL;
}

static OrtStatus* create_stream(OrtEpFactory* self, const OrtMemoryDevice* device, const OrtKeyValuePairs* options, void** stream) {
  (void)self, (void)device, (void)options;
  *stream = NULL;
  return NULL;
}

/* The first processor stands for the device. */
static OrtStatus* supported_devices(OrtEpFactory* self, const OrtHardwareDevice* const* hardware, size_t count, OrtEpDevice** devices, size_t max, size_t* found) {
  const Factory* factory = (const Factory*)self;
  *found = 0;
  for (size_t i = 0; i < count && *found < max; i++) {
    if (HardwareDevice_Type(hardware[i]) != HARDWARE_CPU) continue;
    TRY(CreateEpDevice(self, hardware[i], NULL, NULL, &devices[0]));
    *found = 1;
    if (factory->own != NULL) {
      TRY(EpDevice_AddAllocatorInfo(devices[0], factory->own));
      TRY(EpDevice_AddAllocatorInfo(devices[0], factory->reachable));
    }
    break;
  }
  return NULL;
}

/* The runtime writes a provider's options as ep.NAME.OPTION, NAME in lower case. */
static void option(const Factory* factory, const OrtSessionOptions* options, const char* name, char value[OPTION_MAX]) {
  char key[OPTION_MAX];
  size_t size = OPTION_MAX;
  int is_there = 0, length = snprintf(key, sizeof key, "ep.%s.%s", factory->name, name);
  for (int i = 0; i < length; i++) key[i] = (char)(key[i] >= 'A' && key[i] <= 'Z' ? key[i] + 32 : key[i]);
  OrtStatus* status = HasSessionConfigEntry(options, key, &is_there);
  if (status == NULL && is_there) status = GetSessionConfigEntry(options, key, value, &size);
  if (status != NULL) ReleaseStatus(status);
}

static OrtStatus* create_provider(OrtEpFactory* self, const OrtHardwareDevice* const* devices, const OrtKeyValuePairs* const* metadata, size_t count,
                                  const OrtSessionOptions* options, const OrtLogger* logger, OrtEp** made) {
  (void)devices, (void)metadata, (void)count, (void)logger;
  char error[OPTION_MAX] = "0";
  Provider* provider = calloc(1, sizeof *provider);
  if (provider == NULL) return fail("no memory");
  provider->factory = (const Factory*)self;
  provider->base = (OrtEp){.version = INTERFACE_VERSION, .GetName = provider_name, .GetCapability = get_capability, .Compile = compile, .ReleaseNodeComputeInfos = release_kernels};
  option(provider->factory, options, "fail_file", provider->fail_file);
  option(provider->factory, options, "hang_file", provider->hang_file);
  option(provider->factory, options, "lacks", provider->lacks);
  option(provider->factory, options, "error", error);
  provider->error = strtof(error, NULL);
  acme_living++;
  *made = &provider->base;
  return NULL;
}

static void release_provider(OrtEpFactory* self, OrtEp* provider) {
  (void)self;
  acme_living--;
  free(provider);
}

static OrtStatus* create_factory(const char* name, bool has_memory, OrtEpFactory** made) {
  Factory* factory = calloc(1, sizeof *factory);
  if (factory == NULL) return fail("no memory");
  factory->name = name;
  factory->transfer = (OrtDataTransferImpl){INTERFACE_VERSION, release_transfer, can_copy, copy_tensors};
  factory->base = (OrtEpFactory){
      .version = INTERFACE_VERSION, .GetName = factory_name, .GetVendor = factory_vendor, .GetSupportedDevices = supported_devices,
      .CreateEp = create_provider, .ReleaseEp = release_provider, .GetVendorId = factory_vendor_id, .GetVersion = factory_version,
      .CreateAllocator = create_allocator, .ReleaseAllocator = release_allocator, .CreateDataTransfer = create_transfer,
      .IsStreamAware = is_stream_aware, .CreateSyncStreamForDevice = create_stream};
  *made = &factory->base;
  if (!has_memory) return NULL;
  TRY(CreateMemoryInfo_V2("Acme memory", MEMORY_NPU, VENDOR_ID, 0, MEMORY_DEFAULT, 0, 0, &factory->own));
  return CreateMemoryInfo_V2("Acme memory within reach", MEMORY_NPU, VENDOR_ID, 0, MEMORY_HOST_ACCESSIBLE, 0, 0, &factory->reachable);
}

EXPORTED OrtStatus* CreateEpFactories(const char* name, const OrtApiBase* base, const OrtLogger* logger, OrtEpFactory** factories, size_t max, size_t* count) {
  void* const* api = base->GetApi(INTERFACE_VERSION);
  (void)name, (void)logger;
#define LOAD(place, result, function, parameters) function = (result(*) parameters)api[place];
  RUNTIME(LOAD)
#undef LOAD
  void* const* provider = GetEpApi();
#define LOAD(place, result, function, parameters) function = (result(*) parameters)provider[place];
  PROVIDER(LOAD)
  *count = 0;
  if (max < 2) return fail("room for two providers is needed");
  TRY(create_factory("AcmeExecutionProvider", false, &factories[0]));
  *count = 1;
  if (acme_is_without_memory) return NULL;
  TRY(create_factory("AcmeMemoryExecutionProvider", true, &factories[1]));
  *count = 2;
  return NULL;
}

EXPORTED OrtStatus* ReleaseEpFactory(OrtEpFactory* self) {
  Factory* factory = (Factory*)self;
  if (factory->own != NULL) ReleaseMemoryInfo(factory->own);
  if (factory->reachable != NULL) ReleaseMemoryInfo(factory->reachable);
  free(factory);
  return NULL;
}
