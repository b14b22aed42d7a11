/* bpf(2): maps, programs, tracepoints. */
#include "ebpf.h"
#include "ebpf_code.h"
#include "procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By enum ebpf_program; NULL: on none */
static const char *const tracepoints[EBPF_PROGRAMS] = {
    [EBPF_ENTER] = "sys_enter",
    [EBPF_LEAVE] = "sys_exit",
    [EBPF_NEW_TASK] = "task_newtask",
    [EBPF_END_TASK] = "sched_process_exit",
    [EBPF_EXEC] = "sched_process_exec",
};

/* The helpers that read kernel memory ask for a license that the kernel takes for compatible with its own
   (include/linux/license.h). It is about these programs, which are made of this directory's sources. */
static const char license[] = "GPL";

static int call_kernel(int command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int create_map(const char *name, uint32_t type, uint32_t key, size_t value, uint32_t entries, uint32_t flags) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = type;
  attributes.key_size = key;
  attributes.value_size = (uint32_t)value;
  attributes.max_entries = entries;
  attributes.map_flags = flags;
  strcpy(attributes.map_name, name);
  return call_kernel(BPF_MAP_CREATE, &attributes);
}

static uint32_t rows(const struct ebpf *ebpf) { return ebpf->processors + EBPF_MORE_ROWS; }

/* Hash tables are allocated in full (no BPF_F_NO_PREALLOC): an insertion can then fail for one reason only, that they are
   full. */
static bool create_maps(struct ebpf *ebpf, uint32_t tasks) {
  ebpf->tasks = create_map("oci_tasks", BPF_MAP_TYPE_HASH, 8, 8, tasks, 0);
  ebpf->odd = create_map("oci_odd", BPF_MAP_TYPE_HASH, 8, sizeof(struct ebpf_odd), RECORD_ODD, 0);
  ebpf->counts = create_map("oci_counts", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ebpf_counts), rows(ebpf), BPF_F_MMAPABLE);
  ebpf->state = create_map("oci_state", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ebpf_state), 1, BPF_F_MMAPABLE);
  return ebpf->tasks >= 0 && ebpf->odd >= 0 && ebpf->counts >= 0 && ebpf->state >= 0;
}

static bool map_memory(struct ebpf *ebpf) {
  int rights = PROT_READ | PROT_WRITE;
  size_t size = sizeof(struct ebpf_counts) * rows(ebpf);
  void *counts = mmap(NULL, size, rights, MAP_SHARED, ebpf->counts, 0);
  void *state = mmap(NULL, sizeof(struct ebpf_state), rights, MAP_SHARED, ebpf->state, 0);
  ebpf->all_counts = counts == MAP_FAILED ? NULL : counts;
  ebpf->all_state = state == MAP_FAILED ? NULL : state;
  return ebpf->all_counts && ebpf->all_state;
}

static int load(const struct ebpf *ebpf, enum ebpf_program which, pid_t init) {
  static struct ebpf_code code;
  union bpf_attr attributes;
  if (!ebpf_write_program(which, ebpf, init, &code)) {
    errno = E2BIG;
    return -1;
  }
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
  attributes.insns = (uint64_t)(uintptr_t)code.code;
  attributes.insn_cnt = (uint32_t)code.length;
  attributes.license = (uint64_t)(uintptr_t)license;
  snprintf(attributes.prog_name, sizeof attributes.prog_name, "oci_%.11s", tracepoints[which] ? tracepoints[which] : "adopt");
  return call_kernel(BPF_PROG_LOAD, &attributes);
}

static bool attach(struct ebpf *ebpf, enum ebpf_program which) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.raw_tracepoint.name = (uint64_t)(uintptr_t)tracepoints[which];
  attributes.raw_tracepoint.prog_fd = (uint32_t)ebpf->programs[which];
  ebpf->links[which] = call_kernel(BPF_RAW_TRACEPOINT_OPEN, &attributes);
  return ebpf->links[which] >= 0;
}

