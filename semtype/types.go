// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Types returns the table of enriched types. Enums are not in it: they are recognized by their kind, not by
// name, and [Apply] handles them.
func Types() []Type {
	return []Type{
		timestampType(),
		signalType(),
		errnoType(),
		syscallType(),
		fileModeType(),
		fileFlagsType(),
		uidType(),
		gidType(),
		bytesType(),
		durationType(),
		l3EndpointType(),
		l4EndpointType(),
		packetTypeType(),
		linkTypeType(),
		processType(),
		credsType(),
		parentType(),
		{CName: "gadget_comm", On: "char", Template: "comm", Doc: "The name of a process: `gadget_comm comm[16]`."},
		{CName: "gadget_pcomm", On: "char", Template: "pcomm", Doc: "The name of the parent process: `gadget_pcomm pcomm[16]`."},
		{CName: "gadget_pid", On: "__u32", Template: "pid", Doc: "The id of a process."},
		{CName: "gadget_tid", On: "__u32", Template: "tid", Doc: "The id of a thread."},
		{CName: "gadget_ppid", On: "__u32", Template: "ppid", Doc: "The id of the parent process."},
		{CName: "gadget_ptid", On: "__u32", Template: "ptid", Doc: "The id of the parent's thread."},
		{CName: "gadget_mntns_id", On: "__u64", Template: "mntns_id",
			Doc: "The inode of a mount namespace, by which the container is found."},
		{CName: "gadget_netns_id", On: "__u32", Template: "netns_id",
			Doc: "The inode of a network namespace, by which the container is found."},
		{CName: "gadget_user_stack", On: "struct", Template: "user_stack", Doc: "A stack of a process.",
			Adds:   "No field. Its members are hidden in columns.",
			Extend: func(s *event.Schema, i int, _ *Env) { hideMembers(s, i) }},
		{CName: "gadget_kernel_stack", On: "__u32", Doc: "The id of a stack of the kernel.",
			Adds: "No field. It is hidden in columns if its name ends in `_raw`.",
			Extend: func(s *event.Schema, i int, _ *Env) {
				s.Fields[i].Ann.Columns.Hidden = strings.HasSuffix(s.Fields[i].Name, "_raw")
			}},
	}
}

// enumTypes are the rows of enums, which have no type name, for documentation.
func enumTypes() []Type {
	target := Annotation{"ebpf.formatter.enum", targetDoc}
	return []Type{
		{CName: "enum E", On: "enum", Doc: "One of several values.", Annotations: []Annotation{target},
			Adds: "The name of the value. If several have the same value, the first one's. A value " +
				"without a name reads as a number."},
		{CName: "enum E_set", On: "enum", Doc: "A set of bits: any enum whose name ends in `_set`.",
			Adds: "The names of the bits, those that stand for several bits first. Bits without a name " +
				"follow as one number in hex. 0 reads as the name that has the value 0; without such a name its text is empty.",
			Annotations: []Annotation{target, {"ebpf.formatter.bitfield.separator",
				"Separator between the names; default `|`."}}},
	}
}

const targetDoc = "Name of the added field. Default: the field's own name without `_raw`."

// targetAnnotation is the annotation of a formatter type that names the field it adds.
func targetAnnotation(formatter string) []Annotation {
	return []Annotation{{"formatters." + formatter + ".target", targetDoc}}
}
