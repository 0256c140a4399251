/*
 * What the provider here uses of ONNX Runtime's C interface. Functions are found by their place in the runtime's tables, and
 * the structures that a provider fills in have the members of version 23: neither changes once it is released. So no header of
 * the runtime is needed, which the package that ops/feed makes does not bring. A test compares the places with the managed
 * binding's. Names and meaning: onnxruntime_c_api.h and onnxruntime_ep_c_api.h,
 * https://github.com/microsoft/onnxruntime/tree/main/include/onnxruntime/core/session
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTERFACE_VERSION 23

typedef struct OrtStatus OrtStatus;
typedef struct OrtValue OrtValue;
typedef struct OrtGraph OrtGraph;
typedef struct OrtNode OrtNode;
typedef struct OrtValueInfo OrtValueInfo;
typedef struct OrtOpAttr OrtOpAttr;
typedef struct OrtShape OrtShape; /* OrtTensorTypeAndShapeInfo */
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtHardwareDevice OrtHardwareDevice;
typedef struct OrtEpDevice OrtEpDevice;
typedef struct OrtKeyValuePairs OrtKeyValuePairs;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtMemoryDevice OrtMemoryDevice;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtGraphSupport OrtGraphSupport; /* OrtEpGraphSupportInfo */
typedef struct OrtLogger OrtLogger;

enum { ORT_FAIL = 1, ORT_EP_FAIL = 11 };
enum { ATTRIBUTE_INT = 1, ATTRIBUTE_INTS = 2, ATTRIBUTE_FLOAT = 3, ATTRIBUTE_FLOATS = 4, ATTRIBUTE_STRINGS = 6 };
enum { ELEMENT_FLOAT = 1, ELEMENT_INT32 = 6 };
enum { HARDWARE_CPU = 0 };
enum { MEMORY_CPU = 0, MEMORY_NPU = 3 };                 /* OrtMemoryInfoDeviceType */
enum { MEMORY_DEFAULT = 0, MEMORY_HOST_ACCESSIBLE = 5 }; /* OrtDeviceMemoryType */

typedef struct OrtApiBase {
  void* const* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)(void);
} OrtApiBase;

/* Place in OrtApi, result, name, parameters. */
#define RUNTIME(F)                                                                                                            \
  F(0, OrtStatus*, CreateStatus, (int code, const char* message))                                                             \
  F(51, OrtStatus*, GetTensorMutableData, (OrtValue*, void**))                                                                \
  F(60, OrtStatus*, GetTensorElementType, (const OrtShape*, int*))                                                            \
  F(61, OrtStatus*, GetDimensionsCount, (const OrtShape*, size_t*))                                                           \
  F(62, OrtStatus*, GetDimensions, (const OrtShape*, int64_t*, size_t))                                                       \
  F(65, OrtStatus*, GetTensorTypeAndShape, (const OrtValue*, OrtShape**))                                                     \
  F(90, OrtStatus*, KernelContext_GetInput, (const OrtKernelContext*, size_t, const OrtValue**))                              \
  F(91, OrtStatus*, KernelContext_GetOutput, (OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**))                 \
  F(93, void, ReleaseStatus, (OrtStatus*))                                                                                    \
  F(94, void, ReleaseMemoryInfo, (OrtMemoryInfo*))                                                                            \
  F(99, void, ReleaseTensorTypeAndShapeInfo, (OrtShape*))                                                                     \
  F(237, OrtStatus*, HasSessionConfigEntry, (const OrtSessionOptions*, const char*, int*))                                    \
  F(238, OrtStatus*, GetSessionConfigEntry, (const OrtSessionOptions*, const char*, char*, size_t*))                          \
  F(272, OrtStatus*, ReadOpAttr, (const OrtOpAttr*, int type, void*, size_t, size_t*))                                        \
  F(289, OrtStatus*, GetValueInfoName, (const OrtValueInfo*, const char**))                                                   \
  F(295, void, CreateKeyValuePairs, (OrtKeyValuePairs**))                                                                     \
  F(296, void, AddKeyValuePair, (OrtKeyValuePairs*, const char*, const char*))                                                \
  F(300, void, ReleaseKeyValuePairs, (OrtKeyValuePairs*))                                                                     \
  F(307, int, HardwareDevice_Type, (const OrtHardwareDevice*))                                                                \
  F(317, void* const*, GetEpApi, (void))                                                                                      \
  F(318, OrtStatus*, GetTensorSizeInBytes, (const OrtValue*, size_t*))                                                        \
  F(320, OrtStatus*, CreateMemoryInfo_V2, (const char*, int, uint32_t, int32_t, int, size_t, int, OrtMemoryInfo**))           \
  F(344, OrtStatus*, Graph_GetNumNodes, (const OrtGraph*, size_t*))                                                           \
  F(345, OrtStatus*, Graph_GetNodes, (const OrtGraph*, const OrtNode**, size_t))                                              \
  F(350, OrtStatus*, Node_GetOperatorType, (const OrtNode*, const char**))                                                    \
  F(353, OrtStatus*, Node_GetNumInputs, (const OrtNode*, size_t*))                                                            \
  F(354, OrtStatus*, Node_GetInputs, (const OrtNode*, const OrtValueInfo**, size_t))                                          \
  F(361, OrtStatus*, Node_GetAttributeByName, (const OrtNode*, const char*, const OrtOpAttr**))