/* The programs see processors by number, so the highest possible one counts: "0-3", "0,2-7". */
static unsigned possible_processors(void) {
  char list[512];
  if (procfs_read("/sys/devices/system/cpu/possible", list, sizeof list) <= 0) return 0;
  const char *last = strrchr(list, ',');
  const char *range = strrchr(list, '-');
  const char *number = range && (!last || range > last) ? range + 1 : last ? last + 1 : list;
  return (unsigned)strtoul(number, NULL, 10) + 1;
}

/* The programs compare init's id with the one that it has in the initial pid namespace. */
static bool initial_pid_namespace(void) {
  struct stat status;
  return stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == 0xEFFFFFFCu; /* PROC_PID_INIT_INO, include/linux/proc_ns.h */
}

static bool fail(char *reason, size_t size, const char *what) {
  snprintf(reason, size, "%s: %s", what, strerror(errno));
  return false;
}

static bool set_up(struct ebpf *ebpf, pid_t init, uint32_t tasks, char *reason, size_t size) {
  if (!initial_pid_namespace()) {
    snprintf(reason, size, "the tracer is not in the host's pid namespace");
    return false;
  }
  if ((ebpf->processors = possible_processors()) == 0) {
    snprintf(reason, size, "cannot read the number of processors from /sys");
    return false;
  }
  if (!create_maps(ebpf, tasks)) return fail(reason, size, "cannot create a BPF map");
  if (!map_memory(ebpf)) return fail(reason, size, "cannot map a BPF map into memory");
  /* Without BTF the kernel refuses programs that read its structures directly; the helper is slower. */
  ebpf->direct = true;
  for (int i = 0; i < EBPF_PROGRAMS; i++) {
    ebpf->programs[i] = load(ebpf, i, init);
    if (ebpf->programs[i] < 0 && i == EBPF_ENTER) {
      ebpf->direct = false;
      ebpf->programs[i] = load(ebpf, i, init);
    }
    char what[64];
    snprintf(what, sizeof what, "cannot load the program for %s", tracepoints[i] ? tracepoints[i] : "adoption");
    if (ebpf->programs[i] < 0) return fail(reason, size, what);
  }
  /* In reverse order: who is counted must be known to the end, so the tables' programs come before those that count. */
  for (int i = EBPF_PROGRAMS - 1; i >= 0; i--) {
    char what[64];
    snprintf(what, sizeof what, "cannot attach to tracepoint %s", tracepoints[i] ? tracepoints[i] : "");
    if (tracepoints[i] && !attach(ebpf, i)) return fail(reason, size, what);
  }
  return ebpf_self_test(ebpf, reason, size);
}

bool ebpf_open(struct ebpf *ebpf, pid_t init, uint32_t tasks, char *reason, size_t size) {
  *ebpf = (struct ebpf){.tasks = -1, .counts = -1, .odd = -1, .state = -1};
  for (int i = 0; i < EBPF_PROGRAMS; i++) ebpf->programs[i] = ebpf->links[i] = -1;
  if (set_up(ebpf, init, tasks, reason, size)) return true;
  ebpf_close(ebpf);
  return false;
}

