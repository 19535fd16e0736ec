// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// processFields are the fields of a struct gadget_process at index i of a schema.
func processFields(name string, i int) []event.Field {
	comm := func(name string, ctype string, parent int) event.Field {
		return event.Field{Name: name, Kind: event.String, Types: []string{ctype}, Size: 16, Parent: parent}
	}
	id := func(name, ctype string, size uint32, parent int) event.Field {
		return event.Field{Name: name, Kind: event.Uint, Types: []string{ctype}, Size: size, Parent: parent}
	}
	creds, parent := i+5, i+8
	return []event.Field{
		structure(name, "gadget_process", event.NoParent),
		comm(name+".comm", "gadget_comm", i),
		id(name+".pid", "gadget_pid", 4, i),
		id(name+".tid", "gadget_tid", 4, i),
		id(name+".mntns_id", "gadget_mntns_id", 8, i),
		structure(name+".creds", "gadget_creds", i),
		id(name+".creds.uid", "gadget_uid", 4, creds),
		id(name+".creds.gid", "gadget_gid", 4, creds),
		structure(name+".parent", "gadget_parent", i),
		comm(name+".parent.comm", "gadget_pcomm", parent),
		id(name+".parent.pid", "gadget_ppid", 4, parent),
		id(name+".parent.tid", "gadget_ptid", 4, parent),
	}
}

// processAnnotations has one template, to see that members take theirs.
func processAnnotations() annotations {
	return annotations{templates: map[string]func(*event.Annotations){
		"mntns_id": func(a *event.Annotations) { a.Columns.Hidden = true },
	}}
}

// columns returns the headers of the visible columns, or of the hidden ones.
func columns(s *event.Schema, hidden bool) []string {
	var headers []string
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Ann.Columns.Hidden != hidden {
			continue
		}
		header := f.Ann.Columns.Header
		if header == "" {
			header = f.Name
		}
		headers = append(headers, header)
	}
	return headers
}

func TestProcess(t *testing.T) {
	t.Parallel()
	s := layout(processFields("proc", 0)...)
	apply(t, s, testEnv(), processAnnotations())
	if got, want := columns(s, false), []string{"COMM", "PID", "TID", "UID", "GID"}; !slices.Equal(got, want) {
		t.Errorf("shown: %q, want %q", got, want)
	}
	want := []string{"proc", "MNTNS_ID", "proc.creds", "proc.parent", "PCOMM", "PPID", "PTID", "USER", "GROUP"}
	if got := columns(s, true); !slices.Equal(got, want) {
		t.Errorf("hidden: %q, want %q", got, want)
	}
	creds, _ := s.Lookup("proc.creds")
	rec := make([]byte, s.Size)
	copy(rec[field(t, s, "proc.creds.uid").Off:], le(1000, 4))
	for name, want := range map[string]string{"proc.creds.user": "alice", "proc.creds.group": "root"} {
		if got := text(t, s, name, rec); got != want {
			t.Errorf("%s reads %q, want %q", name, got, want)
		}
		if f := field(t, s, name); f.Parent != creds {
			t.Errorf("%s lies in %d, not in %d", name, f.Parent, creds)
		}
	}
}

func TestProcessAuthorPrevails(t *testing.T) {
	t.Parallel()
	ann := processAnnotations()
	show := func(a *event.Annotations) { a.Columns.Hidden = false }
	ann.fields = map[string]func(*event.Annotations){
		"proc.parent.pid": show,
		"proc.creds.user": show,
		"proc":            show,
		"proc.creds.gid":  func(a *event.Annotations) { a.Target = "team" },
		"proc.pid":        func(a *event.Annotations) { a.Columns.Header = "P" },
	}
	s := layout(processFields("proc", 0)...)
	apply(t, s, testEnv(), ann)
	want := []string{"proc", "COMM", "P", "TID", "UID", "PPID", "USER", "proc.creds.team"}
	if got := columns(s, false); !slices.Equal(got, want) {
		t.Errorf("shown: %q, want %q", got, want)
	}
	missing(t, s, "proc.creds.group")
}

// Two processes in one event must not have columns of the same name.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	fields := append(processFields("sender", 0), processFields("target", 12)...)
	s := layout(append(fields, scalar("tid", "__u32", event.Uint, 4))...)
	apply(t, s, testEnv(), processAnnotations())
	want := []string{"COMM", "PID", "sender.tid", "UID", "GID",
		"target.comm", "target.pid", "target.tid", "target.creds.uid", "target.creds.gid", "tid"}
	if got := columns(s, false); !slices.Equal(got, want) {
		t.Errorf("shown: %q, want %q", got, want)
	}
}

func TestIDsOutsideCreds(t *testing.T) {
	t.Parallel()
	s := layout(scalar("uid", "gadget_uid", event.Uint, 4), scalar("owner_raw", "gadget_uid", event.Uint, 4))
	apply(t, s, testEnv(), annotations{})
	missing(t, s, "user")
	if f := field(t, s, "owner"); f.Ann.Columns.Hidden {
		t.Error("owner is hidden")
	}
}
