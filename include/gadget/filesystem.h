/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_FILESYSTEM_H
#define __GADGET_FILESYSTEM_H

/*
 * Files: their paths, their types, and their place in overlays.
 *
 * A path is the one in the file's mount namespace: it goes up through all mounts to
 * the namespace's root.  For a container this is the container's root; a chroot
 * makes no difference.  A deleted file has its last path.
 * A file that is in no directory has a name without a leading slash: "memfd:name",
 * "[eventfd]", or an empty one for pipes and sockets.
 *
 * The walk is not locked.  A directory that is renamed meanwhile may show with
 * its old name or its new one.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/types.h>

/*
 * The longest path with its terminating zero.  A longer one loses directories at
 * its beginning, and starts with "..." in their place: the end of a path is more
 * useful, and no other path starts with a dot.
 */
#define GADGET_PATH_MAX 512

/*
 * How many steps up a walk takes: one for each name, which takes up at least two bytes,
 * and one for each mount.  Directories above are lost, as described above.
 */
#ifndef __GADGET_PATH_DEPTH /* for programs of gizmo that need fewer */
#define __GADGET_PATH_DEPTH (GADGET_PATH_MAX / 2 + 32)
#endif

/* NAME_MAX: no directory entry has a longer name. */
#define __GADGET_PATH_NAME 255

#define __GADGET_PATH_CUT     "..."
#define __GADGET_PATH_CUT_LEN (sizeof(__GADGET_PATH_CUT) - 1)

/*
 * Paths are written from their end to their beginning, a name at a time.  The
 * room after the end is for the verifier, which doesn't know that names are only
 * put where there is room for them.
 */
struct __gadget_path_buf {
	char text[GADGET_PATH_MAX + __GADGET_PATH_NAME + 1];
};

/* One for each CPU: the next path on the same CPU overwrites it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct __gadget_path_buf);
} gadget_path_buf SEC(".maps");

/*
 * The position of a walk: at @dentry in @mount, whose root is @root.  Copy a member to
 * a variable before BPF_CORE_READ(), which would read this struct from kernel memory, too.
 */
struct __gadget_path_walk {
	struct mount *mount;
	struct dentry *root;
	struct dentry *dentry;
	__u32 start; /* of the text so far */
};

/*
 * Puts the name of the walk's entry in front of the text.  False if there is no
 * room for it.
 *
 * The terminating zero overwrites the slash of the next name, which is then restored.
 * If the entry got a shorter name meanwhile, a zero before the slash ends the path, so
 * that no old contents of the buffer get out.
 */
static __always_inline bool
__gadget_path_prepend(struct __gadget_path_buf *buf,
		      struct __gadget_path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct qstr name;
	__u32 start, len;
	char behind;

	if (bpf_core_read(&name, sizeof(name), &dentry->d_name) ||
	    name.len > __GADGET_PATH_NAME ||
	    name.len + 1 + __GADGET_PATH_CUT_LEN > walk->start)
		return false;

	/* The masks change nothing: they repeat the check to the verifier. */
	start = walk->start - name.len - 1;
	barrier_var(start);
	start &= GADGET_PATH_MAX - 1;
	len = name.len;
	barrier_var(len);
	len &= __GADGET_PATH_NAME;

	behind = buf->text[start + 1 + len];
	bpf_probe_read_kernel_str(&buf->text[start + 1], len + 1, name.name);
	buf->text[start + 1 + len] = behind;
	buf->text[start] = '/';
	walk->start = start;
	return true;
}

/* From the root of a mount to where it is mounted.  False at the very top. */
static __always_inline bool
__gadget_path_leave_mount(struct __gadget_path_walk *walk)
{
	struct mount *mount = walk->mount;
	struct mount *up = BPF_CORE_READ(mount, mnt_parent);

	if (up == mount || !up)
		return false;
	walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	walk->root = BPF_CORE_READ(up, mnt.mnt_root);
	walk->mount = up;
	return true;
}

/* How a walk ended. */
enum __gadget_path_end {
	__GADGET_PATH_WHOLE, /* at the root */
	__GADGET_PATH_ALONE, /* at a file outside of all directories */
	__GADGET_PATH_TOO_LONG,
};

