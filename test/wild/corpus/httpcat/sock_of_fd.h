// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#pragma once

/* The struct sock behind a descriptor of the current task. */
static __always_inline struct sock *sock_of_fd(__u32 fd, __u64 *inode)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct file **table = BPF_CORE_READ(task, files, fdt, fd);
	struct socket *socket;
	struct file *file;
	__u16 mode;

	if (!table)
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), &table[fd]) || !file)
		return NULL;
	mode = BPF_CORE_READ(file, f_inode, i_mode);
	if ((mode & 0170000) != 0140000)
		return NULL;
	*inode = BPF_CORE_READ(file, f_inode, i_ino);
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}
