// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports when the kernel asks its security modules.
 *
 * Each hook has a program, which is loaded if the user asks for it.  All return
 * 0, which is no decision.  The kernel goes on to the next program then, and at
 * last to its own function for the hook, whose result is not 0 for all; and after
 * a program that has decided, ours are not called.
 */

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

/*
 * The hooks of Linux 6.1 and 6.18.  To add a hook of another kernel, add a line here
 * and one in gadget.yaml.
 */
/* clang-format off */
#define FOR_EACH_HOOK(F) \
	F(audit_rule_free) \
	F(audit_rule_init) \
	F(audit_rule_known) \
	F(audit_rule_match) \
	F(backing_file_alloc) \
	F(backing_file_free) \
	F(bdev_alloc_security) \
	F(bdev_free_security) \
	F(bdev_setintegrity) \
	F(binder_set_context_mgr) \
	F(binder_transaction) \
	F(binder_transfer_binder) \
	F(binder_transfer_file) \
	F(bpf) \
	F(bpf_map) \
	F(bpf_map_alloc_security) \
	F(bpf_map_create) \
	F(bpf_map_free) \
	F(bpf_map_free_security) \
	F(bpf_prog) \
	F(bpf_prog_alloc_security) \
	F(bpf_prog_free) \
	F(bpf_prog_free_security) \
	F(bpf_prog_load) \
	F(bpf_token_capable) \
	F(bpf_token_cmd) \
	F(bpf_token_create) \
	F(bpf_token_free) \
	F(bprm_check_security) \
	F(bprm_committed_creds) \
	F(bprm_committing_creds) \
	F(bprm_creds_for_exec) \
	F(bprm_creds_from_file) \
	F(capable) \
	F(capget) \
	F(capset) \
	F(cred_alloc_blank) \
	F(cred_free) \
	F(cred_getlsmprop) \
	F(cred_getsecid) \
	F(cred_prepare) \
	F(cred_transfer) \
	F(current_getlsmprop_subj) \
	F(current_getsecid_subj) \
	F(d_instantiate) \
	F(dentry_create_files_as) \
	F(dentry_init_security) \
	F(file_alloc_security) \
	F(file_fcntl) \
	F(file_free_security) \
	F(file_ioctl) \
	F(file_ioctl_compat) \
	F(file_lock) \
	F(file_mprotect) \
	F(file_open) \
	F(file_permission) \
	F(file_post_open) \
	F(file_receive) \
	F(file_release) \
	F(file_send_sigiotask) \
	F(file_set_fowner) \
	F(file_truncate) \
	F(fs_context_dup) \
	F(fs_context_parse_param) \
	F(fs_context_submount) \
	F(getprocattr) \
	F(getselfattr) \
	F(inet_conn_established) \
	F(inet_conn_request) \
	F(inet_csk_clone) \
	F(inode_alloc_security) \
	F(inode_copy_up) \
	F(inode_copy_up_xattr) \
	F(inode_create) \
	F(inode_file_getattr) \
	F(inode_file_setattr) \
	F(inode_follow_link) \
	F(inode_free_security) \
	F(inode_free_security_rcu) \
	F(inode_get_acl) \
	F(inode_getattr) \
	F(inode_getlsmprop) \
	F(inode_getsecctx) \
	F(inode_getsecid) \
	F(inode_getsecurity) \
	F(inode_getxattr) \
	F(inode_init_security) \
	F(inode_init_security_anon) \
	F(inode_invalidate_secctx) \
	F(inode_killpriv) \
	F(inode_link) \
	F(inode_listsecurity) \
	F(inode_listxattr) \
	F(inode_mkdir) \
	F(inode_mknod) \
	F(inode_need_killpriv) \
	F(inode_notifysecctx) \
	F(inode_permission) \
	F(inode_post_create_tmpfile) \
	F(inode_post_remove_acl) \
	F(inode_post_removexattr) \
	F(inode_post_set_acl) \
	F(inode_post_setattr) \
	F(inode_post_setxattr) \
	F(inode_readlink) \
	F(inode_remove_acl) \
	F(inode_removexattr) \
	F(inode_rename) \
	F(inode_rmdir) \
	F(inode_set_acl) \
	F(inode_setattr) \
	F(inode_setintegrity) \
	F(inode_setsecctx) \
	F(inode_setsecurity) \
	F(inode_setxattr) \
	F(inode_symlink) \
	F(inode_unlink) \
	F(inode_xattr_skipcap) \
	F(ipc_getlsmprop) \
	F(ipc_getsecid) \
	F(ipc_permission) \
	F(ismaclabel) \
	F(kernel_act_as) \
	F(kernel_create_files_as) \
	F(kernel_load_data) \
	F(kernel_module_request) \
	F(kernel_post_load_data) \
	F(kernel_post_read_file) \
	F(kernel_read_file) \
	F(kernfs_init_security) \
	F(key_alloc) \
	F(key_free) \
	F(key_getsecurity) \
	F(key_permission) \
	F(key_post_create_or_update) \
	F(locked_down) \
	F(lsmprop_to_secctx) \
	F(mmap_addr) \
	F(mmap_backing_file) \
	F(mmap_file) \
	F(move_mount) \
	F(mptcp_add_subflow) \
	F(msg_msg_alloc_security) \
	F(msg_msg_free_security) \
	F(msg_queue_alloc_security) \
	F(msg_queue_associate) \
	F(msg_queue_free_security) \
	F(msg_queue_msgctl) \
	F(msg_queue_msgrcv) \
	F(msg_queue_msgsnd) \
	F(netlink_send) \
	F(path_chmod) \
	F(path_chown) \
	F(path_chroot) \
	F(path_link) \
	F(path_mkdir) \
	F(path_mknod) \
	F(path_notify) \
	F(path_post_mknod) \
	F(path_rename) \
	F(path_rmdir) \
	F(path_symlink) \
	F(path_truncate) \
	F(path_unlink) \
	F(perf_event_alloc) \
	F(perf_event_free) \
	F(perf_event_open) \
	F(perf_event_read) \
	F(perf_event_write) \
	F(ptrace_access_check) \
	F(ptrace_traceme) \
	F(quota_on) \
	F(quotactl) \
	F(release_secctx) \
	F(req_classify_flow) \
	F(sb_alloc_security) \
	F(sb_clone_mnt_opts) \
	F(sb_delete) \
	F(sb_eat_lsm_opts) \
	F(sb_free_mnt_opts) \
	F(sb_free_security) \
	F(sb_kern_mount) \
	F(sb_mnt_opts_compat) \
	F(sb_mount) \
	F(sb_pivotroot) \
	F(sb_remount) \
	F(sb_set_mnt_opts) \
	F(sb_show_options) \
	F(sb_statfs) \
	F(sb_umount) \
	F(sctp_assoc_established) \
	F(sctp_assoc_request) \
	F(sctp_bind_connect) \
	F(sctp_sk_clone) \
	F(secctx_to_secid) \
	F(secid_to_secctx) \
	F(secmark_refcount_dec) \
	F(secmark_refcount_inc) \
	F(secmark_relabel_packet) \
	F(sem_alloc_security) \
	F(sem_associate) \
	F(sem_free_security) \
	F(sem_semctl) \
	F(sem_semop) \
	F(setprocattr) \
	F(setselfattr) \
	F(settime) \
	F(shm_alloc_security) \
	F(shm_associate) \
	F(shm_free_security) \
	F(shm_shmat) \
	F(shm_shmctl) \
	F(sk_alloc_security) \
	F(sk_clone_security) \
	F(sk_free_security) \
	F(sk_getsecid) \
	F(sock_graft) \
	F(socket_accept) \
	F(socket_bind) \
	F(socket_connect) \
	F(socket_create) \
	F(socket_getpeername) \
	F(socket_getpeersec_dgram) \
	F(socket_getpeersec_stream) \
	F(socket_getsockname) \
	F(socket_getsockopt) \
	F(socket_listen) \
	F(socket_post_create) \
	F(socket_recvmsg) \
	F(socket_sendmsg) \
	F(socket_setsockopt) \
	F(socket_shutdown) \
	F(socket_sock_rcv_skb) \
	F(socket_socketpair) \
	F(syslog) \
	F(task_alloc) \
	F(task_fix_setgid) \
	F(task_fix_setgroups) \
	F(task_fix_setuid) \
	F(task_free) \
	F(task_getioprio) \
	F(task_getlsmprop_obj) \
	F(task_getpgid) \
	F(task_getscheduler) \
	F(task_getsecid_obj) \
	F(task_getsid) \
	F(task_kill) \
	F(task_movememory) \
	F(task_prctl) \
	F(task_prlimit) \
	F(task_setioprio) \
	F(task_setnice) \
	F(task_setpgid) \
	F(task_setrlimit) \
	F(task_setscheduler) \
	F(task_to_inode) \
	F(tun_dev_alloc_security) \
	F(tun_dev_attach) \
	F(tun_dev_attach_queue) \
	F(tun_dev_create) \
	F(tun_dev_free_security) \
	F(tun_dev_open) \
	F(unix_may_send) \
	F(unix_stream_connect) \
	F(uring_allowed) \
	F(uring_cmd) \
	F(uring_override_creds) \
	F(uring_sqpoll) \
	F(userns_create) \
	F(vm_enough_memory) \
	F(xfrm_decode_session) \
	F(xfrm_policy_alloc_security) \
	F(xfrm_policy_clone_security) \
	F(xfrm_policy_delete_security) \
	F(xfrm_policy_free_security) \
	F(xfrm_policy_lookup) \
	F(xfrm_state_alloc) \
	F(xfrm_state_alloc_acquire) \
	F(xfrm_state_delete_security) \
	F(xfrm_state_free_security) \
	F(xfrm_state_pol_flow_match)