static __always_inline enum __gadget_path_end
__gadget_path_walk(struct __gadget_path_buf *buf,
		   struct __gadget_path_walk *walk)
{
	struct dentry *dentry, *parent;

	/*
	 * No "continue": clang 14 would put the loop's head after its body, and
	 * the verifier of 6.1 refuses a loop that falls through to its head.
	 */
	for (int i = 0; i < __GADGET_PATH_DEPTH; i++) {
		if (walk->dentry == walk->root) {
			if (!__gadget_path_leave_mount(walk))
				return __GADGET_PATH_WHOLE;
		} else {
			dentry = walk->dentry;
			parent = BPF_CORE_READ(dentry, d_parent);
			if (parent == dentry)
				return walk->start == GADGET_PATH_MAX - 1 ?
					       __GADGET_PATH_ALONE :
					       __GADGET_PATH_TOO_LONG;
			if (!__gadget_path_prepend(buf, walk))
				return __GADGET_PATH_TOO_LONG;
			walk->dentry = parent;
		}
	}
	return __GADGET_PATH_TOO_LONG;
}

/* Walks to the top and returns the text. */
static __always_inline char *__gadget_path_str(struct __gadget_path_buf *buf,
					       struct __gadget_path_walk *walk)
{
	__u32 start;

	buf->text[walk->start] = '\0';
	switch (__gadget_path_walk(buf, walk)) {
	case __GADGET_PATH_WHOLE:
		start = walk->start;
		if (start < GADGET_PATH_MAX - 1)
			break;
		start = GADGET_PATH_MAX - 2; /* the root itself */
		buf->text[start] = '/';
		break;
	case __GADGET_PATH_ALONE:
		start = walk->start;
		if (__gadget_path_prepend(buf, walk))
			start = walk->start + 1; /* without the slash */
		break;
	default:
		start = walk->start - __GADGET_PATH_CUT_LEN;
		start &= GADGET_PATH_MAX - 1;
		__builtin_memcpy(&buf->text[start], __GADGET_PATH_CUT,
				 __GADGET_PATH_CUT_LEN);
	}
	return &buf->text[start & (GADGET_PATH_MAX - 1)];
}

/*
 * get_path_str: the absolute path of @path.
 * @path: in the kernel or on the stack
 *
 * Returns a string of less than GADGET_PATH_MAX characters that the next call on
 * this CPU overwrites, or NULL if there is none.  Copy it with
 * bpf_probe_read_kernel_str().  A call costs some 100 ns for each directory.  For
 * all program types that have bpf_probe_read_kernel(); where a program can be
 * preempted (fentry, lsm, uprobe, iter), another may overwrite the path halfway.
 */
static __always_inline char *get_path_str(struct path *path)
{
	struct __gadget_path_walk walk = {.start = GADGET_PATH_MAX - 1};
	struct __gadget_path_buf *buf;
	struct vfsmount *mnt;
	__u32 zero = 0;

	buf = bpf_map_lookup_elem(&gadget_path_buf, &zero);
	mnt = BPF_CORE_READ(path, mnt);
	walk.dentry = BPF_CORE_READ(path, dentry);
	if (!buf || !mnt || !walk.dentry)
		return NULL;
	walk.mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	walk.root = BPF_CORE_READ(mnt, mnt_root);
	return __gadget_path_str(buf, &walk);
}

/*
 * gadget_get_path_of_file: the path of an open file; else as get_path_str().
 * @file: in the kernel; NULL has no path
 */
static __always_inline char *gadget_get_path_of_file(struct file *file)
{
	if (!file)
		return NULL;
	return get_path_str(__builtin_preserve_access_index(&file->f_path));
}

/*
 * gadget_get_path_of_dentry: the path from the root of the file system that an entry
 * belongs to, since an entry does not know by which mount it was reached; else as
 * get_path_str().
 * @dentry: in the kernel; NULL has no path
 */
static __always_inline char *gadget_get_path_of_dentry(struct dentry *dentry)
{
	struct __gadget_path_walk walk = {.start = GADGET_PATH_MAX - 1};
	struct __gadget_path_buf *buf;
	__u32 zero = 0;

	buf = bpf_map_lookup_elem(&gadget_path_buf, &zero);
	if (!buf || !dentry)
		return NULL;
	walk.dentry = dentry;
	walk.root = BPF_CORE_READ(dentry, d_sb, s_root);
	return __gadget_path_str(buf, &walk);
}

