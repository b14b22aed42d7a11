#include "ebpf/layout.h"

#include "ebpf/btf.h"

#include <stddef.h>

/* Of each the offset, and for a member of a member that is no pointer the sum. */
static const struct {
  size_t at;
  const char *structure, *member, *inner_structure, *inner;
} members[] = {
#define MEMBER(name, ...) {offsetof(struct ebpf_layout, name), __VA_ARGS__}
    MEMBER(task_fs, "task_struct", "fs", NULL, NULL),
    MEMBER(task_files, "task_struct", "files", NULL, NULL),
    MEMBER(task_mm, "task_struct", "mm", NULL, NULL),
    MEMBER(fs_pwd, "fs_struct", "pwd", NULL, NULL),
    MEMBER(fs_root, "fs_struct", "root", NULL, NULL),
    MEMBER(files_table, "files_struct", "fdt", NULL, NULL),
    MEMBER(table_files, "fdtable", "fd", NULL, NULL),
    MEMBER(table_size, "fdtable", "max_fds", NULL, NULL),
    MEMBER(file_path, "file", "f_path", NULL, NULL),
    MEMBER(mm_exe, "mm_struct", "exe_file", NULL, NULL),
    MEMBER(path_mount, "path", "mnt", NULL, NULL),
    MEMBER(path_entry, "path", "dentry", NULL, NULL),
    MEMBER(entry_parent, "dentry", "d_parent", NULL, NULL),
    MEMBER(entry_name, "dentry", "d_name", "qstr", "name"),
    MEMBER(entry_hash, "dentry", "d_hash", "hlist_bl_node", "pprev"),
    MEMBER(mount_root, "vfsmount", "mnt_root", NULL, NULL),
    MEMBER(mount_self, "mount", "mnt", NULL, NULL),
    MEMBER(mount_parent, "mount", "mnt_parent", NULL, NULL),
    MEMBER(mount_point, "mount", "mnt_mountpoint", NULL, NULL),
    MEMBER(program_name, "linux_binprm", "filename", NULL, NULL),
#undef MEMBER
};

bool ebpf_layout_find(struct ebpf_layout *layout) {
  struct btf btf;
  bool good = btf_open(&btf);
  for (size_t i = 0; good && i < sizeof members / sizeof *members; i++) {
    int offset = btf_member(&btf, members[i].structure, members[i].member);
    int inner = members[i].inner ? btf_member(&btf, members[i].inner_structure, members[i].inner) : 0;
    good = offset >= 0 && inner >= 0;
    *(int *)((char *)layout + members[i].at) = offset + inner;
  }
  btf_close(&btf);
  return good;
}
