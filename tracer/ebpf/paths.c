/* learn's --paths with eBPF: which steps the capturing programs take for which call, and what becomes of what they send. */
#include "ebpf/ebpf.h"
#include "ebpf/pieces.h"
#include "learn/intent.h"

#include <string.h>

enum { ERRNO_MOST = 4095 };

/* Steps for an operand (README.md, "learn: paths"); at most EBPF_STEPS for all of a call. */
static unsigned add_steps(uint32_t *steps, unsigned count, const struct paths_operand *operand, bool narrow) {
  unsigned place[3] = {(unsigned)operand->places[0] << 8, (unsigned)operand->places[1] << 8, (unsigned)operand->places[2] << 8};
  unsigned second = (unsigned)(operand->places[2] + 1) << 16;
  switch (operand->letter) {
    case 'b':
    case 'k':
    case 's':
      steps[count++] = EBPF_STEP_ADDRESS | place[1] | second;
      steps[count++] = EBPF_STEP_WORKING; /* where the path of a UNIX socket begins */
      steps[count++] = EBPF_STEP_ROOT;
      return count;
    case 'm':
    case 'M':
      steps[count++] = (narrow ? EBPF_STEP_NARROW_HEADERS : EBPF_STEP_HEADERS) | place[1] | second;
      steps[count++] = EBPF_STEP_WORKING; /* where the path of a UNIX socket begins */
      steps[count++] = EBPF_STEP_ROOT;
      return count;
    case 'q':
      steps[count++] = EBPF_STEP_SOCKETCALL | place[1];
      steps[count++] = EBPF_STEP_WORKING; /* where the path of a UNIX socket begins */
      steps[count++] = EBPF_STEP_ROOT;
      return count;
  }
  if (operand->places[1] >= 0) steps[count++] = EBPF_STEP_TEXT | place[1];
  bool by_handle = operand->letter == 'o' && operand->places[1] < 0;
  if (!by_handle) steps[count++] = operand->places[0] < 0 ? EBPF_STEP_WORKING : EBPF_STEP_BASE | place[0];
  if (operand->letter == 'O') steps[count++] = EBPF_STEP_BYTES | place[2] | sizeof(uint64_t) << 16;
  if (strchr("oOt", operand->letter)) steps[count++] = EBPF_STEP_OPENED;
  return count;
}

void ebpf_paths_want(struct ebpf *ebpf, const struct paths *paths) {
  for (int slot = 0; slot < EBPF_SLOTS; slot++) {
    struct arch_call call = {.abi = slot / RECORD_NUMBERS, .nr = slot % RECORD_NUMBERS};
    const struct paths_shape *shape = call.abi < arch_abi_count ? paths_shape(paths, &call) : NULL;
    if (!shape) continue;
    uint32_t steps[2 * EBPF_STEPS] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < shape->count; i++)
      count = add_steps(steps, count, &shape->operands[i], arch_pointer_size(call.abi) == 4);
    for (unsigned i = EBPF_STEPS; i-- > 0;) ebpf->all_shapes[slot].steps[i] = steps[i];
    ebpf->all_shapes[slot].condition = (uint32_t)(paths_condition(shape) + 1);
  }
  volatile struct ebpf_shape *execution = &ebpf->all_shapes[EBPF_SLOTS];
  execution->steps[0] = EBPF_STEP_KERNEL_TEXT;
  execution->steps[1] = EBPF_STEP_WORKING;
  execution->steps[2] = EBPF_STEP_EXECUTED;
}

/* An execve that has succeeded: its file as it was named, and the program. execveat(2) of a descriptor has another name here. */
static void record_execution(struct facts *facts) {
  static char path[TRACEE_PATH_MAX], base[TRACEE_PATH_MAX], exe[TRACEE_PATH_MAX];
  static struct tracee_name name;
  bool named = tracee_path(0, 0, path) == TRACEE_OK && strncmp(path, "/dev/fd/", 8) != 0 &&
               tracee_link(0, *path == '/' ? "root" : "cwd", base);
  if (!named) {
    facts->unreadable++;
  } else if (!tracee_name(&name, base, path)) {
    facts->longer++;
  } else {
    facts->folded += name.folded;
    facts_file(facts, name.text, FACTS_EXECUTE, true);
  }
  if (tracee_link(0, "exe", exe)) facts_program(facts, exe);
  else facts->unreadable++;
}

static void record_end(struct paths *paths, const struct ebpf_capture *end) {
  static struct intent intent; /* large */
  unsigned long long values[6];
  int64_t result = (int64_t)end->key;
  bool failed = result < 0 && result >= -ERRNO_MOST;
  struct arch_call call = {.abi = (int)end->slot / RECORD_NUMBERS, .nr = (int)end->slot % RECORD_NUMBERS};
  const struct paths_shape *shape = paths_shape(paths, &call);
  if (!shape) return;
  memcpy(values, end->data, sizeof values);
  intent.compat = arch_pointer_size(call.abi) == 4;
  intent.facts = 0;
  intent.used = 0;
  for (unsigned i = 0; i < shape->count; i++) intent_read(&intent, 0, &shape->operands[i], values);
  intent_record(&intent, 0, result, failed, &paths->facts);
}

static void take_call(void *context, const struct ebpf_capture *end) {
  struct paths *paths = context;
  if (end->slot == EBPF_SLOTS) record_execution(&paths->facts);
  else record_end(paths, end);
}

bool ebpf_paths_read(struct ebpf *ebpf, struct paths *paths) { return ebpf_pieces_read(ebpf, take_call, paths); }

void ebpf_paths_finish(struct ebpf *ebpf, struct paths *paths) {
  ebpf_paths_read(ebpf, paths);
  paths->facts.left += ebpf_pieces_lost(ebpf);
  facts_finish(&paths->facts);
}
