/* bpf(2): maps, programs, tracepoints. */
#include "base/procfs.h"
#include "ebpf/code.h"
#include "ebpf/ebpf.h"
#include "ebpf/layout.h"
#include "ebpf/pieces.h"

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
    [EBPF_CAPTURE] = "sys_exit",
    [EBPF_CAPTURE_EXEC] = "sched_process_exec",
};

/* The helpers that read kernel memory ask for a license that the kernel takes for compatible with its own
   (include/linux/license.h). It is about these programs, which are made of this directory's sources. */
static const char license[] = "GPL";

int ebpf_call_kernel(int command, union bpf_attr *attributes) {
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
  return ebpf_call_kernel(BPF_MAP_CREATE, &attributes);
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

/* The table has more room than the journal: a combination that the journal does not take is in it nevertheless. */
static bool create_argument_maps(struct ebpf *ebpf) {
  ebpf->combinations = create_map("oci_seen_args", BPF_MAP_TYPE_HASH, EBPF_KEY, 4, COMBINATIONS_PLACES, 0);
  ebpf->journal = create_map("oci_arguments", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ebpf_combination), COMBINATIONS_MOST,
                             BPF_F_MMAPABLE);
  ebpf->wanted = create_map("oci_wanted", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ebpf_wanted) * EBPF_SLOTS, 1, BPF_F_MMAPABLE);
  return ebpf->combinations >= 0 && ebpf->journal >= 0 && ebpf->wanted >= 0;
}

static bool create_capture_maps(struct ebpf *ebpf) {
  size_t shapes = sizeof(struct ebpf_shape) * (EBPF_SLOTS + 1);
  ebpf->shapes = create_map("oci_shapes", BPF_MAP_TYPE_ARRAY, 4, shapes, 1, BPF_F_MMAPABLE);
  ebpf->pieces = create_map("oci_pieces", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ebpf_capture), ebpf->processors, 0);
  ebpf->ring = create_map("oci_ring", BPF_MAP_TYPE_RINGBUF, 0, 0, EBPF_RING, 0);
  return ebpf->shapes >= 0 && ebpf->pieces >= 0 && ebpf->ring >= 0;
}

static size_t counts_size(const struct ebpf *ebpf) { return sizeof(struct ebpf_counts) * rows(ebpf); }
enum {
  JOURNAL_SIZE = sizeof(struct ebpf_combination) * COMBINATIONS_MOST,
  WANTED_SIZE = sizeof(struct ebpf_wanted) * EBPF_SLOTS,
  SHAPES_SIZE = sizeof(struct ebpf_shape) * (EBPF_SLOTS + 1),
};