/* clang-format on */

#define ENUMERATOR(hook) hook,

enum lsm_tracepoint { FOR_EACH_HOOK(ENUMERATOR) };

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	enum lsm_tracepoint tracepoint_raw;
	__u32 __padding;
};

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(lsm, events, event);

static __noinline void report(void *ctx, enum lsm_tracepoint hook)
{
	struct event *event;

	if (gadget_should_discard_data_current())
		return;
	event = gadget_reserve_buf(&events, sizeof(*event));
	if (!event)
		return;
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->tracepoint_raw = hook;
	event->__padding = 0;
	gadget_submit_buf(ctx, &events, event, sizeof(*event));
}

const volatile bool trace_all = false;
GADGET_PARAM(trace_all);

#define PROGRAM(hook)                             \
	const volatile bool trace_##hook = false; \
	GADGET_PARAM(trace_##hook);               \
                                                  \
	SEC("lsm/" #hook)                         \
	int lsm_##hook(void *ctx)                 \
	{                                         \
		report(ctx, hook);                \
		return 0;                         \
	}                                         \
	GADGET_LOAD_IF(lsm_##hook, trace_##hook)  \
	GADGET_TRY_IF(lsm_##hook, trace_all)

FOR_EACH_HOOK(PROGRAM)

char LICENSE[] SEC("license") = "GPL";
