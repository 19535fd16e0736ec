// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Reports what processes read and write through TLS libraries, in clear text, and
 * the operations of libcrypto.
 *
 * A call is known when it returns: how much was read, how long it took.  Its arguments
 * are kept with the thread until then.  A call is found again by its function and its
 * place on the stack, because calls nest (TLS inside of TLS, libcrypto inside of a
 * handshake), and because some programs switch stacks inside of a call.
 *
 * Data is read at the return, for writes, too: then the library has used it, so that
 * it is in memory.
 */

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Records of a length that isn't constant can't be reserved. */
#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/common.h>
#include <gadget/constants.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/syscalls.bpf.h>
#include <gadget/types.h>

enum operation {
	libssl_SSL_read,
	libssl_SSL_write,
	libssl_SSL_do_handshake,
	libgnutls_gnutls_record_send,
	libgnutls_gnutls_record_recv,
	libnss_PR_Write,
	libnss_PR_Send,
	libnss_PR_Read,
	libnss_PR_Recv,
	libssl_SSL_read_ex,
	libssl_SSL_write_ex,
	libcrypto_RSA_sign,
	libcrypto_RSA_verify,
	libcrypto_RSA_public_encrypt,
	libcrypto_RSA_public_decrypt,
	libcrypto_RSA_private_encrypt,
	libcrypto_RSA_private_decrypt,
	libcrypto_ECDSA_sign,
	libcrypto_ECDSA_verify,
	libcrypto_ECDH_compute_key,
};

#define BUF_MAX 8192

struct event {
	gadget_timestamp timestamp_raw;
	struct gadget_process proc;

	enum operation operation_raw;
	__s32 ret;
	gadget_duration latency_ns_raw;
	__u32 len;
	gadget_errno error_raw;
	__u32 buf_len;
	__u32 __padding;
	/* The data follows: trailing data with the name buf. */
};

const volatile bool record_data = true;
GADGET_PARAM(record_data);

const volatile bool socket_errors = true;
GADGET_PARAM(socket_errors);

GADGET_TRACER_MAP(events, 4 * 1024 * 1024);
GADGET_TRACER(ssl, events, event);

/* A call that has not returned yet. */
struct call {
	__u64 sp; /* the stack pointer after its return; 0: there is no call */
	__u64 started;
	__u64 buf;
	__u64 len_at; /* where the function stores the length; 0: it returns it */
	enum operation op;
	__u32 error; /* once it has returned */
};

/* A power of two.  A handshake nests three calls. */
#define CALLS 8

struct thread {
	struct call calls[CALLS];
	__u32 error; /* of the last operation on a socket; 0: it succeeded */
	__u32 __padding;
};

/* It ends with the thread, even if that is killed in a call. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* A record with data is too large for the stack. */
struct record {
	struct event event;
	char buf[BUF_MAX];
};

/*
 * Memory for such records while they are built, by thread.  It cannot be one for each CPU:
 * the kernel may preempt a program at a probe in user space, and run the same program for
 * another thread on the same CPU, which would put its data into the first one's record.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct record);
} records SEC(".maps");

/* What a record is before it is built. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} empty SEC(".maps");

#define EBUSY 16

#define GNUTLS_E_AGAIN	     -28
#define GNUTLS_E_INTERRUPTED -52

static __always_inline bool is_gnutls(enum operation op)
{
	return op == libgnutls_gnutls_record_send ||
	       op == libgnutls_gnutls_record_recv;
}

/* Whether a function uses a connection. */
static __always_inline bool is_tls_call(enum operation op)
{
	return op <= libssl_SSL_write_ex;
}

/* Whether a function moves data: all others only return whether they succeeded. */
static __always_inline bool moves_data(enum operation op)
{
	return is_tls_call(op) && op != libssl_SSL_do_handshake;
}

/*
 * Why a call did not succeed, if that is known.  The libraries have reasons of their own, and
 * only GnuTLS returns them.
 */
