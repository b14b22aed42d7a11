/* The sub-commands. Each gets its own name as argv[0] and returns the exit status. */
#ifndef COMMANDS_H
#define COMMANDS_H

int learn_command(int argc, char **argv);
int enforce_command(int argc, char **argv);
int hook_command(int argc, char **argv);
int forget_command(int argc, char **argv);
int probe_command(int argc, char **argv);
int readback_command(int argc, char **argv);
int calibrate_command(int argc, char **argv);
int lock_command(int argc, char **argv);

/* Under another name than ours. */
int shim_command(int argc, char **argv);

#endif