static void close_one(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void ebpf_close(struct ebpf *ebpf) {
  for (int i = 0; i < EBPF_PROGRAMS; i++) close_one(&ebpf->links[i]);
  for (int i = 0; i < EBPF_PROGRAMS; i++) close_one(&ebpf->programs[i]);
  if (ebpf->all_counts) munmap((void *)ebpf->all_counts, sizeof(struct ebpf_counts) * rows(ebpf));
  if (ebpf->all_state) munmap((void *)ebpf->all_state, sizeof(struct ebpf_state));
  ebpf->all_counts = NULL;
  ebpf->all_state = NULL;
  close_one(&ebpf->tasks);
  close_one(&ebpf->counts);
  close_one(&ebpf->odd);
  close_one(&ebpf->state);
}

bool ebpf_attach_leave(struct ebpf *ebpf) { return ebpf->links[EBPF_LEAVE] >= 0 || attach(ebpf, EBPF_LEAVE); }
void ebpf_detach_leave(struct ebpf *ebpf) { close_one(&ebpf->links[EBPF_LEAVE]); }

/* Run EBPF_ADOPT by hand (Linux 5.10): the current task is the caller. */
bool ebpf_adopt_caller(const struct ebpf *ebpf) {
  uint64_t context[2] = {0};
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.test.prog_fd = (uint32_t)ebpf->programs[EBPF_ADOPT];
  attributes.test.ctx_in = (uint64_t)(uintptr_t)context;
  attributes.test.ctx_size_in = sizeof context;
  return call_kernel(BPF_PROG_TEST_RUN, &attributes) == 0;
}

/* recursion_misses: since Linux 5.12, which is also when the guard came that it counts for. */
static uint64_t misses_of(int program) {
  struct bpf_prog_info info;
  union bpf_attr attributes;
  memset(&info, 0, sizeof info);
  memset(&attributes, 0, sizeof attributes);
  attributes.info.bpf_fd = (uint32_t)program;
  attributes.info.info_len = sizeof info;
  attributes.info.info = (uint64_t)(uintptr_t)&info;
  return call_kernel(BPF_OBJ_GET_INFO_BY_FD, &attributes) == 0 ? info.recursion_misses : 1;
}

void ebpf_misses(const struct ebpf *ebpf, uint64_t *calls, uint64_t *tasks) {
  *calls = misses_of(ebpf->programs[EBPF_ENTER]) + misses_of(ebpf->programs[EBPF_LEAVE]);
  *tasks = misses_of(ebpf->programs[EBPF_NEW_TASK]) + misses_of(ebpf->programs[EBPF_END_TASK]) +
           misses_of(ebpf->programs[EBPF_EXEC]);
}

static void read_odd(const struct ebpf *ebpf, struct record *record) {
  union bpf_attr attributes;
  uint64_t key, next;
  for (bool first = true;; first = false, key = next) {
    memset(&attributes, 0, sizeof attributes);
    attributes.map_fd = (uint32_t)ebpf->odd;
    attributes.key = first ? 0 : (uint64_t)(uintptr_t)&key;
    attributes.next_key = (uint64_t)(uintptr_t)&next;
    if (call_kernel(BPF_MAP_GET_NEXT_KEY, &attributes) != 0) return;
    struct ebpf_odd value;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_fd = (uint32_t)ebpf->odd;
    attributes.key = (uint64_t)(uintptr_t)&next;
    attributes.value = (uint64_t)(uintptr_t)&value;
    if (call_kernel(BPF_MAP_LOOKUP_ELEM, &attributes) != 0) continue;
    struct arch_call call = {.abi = (int)(next >> 32), .nr = (int32_t)(uint32_t)next};
    record_total(record, &call, value.count + value.denied, value.denied);
  }
}

uint64_t ebpf_calls(const struct ebpf *ebpf) {
  uint64_t calls = 0;
  for (unsigned i = 0; i <= ebpf->processors + EBPF_DENIED; i++) {
    for (int slot = 0; slot < EBPF_SLOTS; slot++) calls += ebpf->all_counts[i].slots[slot];
  }
  return calls;
}

void ebpf_read(struct ebpf *ebpf, struct record *record, bool all) {
  uint64_t sights = ebpf->all_state->sights; /* before the counts: what comes meanwhile is for the next time */
  if (sights == ebpf->sights && !all) return;
  ebpf->sights = sights;
  for (int slot = 0; slot < EBPF_SLOTS; slot++) {
    const volatile struct ebpf_counts *more = ebpf->all_counts + ebpf->processors;
    uint64_t denied = more[EBPF_DENIED].slots[slot], unsure = more[EBPF_UNSURE].slots[slot], count = denied;
    for (unsigned i = 0; i < ebpf->processors; i++) count += ebpf->all_counts[i].slots[slot];
    if (count == 0) count = denied = unsure;
    struct arch_call call = {.abi = slot / RECORD_NUMBERS, .nr = slot % RECORD_NUMBERS};
    if (count > 0) record_total(record, &call, count, denied);
  }
  read_odd(ebpf, record);
}