static void *map_one(int map, size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void unmap_one(volatile void *memory, size_t size) {
  if (memory) munmap((void *)memory, size);
}

static bool map_memory(struct ebpf *ebpf) {
  ebpf->all_counts = map_one(ebpf->counts, counts_size(ebpf));
  ebpf->all_state = map_one(ebpf->state, sizeof(struct ebpf_state));
  if (!ebpf->all_counts || !ebpf->all_state) return false;
  if (ebpf->combinations >= 0) {
    ebpf->all_combinations = map_one(ebpf->journal, JOURNAL_SIZE);
    ebpf->all_wanted = map_one(ebpf->wanted, WANTED_SIZE);
    if (!ebpf->all_combinations || !ebpf->all_wanted) return false;
  }
  if (ebpf->layout) ebpf->all_shapes = map_one(ebpf->shapes, SHAPES_SIZE);
  return !ebpf->layout || ebpf->all_shapes;
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
  return ebpf_call_kernel(BPF_PROG_LOAD, &attributes);
}

static bool attach(struct ebpf *ebpf, enum ebpf_program which) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.raw_tracepoint.name = (uint64_t)(uintptr_t)tracepoints[which];
  attributes.raw_tracepoint.prog_fd = (uint32_t)ebpf->programs[which];
  ebpf->links[which] = ebpf_call_kernel(BPF_RAW_TRACEPOINT_OPEN, &attributes);
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

static bool set_up(struct ebpf *ebpf, const struct ebpf_options *options, char *reason, size_t size) {
  static struct ebpf_layout layout;
  if (!initial_pid_namespace()) {
    snprintf(reason, size, "the tracer is not in the host's pid namespace");
    return false;
  }
  if ((ebpf->processors = possible_processors()) == 0) {
    snprintf(reason, size, "cannot read the number of processors from /sys");
    return false;
  }
  if (options->paths->wanted) {
    if (!ebpf_layout_find(&layout)) {
      snprintf(reason, size, "the kernel does not say where it has the names of files (/sys/kernel/btf/vmlinux)");
      return false;
    }
    ebpf->layout = &layout;
  }
  bool arguments = options->combinations->wanted;
  if (!create_maps(ebpf, options->tasks) || (arguments && !create_argument_maps(ebpf)) || (ebpf->layout && !create_capture_maps(ebpf)))
    return fail(reason, size, "cannot create a BPF map");
  if (!map_memory(ebpf) || (ebpf->layout && !ebpf_pieces_open(ebpf))) return fail(reason, size, "cannot map a BPF map into memory");
  /* Without BTF the kernel refuses programs that read its structures directly; the helper is slower. */
  ebpf->direct = true;
  for (int i = 0; i < EBPF_PROGRAMS; i++) {
    if ((i == EBPF_CAPTURE || i == EBPF_CAPTURE_EXEC) && !ebpf->layout) continue;
    ebpf->programs[i] = load(ebpf, i, options->init);
    if (ebpf->programs[i] < 0 && i == EBPF_ENTER) {
      ebpf->direct = false;
      ebpf->programs[i] = load(ebpf, i, options->init);
    }
    char what[64];
    snprintf(what, sizeof what, "cannot load the program for %s", tracepoints[i] ? tracepoints[i] : "adoption");
    if (ebpf->programs[i] < 0) return fail(reason, size, what);
  }
  /* In reverse order: who is counted must be known to the end, so the tables' programs come before those that count. */
  for (int i = EBPF_PROGRAMS - 1; i >= 0; i--) {
    char what[64];
    snprintf(what, sizeof what, "cannot attach to tracepoint %s", tracepoints[i] ? tracepoints[i] : "");
    if (tracepoints[i] && ebpf->programs[i] >= 0 && !attach(ebpf, i)) return fail(reason, size, what);
  }
  return ebpf_self_test(ebpf, reason, size);
}

void ebpf_want(struct ebpf *ebpf, const struct arch_call *call, uint8_t mask) {
  int slot = call->abi * RECORD_NUMBERS + call->nr;
  if (mask == 0) return;
  for (int i = 0; i < 6; i++) ebpf->all_wanted[slot].bits[i] = mask >> i & 1 ? UINT32_MAX : 0;
  ebpf->all_wanted[slot].any = 1;
  for (unsigned i = 0; i < ebpf->processors; i++) ebpf->all_counts[i].slots[slot] |= EBPF_ARGUMENTS;
}

bool ebpf_forget(struct ebpf *ebpf) {
  for (uint64_t i = 0; i < ebpf->all_state->combinations; i++) {
    struct ebpf_combination key = ebpf->all_combinations[i];
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_fd = (uint32_t)ebpf->combinations;
    attributes.key = (uint64_t)(uintptr_t)&key;
    if (ebpf_call_kernel(BPF_MAP_DELETE_ELEM, &attributes) != 0) return false;
  }
  memset((void *)ebpf->all_counts, 0, counts_size(ebpf));
  if (ebpf->all_wanted) memset((void *)ebpf->all_wanted, 0, WANTED_SIZE);
  if (ebpf->all_shapes) memset((void *)ebpf->all_shapes, 0, SHAPES_SIZE);
  if (ebpf->all_wanted) memset((void *)ebpf->all_combinations, 0, sizeof(struct ebpf_combination) * ebpf->all_state->combinations);
  memset((void *)ebpf->all_state, 0, sizeof(struct ebpf_state));
  if (ebpf->reader) ebpf_pieces_forget(ebpf);
  return true;
}

static void want_all(struct ebpf *ebpf, const struct combinations *combinations) {
  for (int slot = 0; combinations->wanted && slot < EBPF_SLOTS; slot++) {
    struct arch_call call = {.abi = slot / RECORD_NUMBERS, .nr = slot % RECORD_NUMBERS};
    ebpf_want(ebpf, &call, combinations_of(combinations, &call));
  }
}

bool ebpf_open(struct ebpf *ebpf, const struct ebpf_options *options, char *reason, size_t size) {
  *ebpf = (struct ebpf){.tasks = -1, .counts = -1, .odd = -1, .state = -1, .combinations = -1, .journal = -1, .wanted = -1,
                        .shapes = -1, .pieces = -1, .ring = -1};
  for (int i = 0; i < EBPF_PROGRAMS; i++) ebpf->programs[i] = ebpf->links[i] = -1;
  if (set_up(ebpf, options, reason, size)) {
    want_all(ebpf, options->combinations);
    if (ebpf->reader) ebpf_paths_want(ebpf, options->paths);
    return true;
  }
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
  unmap_one(ebpf->all_counts, counts_size(ebpf));
  unmap_one(ebpf->all_state, sizeof(struct ebpf_state));
  unmap_one(ebpf->all_combinations, JOURNAL_SIZE);
  unmap_one(ebpf->all_wanted, WANTED_SIZE);
  unmap_one(ebpf->all_shapes, SHAPES_SIZE);
  int *maps[] = {&ebpf->tasks, &ebpf->counts, &ebpf->odd, &ebpf->state, &ebpf->combinations, &ebpf->journal, &ebpf->wanted,
                 &ebpf->shapes, &ebpf->pieces, &ebpf->ring};
  for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) close_one(maps[i]);
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
  return ebpf_call_kernel(BPF_PROG_TEST_RUN, &attributes) == 0;
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
  return ebpf_call_kernel(BPF_OBJ_GET_INFO_BY_FD, &attributes) == 0 ? info.recursion_misses : 1;
}

void ebpf_misses(const struct ebpf *ebpf, uint64_t *calls, uint64_t *tasks) {
  *calls = misses_of(ebpf->programs[EBPF_ENTER]) + misses_of(ebpf->programs[EBPF_LEAVE]);
  if (ebpf->reader) *calls += misses_of(ebpf->programs[EBPF_CAPTURE]) + misses_of(ebpf->programs[EBPF_CAPTURE_EXEC]);
  *tasks = misses_of(ebpf->programs[EBPF_NEW_TASK]) + misses_of(ebpf->programs[EBPF_END_TASK]) +
           misses_of(ebpf->programs[EBPF_EXEC]);
}
