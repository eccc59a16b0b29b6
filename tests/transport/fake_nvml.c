/* A library with NVML's names for tests: the real bindings load it as libnvidia-ml.so.1.

   Signatures and codes are those of nvml.h. What it does is read from the file that the
   environment variable FAKE_NVML names: "crash" (SIGSEGV), "hang" (no answer as long as it says so), "lost"
   (the card fell off the bus), "mismatch" (driver and library differ, at init), else well.
   The GTX 970 it plays knows no total energy. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK 0
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7
#define GPU_IS_LOST 15
#define LIB_RM_VERSION_MISMATCH 18

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;

static void read_mood(char *word, int size) {
  const char *path = getenv("FAKE_NVML");
  FILE *file = path ? fopen(path, "r") : NULL;
  word[0] = 0;
  if (file) {
    if (!fgets(word, size, file)) word[0] = 0;
    fclose(file);
  }
}

static int mood(void) {
  char word[32];
  for (read_mood(word, sizeof word); !strncmp(word, "hang", 4); read_mood(word, sizeof word))
    sleep(1);
  if (!strncmp(word, "crash", 5)) raise(SIGSEGV);
  if (!strncmp(word, "lost", 4)) return GPU_IS_LOST;
  if (!strncmp(word, "mismatch", 8)) return LIB_RM_VERSION_MISMATCH;
  return OK;
}

static char card;
int nvmlInitWithFlags(unsigned int flags) {
  return mood() == LIB_RM_VERSION_MISMATCH ? LIB_RM_VERSION_MISMATCH : OK;
}
int nvmlShutdown(void) { return OK; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 1; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, void **h) { *h = &card; return i ? 2 : OK; }
int nvmlDeviceGetName(void *h, char *name, unsigned int n) {
  snprintf(name, n, "NVIDIA GeForce GTX 970");
  return OK;
}
int nvmlDeviceGetUUID(void *h, char *uuid, unsigned int n) {
  snprintf(uuid, n, "GPU-00000000-0000-0000-0000-000000000970");
  return OK;
}
int nvmlDeviceGetUtilizationRates(void *h, utilization_t *u) {
  u->gpu = 87;
  u->memory = 40;
  return mood();
}
int nvmlDeviceGetMemoryInfo(void *h, memory_t *m) {
  m->total = 4294967296ULL;
  m->used = 3221225472ULL + 268435456ULL; /* with what the driver keeps for itself */
  m->free = m->total - m->used;
  return mood();
}
int nvmlDeviceGetPowerUsage(void *h, unsigned int *mw) { *mw = 142500; return mood(); }
int nvmlDeviceGetEnforcedPowerLimit(void *h, unsigned int *mw) { *mw = 145000; return mood(); }
int nvmlDeviceGetTemperature(void *h, int sensor, unsigned int *c) { *c = 71; return mood(); }
int nvmlDeviceGetClockInfo(void *h, int type, unsigned int *mhz) { *mhz = 1304; return mood(); }
int nvmlDeviceGetTotalEnergyConsumption(void *h, unsigned long long *mj) { return NOT_SUPPORTED; }
/* One process, whose id the file named by FAKE_NVML_PID holds, uses 2 GiB; without it none does. */
typedef struct { unsigned int pid; unsigned long long used; unsigned int gi, ci; } process_t;
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, unsigned int *n, process_t *p) {
  const char *path = getenv("FAKE_NVML_PID");
  FILE *file = path ? fopen(path, "r") : NULL;
  unsigned int pid = 0, room = *n;
  if (file) {
    if (fscanf(file, "%u", &pid) != 1) pid = 0;
    fclose(file);
  }
  *n = pid ? 1 : 0;
  if (pid && room < 1) return INSUFFICIENT_SIZE;
  if (pid) {
    p[0].pid = pid;
    p[0].used = 2147483648ULL;
  }
  return mood();
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *h, unsigned long long *bits) {
  *bits = 0x4; /* software power cap */
  return mood();
}

/* Asked for by other programs that read cards. */
int nvmlSystemGetDriverVersion(char *v, unsigned int n) { snprintf(v, n, "550.54"); return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 12040; return OK; }
int nvmlDeviceGetMemoryInfo_v2(void *h, unsigned long long *m) {
  m[1] = 4294967296ULL; /* after the version: total, reserved, free, used */
  m[2] = 268435456ULL;
  m[3] = 1073741824ULL - m[2];
  m[4] = 3221225472ULL;
  return mood();
}
int nvmlDeviceGetEncoderUtilization(void *h, unsigned *u, unsigned *us) { *u = *us = 0; return OK; }
int nvmlDeviceGetDecoderUtilization(void *h, unsigned *u, unsigned *us) { *u = *us = 0; return OK; }
int nvmlDeviceGetJpgUtilization(void *h, unsigned *u, unsigned *us) { return NOT_SUPPORTED; }
int nvmlDeviceGetOfaUtilization(void *h, unsigned *u, unsigned *us) { return NOT_SUPPORTED; }
int nvmlDeviceGetFanSpeed(void *h, unsigned *percent) { *percent = 40; return OK; }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *h, unsigned *n, void *p) { *n = 0; return OK; }
int nvmlDeviceGetPowerManagementLimit(void *h, unsigned *mw) { *mw = 145000; return OK; }
int nvmlDeviceGetPowerManagementDefaultLimit(void *h, unsigned *mw) { *mw = 145000; return OK; }
int nvmlDeviceGetIndex(void *h, unsigned *i) { *i = 0; return OK; }

const char *nvmlErrorString(int code) {
  switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case GPU_IS_LOST: return "GPU is lost";
    case LIB_RM_VERSION_MISMATCH: return "RM has detected an NVML/RM version mismatch.";
    default: return "Unknown Error";
  }
}