static __always_inline __u32 error_of(enum operation op, __s32 ret,
				      const struct thread *thread)
{
	if (ret > 0)
		return 0;
	if (is_gnutls(op) && ret == GNUTLS_E_AGAIN)
		return EAGAIN;
	if (is_gnutls(op) && ret == GNUTLS_E_INTERRUPTED)
		return EINTR;
	return is_tls_call(op) ? thread->error : 0;
}

/* Returns how many bytes a call has read or written. */
static __always_inline __u32 len_of(const struct call *call, __s32 ret)
{
	__u64 len = 0;

	if (ret <= 0 || !moves_data(call->op))
		return 0;
	if (!call->len_at)
		return ret;
	if (bpf_probe_read_user(&len, sizeof(len), (void *)call->len_at))
		return 0;
	return len;
}

/* The stack pointer that a function leaves behind, at its entry. */
static __always_inline __u64 sp_after(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return PT_REGS_SP(ctx) + 8; /* without the return address */
#else
	return PT_REGS_SP(ctx);
#endif
}

static __always_inline bool is_call(const struct call *call, enum operation op,
				    __u64 sp)
{
	return call->sp == sp && call->op == op;
}

/*
 * The place for a new call: that of a call which was at the same place of the stack, and so has
 * ended unseen; or a free one; or that of the oldest call.
 */
static __always_inline struct call *new_call(struct thread *thread,
					     enum operation op, __u64 sp)
{
	__u64 first = ~0ULL, started;
	__u32 place = 0;

	for (__u32 i = 0; i < CALLS; i++) {
		struct call *call = &thread->calls[i];

		if (is_call(call, op, sp)) {
			place = i;
			break;
		}
		started = call->sp ? call->started : 0;
		if (started < first) {
			first = started;
			place = i;
		}
	}
	return &thread->calls[place & (CALLS - 1)];
}

/* Keeps a call until it returns. */
static __always_inline int begin(struct pt_regs *ctx, enum operation op,
				 __u64 buf, __u64 len_at)
{
	struct thread *thread;
	struct call *call;
	__u64 sp = sp_after(ctx);

	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(),
				      NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		gadget_count_lost(events);
		return 0;
	}
	call = new_call(thread, op, sp);
	call->sp = sp;
	call->started = bpf_ktime_get_ns();
	call->buf = buf;
	call->len_at = len_at;
	call->op = op;
	if (is_tls_call(op))
		thread->error = 0;
	return 0;
}

/*
 * Ends a call.  False if its begin was not seen.
 * @ret:   what the function returns
 * @ended: gets the call
 */
static __always_inline bool end_call(struct pt_regs *ctx, enum operation op,
				     __s32 ret, struct call *ended)
{
	struct thread *thread = bpf_task_storage_get(
		&threads, bpf_get_current_task_btf(), NULL, 0);

	if (!thread)
		return false;
	for (__u32 i = 0; i < CALLS; i++) {
		struct call *call = &thread->calls[i];

		if (is_call(call, op, PT_REGS_SP(ctx))) {
			*ended = *call;
			ended->op = op; /* a constant again */
			ended->error = error_of(op, ret, thread);
			call->sp = 0;
			return true;
		}
	}
	return false;
}

static __always_inline void fill(struct event *event, const struct call *call,
				 __s32 ret, __u32 len)
{
	event->timestamp_raw = bpf_ktime_get_boot_ns();
	gadget_process_populate(&event->proc);
	event->operation_raw = call->op;
	event->ret = ret;
	event->latency_ns_raw = bpf_ktime_get_ns() - call->started;
	event->len = len;
	event->error_raw = call->error;
	event->buf_len = 0;
	event->__padding = 0;
}

static __noinline int report_without_data(void *ctx, const struct call *call,
					  __s32 ret, __u32 len)
{
	struct event event;

	if (!call)
		return 0;
	fill(&event, call, ret, len);
	gadget_output_buf(ctx, &events, &event, sizeof(event));
	return 0;
}

