/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef __GADGET_FILTER_H
#define __GADGET_FILTER_H

/*
 * Filters by process and by container.  Including this gives a gadget the
 * parameters --pid, --tid, --uid, --gid and --comm.
 *
 * A filter that isn't set costs one load: its value is known when the program is
 * loaded, and the verifier removes the rest.  Filter first of all: an event that is
 * discarded should cost as little as possible.
 */

#include <gadget/base.h>
#include <bpf/bpf_helpers.h>
#include <gadget/macros.h>
#include <gadget/types.h>
#include <gadget/mntns.h>
#include <gadget/mntns_filter.h>

#define __GADGET_ANY_ID (~0U) /* not set */

const volatile gadget_pid targ_pid = 0;
const volatile gadget_tid targ_tid = 0;
const volatile gadget_uid targ_uid = __GADGET_ANY_ID;
const volatile gadget_gid targ_gid = __GADGET_ANY_ID;
const volatile gadget_comm targ_comm[TASK_COMM_LEN] = {};

GADGET_PARAM(targ_pid);
GADGET_PARAM(targ_tid);
GADGET_PARAM(targ_uid);
GADGET_PARAM(targ_gid);
GADGET_PARAM(targ_comm);

/*
 * gadget_should_discard_{pid,tid,uid,gid}: true if the user's filter excludes the value.
 * Any program type.  Costs one comparison.
 */
static __always_inline bool gadget_should_discard_pid(gadget_pid pid)
{
	return targ_pid != 0 && targ_pid != pid;
}

static __always_inline bool gadget_should_discard_tid(gadget_tid tid)
{
	return targ_tid != 0 && targ_tid != tid;
}

static __always_inline bool gadget_should_discard_uid(gadget_uid uid)
{
	return targ_uid != __GADGET_ANY_ID && targ_uid != uid;
}

static __always_inline bool gadget_should_discard_gid(gadget_gid gid)
{
	return targ_gid != __GADGET_ANY_ID && targ_gid != gid;
}

/*
 * gadget_should_discard_comm: true if the user's filter excludes the name.
 * @comm: a name that ends in a zero byte or fills the array
 *
 * Any program type.  Compares byte by byte, because most names differ in the first, and
 * the comparisons after the end of the filter's name are dead code for the verifier.
 */
static __always_inline bool
gadget_should_discard_comm(const gadget_comm comm[TASK_COMM_LEN])
{
	if (targ_comm[0] == '\0')
		return false;
#pragma unroll
	for (int i = 0; i < TASK_COMM_LEN; i++) {
		char want = targ_comm[i];

		if (comm[i] != want)
			return true;
		if (want == '\0')
			break;
	}
	return false;
}

/* True if there is a filter of processes. */
static __always_inline bool __gadget_should_discard_unknown(void)
{
	return gadget_should_discard_pid(0) || gadget_should_discard_tid(0) ||
	       gadget_should_discard_uid(__GADGET_ANY_ID) ||
	       gadget_should_discard_gid(__GADGET_ANY_ID) ||
	       gadget_should_discard_comm("");
}

/*
 * gadget_should_discard_data: true if the user's filters exclude an event with these
 * fields.  Any program type.
 */
static __always_inline bool gadget_should_discard_data(
	gadget_mntns_id mntns_id, gadget_pid pid, gadget_tid tid,
	const gadget_comm comm[TASK_COMM_LEN], gadget_uid uid, gadget_gid gid)
{
	return gadget_should_discard_pid(pid) ||
	       gadget_should_discard_tid(tid) ||
	       gadget_should_discard_uid(uid) ||
	       gadget_should_discard_gid(gid) ||
	       gadget_should_discard_comm(comm) ||
	       gadget_should_discard_mntns_id(mntns_id);
}

/* gadget_should_discard_process: the same for the process of an event. */
static __always_inline bool
gadget_should_discard_process(const struct gadget_process *proc)
{
	return gadget_should_discard_data(proc->mntns_id, proc->pid, proc->tid,
					  proc->comm, proc->creds.uid,
					  proc->creds.gid);
}

#ifndef __GADGET_USER_TYPES

static __always_inline bool __gadget_should_discard_current_ids(void)
{
	__u64 id;

	if (targ_pid != 0 || targ_tid != 0) {
		id = bpf_get_current_pid_tgid();
		if (gadget_should_discard_pid(id >> 32) ||
		    gadget_should_discard_tid((__u32)id))
			return true;
	}
	if (targ_uid != __GADGET_ANY_ID || targ_gid != __GADGET_ANY_ID) {
		id = bpf_get_current_uid_gid();
		if (gadget_should_discard_uid((__u32)id) ||
		    gadget_should_discard_gid(id >> 32))
			return true;
	}
	return false;
}

/*
 * gadget_should_discard_data_current: true if the user's filters exclude the current
 * process.  Reads only what the filters that are set need, cheap
 * things first.  Program types: those of gadget_get_current_mntns_id().
 */
static __always_inline bool gadget_should_discard_data_current(void)
{
	if (__gadget_should_discard_current_ids())
		return true;
	if (targ_comm[0] != '\0') {
		gadget_comm comm[TASK_COMM_LEN];

		bpf_get_current_comm(comm, sizeof(comm));
		if (gadget_should_discard_comm(comm))
			return true;
	}
	return gadget_filter_by_mntns &&
	       gadget_should_discard_mntns_id(gadget_get_current_mntns_id());
}

#endif /* !__GADGET_USER_TYPES */

/*
 * gadget_should_discard_data_by_skb: true if the user's filters exclude a socket's
 * owner.
 * @skb_val: of gadget_socket_lookup(); NULL, an unknown owner, passes no filter of
 *           processes.  It passes that of containers: user space finds the container
 *           of an event by its field of type gadget_netns_id, if it has one.
 *
 * A macro, so that gadgets that don't use it needn't include sockets-map.h, and others
 * may include it before or after this header.
 */
#define gadget_should_discard_data_by_skb(skb_val)                           \
	({                                                                   \
		const __typeof__(*(skb_val)) *__skb_val = (skb_val);         \
		__skb_val ?                                                  \
			gadget_should_discard_data(                          \
				__skb_val->mntns, __skb_val->pid_tgid >> 32, \
				(__u32)__skb_val->pid_tgid, __skb_val->task, \
				(__u32)__skb_val->uid_gid,                   \
				__skb_val->uid_gid >> 32) :                  \
			__gadget_should_discard_unknown();                   \
	})

#endif /* __GADGET_FILTER_H */
