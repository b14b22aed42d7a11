/* The first process of the virtual machine: executes the lines of /commands, one after the other, and switches the machine off. A line
   is an identifier and the words of a command. What it prints goes to the console between two lines of ours:
     @begin IDENTIFIER
     @end STATUS        as wait(2) gives it */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 64, SECONDS = 120 };

static void mounted(const char *type, const char *directory) {
  mkdir(directory, 0755);
  if (mount(type, directory, type, 0, "") != 0) printf("cannot mount %s\n", directory);
}

static void execute(char *line) {
  char *words[WORDS + 1] = {0};
  int count = 0, status;
  for (char *word = strtok(line, " "); word && count < WORDS; word = strtok(NULL, " ")) words[count++] = word;
  if (count < 2) return;
  printf("\n@begin %s\n", words[0]);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(SECONDS); /* for the end of what would never end */
    execv(words[1], words + 1);
    _exit(127);
  }
  while (waitpid(pid, &status, 0) != pid) { /* other processes end as well */
  }
  printf("\n@end %d\n", status);
  fflush(stdout);
}

int main(void) {
  char line[16384];
  mkdir("/dev", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", 0, "");
  int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(console, fd);
  mounted("proc", "/proc");
  mounted("sysfs", "/sys");
  mounted("tmpfs", "/tmp");
  FILE *commands = fopen("/commands", "re");
  while (commands && fgets(line, sizeof line, commands)) {
    line[strcspn(line, "\n")] = 0;
    execute(line);
  }
  printf("\n@over\n");
  fflush(stdout);
  sync();
  reboot(RB_POWER_OFF);
  return 0;
}
