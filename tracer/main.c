/* oci-sandbox-tracer: learns and enforces a container's system calls from outside. See README.md. */
#include "base/message.h"
#include "base/options.h"
#include "repeat/runtime_options.h"
#include "commands.h"

#include <stdbool.h>
#include <string.h>

static const char help[] =
    "Usage: oci-sandbox-tracer COMMAND [OPTION]...\n"
    "\n"
    "Commands:\n"
    "  learn      record the system calls of a container, from its program's start to its end\n"
    "  enforce    put seccomp filters into force when a container's program starts\n"
    "  hook       the hooks enforce and precreate: repeat what has been decided, or ask oci-sandbox\n"
    "  forget     remove what was kept about a container that has ended\n"
    "  probe      print what this kernel and this process allow, as JSON\n"
    "  calibrate  record what a runtime calls itself under the filter of linux.seccomp\n"
    "  readback   print the filters that are installed in a process, as JSON lines\n"
    "  lock       hold an exclusive lock on a file until standard input ends\n"
    "\n"
    "Each command knows --help. --version prints the version.\n"
    "Exit status: 0 success, 1 failure, 2 wrong usage.\n"
    "\n"
    "By the name " SHIM_NAME " it is an OCI runtime; see " SHIM_NAME "(8).\n";

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"learn", learn_command}, {"enforce", enforce_command},   {"probe", probe_command},
    {"lock", lock_command},   {"readback", readback_command}, {"calibrate", calibrate_command},
    {"hook", hook_command},   {"forget", forget_command},
};

/* A symbolic link to us is the runtime that engines start. */
static bool is_runtime(const char *path) {
  const char *slash = strrchr(path, '/');
  return strcmp(slash ? slash + 1 : path, SHIM_NAME) == 0;
}

int main(int argc, char **argv) {
  if (argc > 0 && is_runtime(argv[0])) return shim_command(argc, argv);
  if (argc < 2) return message_usage("a command is missing");
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return option_help(help);
  if (strcmp(argv[1], "--version") == 0) return option_help("oci-sandbox-tracer " TRACER_VERSION "\n");
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(argv[1], commands[i].name) != 0) continue;
    message_command = commands[i].name;
    return commands[i].run(argc - 1, argv + 1);
  }
  return message_usage("unknown command %s", argv[1]);
}
