// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

func processType() Type {
	return Type{
		CName: "gadget_process",
		On:    "struct",
		Doc:   "A process: its name, ids, credentials and parent.",
		Adds: "No field. Columns show its members by their short names: `PID` rather than " +
			"`PROC.PID`, unless there is another such column.",
		Extend: func(s *event.Schema, i int, _ *Env) { nameMembers(s, i, "") },
	}
}

func credsType() Type {
	return Type{
		CName:  "gadget_creds",
		On:     "struct",
		Doc:    "The ids of a process's user and group.",
		Adds:   "`user` and `group`, hidden in columns. Columns show the ids as `UID` and `GID`.",
		Extend: func(s *event.Schema, i int, _ *Env) { nameMembers(s, i, "") },
	}
}

func parentType() Type {
	return Type{
		CName: "gadget_parent",
		On:    "struct",
		Doc:   "The process that started another.",
		Adds: "No field. Columns show its members, which are hidden unless asked for, as `PCOMM`, " +
			"`PPID` and `PTID`.",
		Extend: func(s *event.Schema, i int, _ *Env) {
			nameMembers(s, i, "P")
			hideMembers(s, i)
		},
	}
}

// nameMembers hides a struct itself in columns and heads its members by their own names.
func nameMembers(s *event.Schema, i int, prefix string) {
	s.Fields[i].Ann.Columns.Hidden = true
	for j := range s.Fields {
		if f := &s.Fields[j]; f.Parent == i && f.Kind != event.Struct {
			shortHeader(s, j, prefix+strings.ToUpper(f.Base()))
		}
	}
}