/* gadget_get_cwd: the directory that a task is in; else as get_path_str(). */
static __always_inline char *gadget_get_cwd(struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (!fs) /* late in its exit */
		return NULL;
	return get_path_str(__builtin_preserve_access_index(&fs->pwd));
}

/*
 * gadget_get_exepath: the file that a task executes, NULL for a thread of the kernel;
 * else as get_path_str().
 */
static __always_inline char *gadget_get_exepath(struct task_struct *task)
{
	return gadget_get_path_of_file(BPF_CORE_READ(task, mm, exe_file));
}

/*
 * get_struct_file_for_fd: the current task's open file @fd, or NULL.  Any program
 * type that runs in the task's context.
 */
static __always_inline struct file *get_struct_file_for_fd(int fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(fdt, fd);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	return file;
}

/*
 * read_full_path_of_open_file_fd: the path of the current task's open file @fd.
 * @buf: @len bytes; those after the terminating zero are not changed
 *
 * Returns the length with the terminating zero, or a negative errno; then the
 * contents of @buf are undefined.
 */
static __always_inline long read_full_path_of_open_file_fd(int fd, char *buf,
							   __u32 len)
{
	struct file *file = get_struct_file_for_fd(fd);
	char *path;

	if (!file)
		return -9; /* EBADF */
	path = gadget_get_path_of_file(file);
	if (!path)
		return -2; /* ENOENT */
	return bpf_probe_read_kernel_str(buf, len, path);
}

/* From the kernel's headers, which BTF doesn't have: the part of a mode that tells
 * what a file is. */
#define __GADGET_S_IFMT 0170000

/* gadget_get_file_mode: type and permissions of an open file, as in st_mode. */
static __always_inline gadget_file_mode gadget_get_file_mode(struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_mode);
}

/*
 * gadget_get_file_type: the type of an open file: S_IFREG, S_IFDIR and so on; 0 for
 * files that have no type outside of the kernel: epoll, eventfd, BPF maps, ...
 */
static __always_inline __u32 gadget_get_file_type(struct file *file)
{
	return gadget_get_file_mode(file) & __GADGET_S_IFMT;
}

#define __GADGET_OVERLAYFS_MAGIC 0x794c7630

/* A CO-RE flavour: the loader ignores "___" and everything after it in the name. */
struct ovl_inode___gadget {
	struct inode vfs_inode;
	struct dentry *__upperdentry;
} __attribute__((preserve_access_index));

/* gadget_is_on_overlay: whether an inode belongs to an overlay. */
static __always_inline bool gadget_is_on_overlay(struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_magic) == __GADGET_OVERLAYFS_MAGIC;
}

/*
 * gadget_get_upper_dentry: the directory entry in the upper layer of an overlay of a file
 * that was made or changed in the overlay; NULL for an unchanged file of the lower layers,
 * and for a file that is on no overlay.
 * @inode: the overlay's inode, in the kernel
 *
 * The upper layer's entry follows the inode in the struct that the file system puts
 * around it.  If that is a module, the kernel's types don't have the struct.
 */
static __always_inline struct dentry *
gadget_get_upper_dentry(struct inode *inode)
{
	struct dentry *upper = NULL;
	__u64 off;

	if (!gadget_is_on_overlay(inode))
		return NULL;
	if (bpf_core_type_exists(struct ovl_inode___gadget))
		off = bpf_core_field_offset(struct ovl_inode___gadget,
					    __upperdentry) -
		      bpf_core_field_offset(struct ovl_inode___gadget,
					    vfs_inode);
	else
		off = bpf_core_type_size(struct inode);
	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + off);
	return upper;
}

/*
 * gadget_is_in_upper_layer: whether a file on an overlay was made or changed there: in
 * a container, whether it is not as its image has it.
 */
static __always_inline bool gadget_is_in_upper_layer(struct inode *inode)
{
	return gadget_get_upper_dentry(inode) != NULL;
}

#endif /* __GADGET_FILESYSTEM_H */
