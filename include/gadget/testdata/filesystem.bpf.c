// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* filesystem.h: its results for the file descriptor args[0] of the calling process. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <gadget/filesystem.h>

struct text {
	char text[GADGET_PATH_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct text);
} path SEC(".maps");

/* 0xff is in no path, so bytes that are not written show. */
static __always_inline char *poisoned(void)
{
	__u32 zero = 0;
	struct text *text = bpf_map_lookup_elem(&path, &zero);

	if (!text)
		return NULL;
	__builtin_memset(text, 0xff, sizeof(*text));
	return text->text;
}

/* Returns the length with the terminating zero, or the error. */
static __always_inline int show(const char *str)
{
	char *to = poisoned();

	if (!to)
		return -1;
	if (!str)
		return -2;
	return bpf_probe_read_kernel_str(to, GADGET_PATH_MAX, str);
}

SEC("raw_tp/fd_path")
int fd_path(struct bpf_raw_tracepoint_args *ctx)
{
	char *to = poisoned();

	if (!to)
		return -1;
	return read_full_path_of_open_file_fd(ctx->args[0], to,
					      GADGET_PATH_MAX);
}

SEC("raw_tp/file_path")
int file_path(struct bpf_raw_tracepoint_args *ctx)
{
	return show(
		gadget_get_path_of_file(get_struct_file_for_fd(ctx->args[0])));
}

/* A copy of the path on the stack, as some have it. */
SEC("raw_tp/path_path")
int path_path(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);
	struct path on_stack;

	if (!file)
		return -3;
	on_stack = BPF_CORE_READ(file, f_path);
	return show(get_path_str(&on_stack));
}

SEC("raw_tp/dentry_path")
int dentry_path(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);

	return show(
		gadget_get_path_of_dentry(BPF_CORE_READ(file, f_path.dentry)));
}

SEC("raw_tp/cwd")
int cwd(void *ctx)
{
	return show(gadget_get_cwd((void *)bpf_get_current_task()));
}

SEC("raw_tp/exepath")
int exepath(void *ctx)
{
	return show(gadget_get_exepath((void *)bpf_get_current_task()));
}

SEC("raw_tp/mode")
int mode(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);

	return file ? gadget_get_file_mode(file) : 0;
}

SEC("raw_tp/type")
int type(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);

	return file ? gadget_get_file_type(file) : 0;
}

/* 1: on an overlay.  2: in its upper layer, whose entry's path is shown. */
SEC("raw_tp/upper")
int upper(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = get_struct_file_for_fd(ctx->args[0]);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	int is = gadget_is_on_overlay(inode);

	if (!gadget_is_in_upper_layer(inode))
		return is;
	show(gadget_get_path_of_dentry(gadget_get_upper_dentry(inode)));
	return is + 2;
}

char LICENSE[] SEC("license") = "GPL";
