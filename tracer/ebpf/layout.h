/* Where the members that lead to a file's name lie in the kernel's structures. */
#ifndef EBPF_LAYOUT_H
#define EBPF_LAYOUT_H

#include <stdbool.h>

struct ebpf_layout {
  int task_fs, task_files, task_mm;
  int fs_pwd, fs_root;
  int files_table, table_files, table_size;
  int file_path, mm_exe;
  int path_mount, path_entry;
  int entry_parent, entry_name, entry_hash; /* of the name the pointer, of the hash what is null without one */
  int mount_root;                           /* in struct vfsmount */
  int mount_self, mount_parent, mount_point;
  int program_name;                         /* of struct linux_binprm */
};

/* False: the kernel does not say (no BTF), or it has other structures. */
bool ebpf_layout_find(struct ebpf_layout *layout);

#endif
