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
			Adds: "In the struct: `symbols`, the functions with the innermost first, each followed by `; `; `addresses`, those in the memory of the process; " +
				"`buildid`, with `--collect-build-id`, the build id of each file and the place in it. They and the members are hidden in columns. " +
				"A function without a name reads as the file and the address in it, `libc.so.6+0x1f20`.",
			Later:  true,
			Extend: func(s *event.Schema, i int, _ *Env) { hideMembers(s, i) }},
		{CName: "gadget_kernel_stack", On: "__u32", Doc: "The id of a stack of the kernel.",
			Adds:        "The functions, the innermost first, each followed by `; `. A function without a name reads as its address.",
			Annotations: []Annotation{{"ebpf.formatter.kstack", targetDoc}},
			Later:       true,
			Extend: func(s *event.Schema, i int, _ *Env) {
				f := &s.Fields[i]
				f.Ann.Columns.Hidden = f.Ann.Target != "" || strings.HasSuffix(f.Name, "_raw")
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