static __always_inline void report_record(void *ctx, struct record *record,
					  const struct call *call, __s32 ret,
					  __u32 len)
{
	__u64 size = len;

	fill(&record->event, call, ret, len);
	if (size > BUF_MAX)
		size = BUF_MAX;
	barrier_var(size); /* the checked register is the one used below */
	if (size > BUF_MAX ||
	    bpf_probe_read_user(record->buf, size, (void *)call->buf))
		size = 0;
	record->event.buf_len = size;
	gadget_output_buf(ctx, &events, record, sizeof(record->event) + size);
}

static __noinline int report_with_data(void *ctx, const struct call *call,
				       __s32 ret, __u32 len)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct record *record;
	__u32 zero = 0;

	record = bpf_map_lookup_elem(&empty, &zero);
	if (!call || !record)
		return 0;
	bpf_map_update_elem(&records, &thread, record, BPF_ANY);
	record = bpf_map_lookup_elem(&records, &thread);
	if (!record) {
		gadget_count_lost(events);
		return 0;
	}
	report_record(ctx, record, call, ret, len);
	bpf_map_delete_elem(&records, &thread);
	return 0;
}

static __always_inline int end(struct pt_regs *ctx, enum operation op)
{
	__s32 ret = PT_REGS_RC(ctx);
	struct call call;
	__u32 len;

	if (!end_call(ctx, op, ret, &call))
		return 0;
	len = len_of(&call, ret);
	if (record_data && len)
		return report_with_data(ctx, &call, ret, len);
	return report_without_data(ctx, &call, ret, len);
}

#define ON_RETURN(name, function, op)     \
	SEC("uretprobe/" function)        \
	int name##_x(struct pt_regs *ctx) \
	{                                 \
		return end(ctx, op);      \
	}

#define TRACE(name, function, op, buf, len_at)            \
	SEC("uprobe/" function)                           \
	int name##_e(struct pt_regs *ctx)                 \
	{                                                 \
		if (gadget_should_discard_data_current()) \
			return 0;                         \
		return begin(ctx, op, buf, len_at);       \
	}                                                 \
	ON_RETURN(name, function, op)

TRACE(ssl_read, "libssl:SSL_read", libssl_SSL_read, PT_REGS_PARM2(ctx), 0)
TRACE(ssl_write, "libssl:SSL_write", libssl_SSL_write, PT_REGS_PARM2(ctx), 0)
TRACE(ssl_read_ex, "libssl:SSL_read_ex", libssl_SSL_read_ex, PT_REGS_PARM2(ctx),
      PT_REGS_PARM4(ctx))
TRACE(ssl_write_ex, "libssl:SSL_write_ex", libssl_SSL_write_ex,
      PT_REGS_PARM2(ctx), PT_REGS_PARM4(ctx))
TRACE(ssl_handshake, "libssl:SSL_do_handshake", libssl_SSL_do_handshake, 0, 0)

TRACE(gnutls_send, "libgnutls:gnutls_record_send", libgnutls_gnutls_record_send,
      PT_REGS_PARM2(ctx), 0)
TRACE(gnutls_recv, "libgnutls:gnutls_record_recv", libgnutls_gnutls_record_recv,
      PT_REGS_PARM2(ctx), 0)

/*
 * The functions of libcrypto that TLS and programs call: those behind them have no names
 * in the libraries that distributions ship.  ECDSA_sign() calls ECDSA_sign_ex(), as TLS does.
 */
TRACE(rsa_sign, "libcrypto:RSA_sign", libcrypto_RSA_sign, 0, 0)
TRACE(rsa_verify, "libcrypto:RSA_verify", libcrypto_RSA_verify, 0, 0)
TRACE(rsa_pub_enc, "libcrypto:RSA_public_encrypt", libcrypto_RSA_public_encrypt,
      0, 0)
TRACE(rsa_pub_dec, "libcrypto:RSA_public_decrypt", libcrypto_RSA_public_decrypt,
      0, 0)
TRACE(rsa_priv_enc, "libcrypto:RSA_private_encrypt",
      libcrypto_RSA_private_encrypt, 0, 0)