/* The same of OrtEpApi. */
#define PROVIDER(F)                                                                                                           \
  F(0, OrtStatus*, CreateEpDevice, (struct OrtEpFactory*, const OrtHardwareDevice*, const OrtKeyValuePairs*, const OrtKeyValuePairs*, OrtEpDevice**)) \
  F(2, OrtStatus*, EpGraphSupportInfo_AddNodesToFuse, (OrtGraphSupport*, const OrtNode* const*, size_t, const void*))         \
  F(5, OrtStatus*, EpDevice_AddAllocatorInfo, (OrtEpDevice*, const OrtMemoryInfo*))                                           \
  F(7, const OrtMemoryDevice*, Value_GetMemoryDevice, (const OrtValue*))                                                      \
  F(9, int, MemoryDevice_GetDeviceType, (const OrtMemoryDevice*))                                                             \
  F(10, int, MemoryDevice_GetMemoryType, (const OrtMemoryDevice*))                                                            \
  F(11, uint32_t, MemoryDevice_GetVendorId, (const OrtMemoryDevice*))

typedef struct OrtNodeComputeInfo {
  uint32_t version;
  OrtStatus* (*CreateState)(struct OrtNodeComputeInfo*, void* context, void** state);
  OrtStatus* (*Compute)(struct OrtNodeComputeInfo*, void* state, OrtKernelContext*);
  void (*ReleaseState)(struct OrtNodeComputeInfo*, void* state);
} OrtNodeComputeInfo;

typedef struct OrtAllocator {
  uint32_t version;
  void* (*Alloc)(struct OrtAllocator*, size_t);
  void (*Free)(struct OrtAllocator*, void*);
  const OrtMemoryInfo* (*Info)(const struct OrtAllocator*);
  void* (*Reserve)(struct OrtAllocator*, size_t);
  void* later[6]; /* members of later versions */
} OrtAllocator;

typedef struct OrtDataTransferImpl {
  uint32_t version;
  void (*Release)(struct OrtDataTransferImpl*);
  bool (*CanCopy)(const struct OrtDataTransferImpl*, const OrtMemoryDevice* source, const OrtMemoryDevice* target);
  OrtStatus* (*CopyTensors)(struct OrtDataTransferImpl*, const OrtValue** sources, OrtValue** targets, void** streams, size_t count);
} OrtDataTransferImpl;

typedef struct OrtEp {
  uint32_t version;
  const char* (*GetName)(const struct OrtEp*);
  OrtStatus* (*GetCapability)(struct OrtEp*, const OrtGraph*, OrtGraphSupport*);
  OrtStatus* (*Compile)(struct OrtEp*, const OrtGraph**, const OrtNode** fused, size_t count, OrtNodeComputeInfo**, OrtNode** contexts);
  void (*ReleaseNodeComputeInfos)(struct OrtEp*, OrtNodeComputeInfo**, size_t count);
  void* optional[8]; /* data layout, dynamic options, start and end of a run, allocator, stream, compatibility */
  void* later[16];
} OrtEp;

typedef struct OrtEpFactory {
  uint32_t version;
  const char* (*GetName)(const struct OrtEpFactory*);
  const char* (*GetVendor)(const struct OrtEpFactory*);
  OrtStatus* (*GetSupportedDevices)(struct OrtEpFactory*, const OrtHardwareDevice* const*, size_t count, OrtEpDevice**, size_t countMax, size_t* found);
  OrtStatus* (*CreateEp)(struct OrtEpFactory*, const OrtHardwareDevice* const*, const OrtKeyValuePairs* const*, size_t, const OrtSessionOptions*, const OrtLogger*, OrtEp**);
  void (*ReleaseEp)(struct OrtEpFactory*, OrtEp*);
  uint32_t (*GetVendorId)(const struct OrtEpFactory*);
  const char* (*GetVersion)(const struct OrtEpFactory*);
  OrtStatus* (*ValidateCompiledModelCompatibilityInfo)(struct OrtEpFactory*, const OrtHardwareDevice* const*, size_t, const char*, int*);
  OrtStatus* (*CreateAllocator)(struct OrtEpFactory*, const OrtMemoryInfo*, const OrtKeyValuePairs*, OrtAllocator**);
  void (*ReleaseAllocator)(struct OrtEpFactory*, OrtAllocator*);
  OrtStatus* (*CreateDataTransfer)(struct OrtEpFactory*, OrtDataTransferImpl**);
  bool (*IsStreamAware)(const struct OrtEpFactory*);
  OrtStatus* (*CreateSyncStreamForDevice)(struct OrtEpFactory*, const OrtMemoryDevice*, const OrtKeyValuePairs*, void** stream);
  void* later[16];
} OrtEpFactory;
