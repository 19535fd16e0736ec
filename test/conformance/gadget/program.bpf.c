// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Records that user space makes up.  The call
 *
 *	prctl(magic, record, length, which)
 *
 * which fails, sends length bytes at record to the data source all, or to tail
 * if which is not 0.  So the tests know each byte that they read.
 */

/*
 * gizmo prefers the kernel's definition of an enum over the object's: this enum has
 * another definition here than in vmlinux.h, whose enum gets another name.
 */
#define pid_type __vmlinux_pid_type
#include <vmlinux.h>
#undef pid_type

enum pid_type {
	OBJECT_PID = 0,
	OBJECT_TGID = 1,
	OBJECT_PGID = 2,
	OBJECT_SID = 3,
	OBJECT_ONLY = 77,
};

#include <bpf/bpf_helpers.h>
#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/macros.h>
#include <gadget/types.h>

enum conf_color {
	CONF_RED = 1,
	CONF_GREEN = 2,
	CONF_VERDE = 2,
	CONF_FAR = 1000000,
};

enum conf_level {
	CONF_LOWEST = -0x7fffffff - 1,
	CONF_LOW = -1,
	CONF_EVEN = 0,
	CONF_HIGH = 7,
};

enum conf_perm_set {
	CONF_X = 1,
	CONF_W = 2,
	CONF_R = 4,
	CONF_RW = 6,
	CONF_TOP = 0x80000000,
};

enum conf_named_set {
	CONF_NOTHING = 0,
	CONF_ONE = 1,
};

enum conf_big {
	CONF_BIG = 0x8000000000000000ULL,
	CONF_SMALL = 3,
};

union conf_either {
	__u32 word;
	__u8 octets[4];
};

struct conf_inner {
	__u16 a;
	__u16 __gap;
	union conf_either u;
	struct {
		__s8 value;
	} deep;
	__u8 after[3];
};

typedef enum conf_color conf_color_t;
typedef gadget_errno conf_errno_t;
typedef __u8 conf_mac_t[6];

/* An endpoint as objects built elsewhere declare it. */
typedef struct {
	union gadget_ip_addr_t addr_raw;
	__u16 port;
	__u16 proto_raw;
	__u8 version;
} gadget_l4endpoint_t;

/* One field of every kind and type.  Its mirror is record in record_test.go. */
struct event {
	unsigned __int128 u128;
	__int128 i128;
	__u64 u64;
	__s64 i64;
	__u32 u32;
	__s32 i32;
	__u16 u16;
	__s16 i16;
	__u8 u8;
	__s8 i8;
	bool yes;
	char letter;
	double f64;
	float f32;
	__u32 __private;
	void *ptr;

	__u16 u16s[4];
	__s32 i32s[2];
	double f64s[2];
	__u8 bytes[6];
	bool bools[2];
	char text[24];
	__s8 i8s[4];
	float f32s[1];
	__u32 grid[2][2];
	unsigned __int128 u128s[1];

	__u32 low : 3;
	__s32 minus : 5;
	__u32 : 2;
	__u32 across : 12;
	bool bit : 1;
	enum conf_color painted_raw : 3;
	__u32 seq;
	__u64 wide : 40;
	__s64 high : 24;

	struct {
		__u32 anon_a;
		union {
			__u32 anon_b;
			__s32 anon_c;
		};
	};
	struct conf_inner in;
	__u32 hex;

	enum conf_color color_raw;
	enum conf_color paint; /* target: hue */
	enum conf_level level_raw;
	enum conf_perm_set perm_raw;
	enum conf_named_set named_raw; /* separator: a comma */
	enum pid_type kernel_raw;
	enum conf_big big_raw;

	gadget_timestamp timestamp_raw;
	gadget_timestamp when_raw; /* format and target: moment */
	gadget_timestamp bare;
	gadget_errno error_raw;
	gadget_signal sig_raw;
	gadget_syscall syscall_raw;
	gadget_file_mode mode_raw;
	gadget_file_flags flags_raw;
	gadget_uid user_raw;
	gadget_gid group_raw;
	gadget_bytes size_raw;
	gadget_duration took_raw;
	gadget_netns_id netns_id;
	gadget_errno code; /* target: code_name */

	struct gadget_l3endpoint_t addr;
	struct gadget_l4endpoint_t src;
	gadget_l4endpoint_t dst;

	gadget_pid pid;
	gadget_tid tid;
	gadget_ppid ppid;
	gadget_ptid ptid;
	gadget_comm comm[TASK_COMM_LEN];
	gadget_pcomm pcomm[TASK_COMM_LEN];
	struct gadget_creds owner;
	struct gadget_parent maker;
	struct gadget_process proc;
	gadget_uid users_raw[2]; /* an array: gains nothing */
	__u32 rest_len;
	__u32 last;

	/* None of these gains a field for its elements. */
	enum conf_color palette[2];
	union conf_either mixed[2];
	gadget_timestamp stamps_raw[1];
	char names[2][4];

	int (*call)(void);
	const volatile __u16 fixed;
	char none[0];
	__u16 after_none;
	enum {
		CONF_OFF,
		CONF_ON,
	} state_raw;
	conf_color_t tint_raw;
	conf_mac_t mac;
	conf_errno_t chained_raw;
};

struct tail {
	__u32 seq;
	__u32 more;
};

const volatile __u32 magic = 0;
GADGET_PARAM(magic);

GADGET_TRACER_MAP(events, 1024 * 256);
GADGET_TRACER(all, events, event);

GADGET_TRACER_MAP(tails, 1024 * 256);
GADGET_TRACER(tail, tails, tail);

#define MAX_RECORD 4096

struct buffer {
	__u8 bytes[MAX_RECORD];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct buffer);
} buffers SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_prctl")
int conf_prctl(struct trace_event_raw_sys_enter *ctx)
{
	__u32 zero = 0;
	__u64 length = ctx->args[2];
	struct buffer *buf;

	if (!magic || (__u32)ctx->args[0] != magic)
		return 0;
	buf = bpf_map_lookup_elem(&buffers, &zero);
	if (!buf || length > MAX_RECORD)
		return 0;
	if (bpf_probe_read_user(buf->bytes, length, (void *)ctx->args[1]))
		return 0;
	if (ctx->args[3])
		gadget_output_buf(ctx, &tails, buf, length);
	else
		gadget_output_buf(ctx, &events, buf, length);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