TRACE(rsa_priv_dec, "libcrypto:RSA_private_decrypt",
      libcrypto_RSA_private_decrypt, 0, 0)
TRACE(ecdsa_sign, "libcrypto:ECDSA_sign_ex", libcrypto_ECDSA_sign, 0, 0)
TRACE(ecdsa_verify, "libcrypto:ECDSA_verify", libcrypto_ECDSA_verify, 0, 0)
TRACE(ecdh, "libcrypto:ECDH_compute_key", libcrypto_ECDH_compute_key, 0, 0)

/*
 * NSS has no functions of its own for data: programs call those of NSPR, which are
 * for descriptors of all kinds.  A descriptor is a stack of layers, each with its table of
 * functions; the layer of TLS has those of libssl3.
 */
struct pr_methods {
	__u32 file_type;
	__u32 __padding;
	__u64 close;
	__u64 read;
};

struct pr_file_desc {
	__u64 methods;
	__u64 secret;
	__u64 lower;
};

#define PR_DESC_LAYERED 4
#define PR_LAYERS	8

/* The beginning of a file's name. */
union name {
	char text[8];
	__u64 word;
};

static long check_library(struct task_struct *task, struct vm_area_struct *vma,
			  bool *is_libssl3)
{
	const union name want = {"libssl3."};
	union name name = {};

	bpf_probe_read_kernel(
		&name, sizeof(name),
		BPF_CORE_READ(vma, vm_file, f_path.dentry, d_name.name));
	*is_libssl3 = name.word == want.word;
	return 0;
}

/*
 * Whether a function is libssl3's.  Also true if the kernel cannot say at the moment: most
 * layers are those of TLS.
 */
static __always_inline bool is_of_libssl3(__u64 function)
{
	bool is_libssl3 = false;

	return bpf_find_vma(bpf_get_current_task_btf(), function, check_library,
			    &is_libssl3, 0) == -EBUSY ||
	       is_libssl3;
}

static __noinline bool is_tls(__u64 fd)
{
	struct pr_file_desc desc = {};
	struct pr_methods methods = {};

	for (int i = 0; i < PR_LAYERS; i++) {
		if (bpf_probe_read_user(&desc, sizeof(desc), (void *)fd) ||
		    bpf_probe_read_user(&methods, sizeof(methods),
					(void *)desc.methods) ||
		    methods.file_type != PR_DESC_LAYERED)
			return false;
		if (is_of_libssl3(methods.read))
			return true;
		fd = desc.lower;
	}
	return false;
}

#define TRACE_PR(name, function, op)                          \
	SEC("uprobe/libnspr4:" function)                      \
	int name##_e(struct pt_regs *ctx)                     \
	{                                                     \
		if (gadget_should_discard_data_current() ||   \
		    !is_tls(PT_REGS_PARM1(ctx)))              \
			return 0;                             \
		return begin(ctx, op, PT_REGS_PARM2(ctx), 0); \
	}                                                     \
	ON_RETURN(name, "libnspr4:" function, op)

TRACE_PR(pr_write, "PR_Write", libnss_PR_Write)
TRACE_PR(pr_send, "PR_Send", libnss_PR_Send)
TRACE_PR(pr_read, "PR_Read", libnss_PR_Read)
TRACE_PR(pr_recv, "PR_Recv", libnss_PR_Recv)

/*
 * What the kernel answered the library.  The tracepoints came with Linux 6.3; before, the
 * gadget does without.
 */
static __always_inline int note_socket(int ret)
{
	struct thread *thread = bpf_task_storage_get(
		&threads, bpf_get_current_task_btf(), NULL, 0);

	if (thread)
		thread->error = gadget_error_of(ret);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_recv, struct sock *sk, int ret)
{
	return note_socket(ret);
}
GADGET_TRY_IF(socket_recv, socket_errors)

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_send, struct sock *sk, int ret)
{
	return note_socket(ret);
}
GADGET_TRY_IF(socket_send, socket_errors)

char LICENSE[] SEC("license") = "GPL";
