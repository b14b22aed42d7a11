#include "base/trust.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool trusted_owner(const struct stat *status) {
  if (status->st_uid != 0 && status->st_uid != geteuid()) return false;
  return (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool trusted_file(const struct stat *status) { return S_ISREG(status->st_mode) && trusted_owner(status); }

bool trusted_directory(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && trusted_owner(&status);
}

bool trusted_run_directory(const char *name, char path[PATH_MAX]) {
  uid_t user = geteuid();
  if (user == 0) snprintf(path, PATH_MAX, "/run/oci-sandbox");
  else snprintf(path, PATH_MAX, "/run/user/%u/oci-sandbox", user);
  if (!trusted_directory(path)) return false;
  strcat(strcat(path, "/"), name);
  return trusted_directory(path);
}

static long long nanoseconds(const struct timespec *time) { return time->tv_sec * 1000000000LL + time->tv_nsec; }

void text_identity(struct text *text, const struct stat *status) {
  text_format(text, "%llu %llu %lld %lld %lld\n", (unsigned long long)status->st_dev,
              (unsigned long long)status->st_ino, (long long)status->st_size, nanoseconds(&status->st_mtim),
              nanoseconds(&status->st_ctim));
}
